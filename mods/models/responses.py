"""Answers of the service: the forecast table as JSON, CSV, a picture or a page."""

from __future__ import annotations

import math
from io import BytesIO
from typing import TYPE_CHECKING, Any

from marshmallow import fields

from mods.errors import DataError, ModelError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RESPONSE", "as_json", "csv_answer", "evaluation_of", "html_answer", "png_answer"]

#: What a forecast is judged beside in an answer; gradient boosting would take too long.
BASELINES = ("persistence", "seasonal_naive")


#: The answer of `predict` as JSON; its keys are the ones that existing clients read.
RESPONSE = {
    "model_name": fields.Str(required=True),
    "data_select_query": fields.Str(required=True, allow_none=True),
    "window_slide": fields.Str(required=True, allow_none=True),
    "time_range": fields.Str(
        required=True, metadata={"description": "The origins that were forecast from."}
    ),
    "time_ranges_excluded": fields.List(fields.Str(), required=True),
    "steps_ahead": fields.Int(required=True),
    "batch_size": fields.Int(required=True),
    "data": fields.Str(
        required=True,
        metadata={"description": "What was forecast: upload, datapool or sample."},
    ),
    "data_id": fields.Str(
        required=True,
        allow_none=True,
        metadata={"description": "Names the upload for a training, where it was kept."},
    ),
    "coverage": fields.Float(
        required=True,
        metadata={"description": "The share of actual values that the intervals are to hold."},
    ),
    "columns": fields.List(fields.Str(), required=True),
    "evaluation": fields.Dict(
        required=True,
        allow_none=True,
        metadata={"description": "Scores by step where actual values are known, beside baselines."},
    ),
    "predictions": fields.Dict(
        required=True,
        metadata={
            "description": "The forecast table by column: origin, target, step, column, "
            "forecast, lower, upper, actual; null where a value is missing or not known yet."
        },
    ),
    "warnings": fields.List(fields.Str(), required=True),
}


def csv_answer(table: pd.DataFrame) -> BytesIO:
    """Return the forecast table as CSV."""
    from mods.models.forecast import as_csv

    return BytesIO(as_csv(table).encode())


def png_answer(table: pd.DataFrame, *, coverage: float, title: str) -> BytesIO:
    """Return the picture of the forecast table's last two days."""
    from mods.visualization.visualize import picture, plot_forecast

    return BytesIO(picture(plot_forecast(table, coverage=coverage, title=title)))


def html_answer(table: pd.DataFrame, *, coverage: float, title: str) -> BytesIO:
    """Return the forecast table as one page for the browser."""
    from mods.visualization.page import forecast_page

    return BytesIO(forecast_page(table, coverage=coverage, title=title).encode())


def evaluation_of(
    table: pd.DataFrame, frame: pd.DataFrame, coverage: float
) -> dict[str, Any] | None:
    """Return a forecast table's scores beside the baselines, None where it cannot be judged."""
    from mods.models.evaluation import evaluate_table

    try:
        result = evaluate_table(table, frame, baselines=BASELINES, coverage=coverage)
    except (DataError, ModelError):
        # Nothing in the range has an actual value yet, or an imported model forecasts changes,
        # which the data have no column for: there is nothing to judge.
        return None
    return result.document()


def as_json(value: Any) -> Any:
    """Return a document with null for what is no finite number, which JSON cannot say.

    Examples
    --------
    >>> as_json({"loss": float("nan"), "steps": (1, 2)})
    {'loss': None, 'steps': [1, 2]}
    """
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
