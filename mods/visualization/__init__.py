"""Pictures of forecasts and of what was made on the way."""
