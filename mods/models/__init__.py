"""Stage 3: networks, training, forecasts, judging, and the seam to DEEPaaS."""
