"""Answers of the service: the forecast table as JSON, CSV, a picture or a page."""

from __future__ import annotations

import math
from io import BytesIO
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields

from mods.errors import DataError, ModelError

if TYPE_CHECKING:
    import pandas as pd

    from mods.anomaly.watch import Watched

__all__ = [
    "RESPONSE",
    "alarms_document",
    "as_json",
    "csv_answer",
    "evaluation_of",
    "html_answer",
    "png_answer",
]

#: What a forecast is judged beside in an answer; gradient boosting would take too long.
BASELINES = ("persistence", "seasonal_naive")


def _told(kind: type[fields.Field], description: str, **options: Any) -> fields.Field:
    return kind(required=True, metadata={"description": description}, **options)


#: An incident, as `mods.anomaly.incidents.Incident.as_dict` writes it.
INCIDENT = {
    "id": _told(fields.Str, "The same whenever the same data are seen again."),
    "kind": _told(fields.Str, "departure, or outage where values are missing."),
    "start": _told(fields.Raw, "The first window: its start, or its row number."),
    "end": _told(fields.Raw, "The last window."),
    "peak": _told(fields.Raw, "The strangest window."),
    "windows": _told(fields.Int, "How many, from start to end."),
    "score": _told(fields.Float, "The peak's score; null for an outage.", allow_none=True),
    "columns": fields.List(
        fields.Str(),
        required=True,
        metadata={"description": "Those that departed, the one that contributes most first."},
    ),
    "direction": _told(fields.Str, "more, less or missing, of the first column."),
    "expected": _told(fields.Dict, "By column at the peak: forecast, lower and upper."),
    "seen": _told(fields.Dict, "By column at the peak."),
    "text": _told(fields.Str, "All this as a sentence."),
    "accepted": _told(
        fields.Raw, "From this window on it is the new normal; or null.", allow_none=True
    ),
    "suppressed": _told(fields.Str, "The rule that keeps it quiet; or null.", allow_none=True),
}
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
    "alarm_rate": fields.Str(
        required=True,
        allow_none=True,
        metadata={"description": "How many windows may be false alarms; null: none was asked."},
    ),
    "incidents": fields.List(
        fields.Nested(Schema.from_dict(INCIDENT, name="Incident")),
        required=True,
        allow_none=True,
        metadata={
            "description": "What departed from the forecast in the range, by its start; null where "
            "no alarm_rate was asked."
        },
    ),
    "scores": fields.Dict(
        required=True,
        allow_none=True,
        metadata={
            "description": "The score table by column: window, score (higher is stranger), alarm, "
            "incident, and score:NAME a column; null where no alarm_rate was asked."
        },
    ),
    "warnings": fields.List(fields.Str(), required=True),
}


def csv_answer(table: pd.DataFrame, alarms: Watched | None = None) -> BytesIO:
    """Return the forecast table as CSV, with each target's score and incident where asked for."""
    from mods.models.forecast import as_csv

    if alarms is not None:
        from mods.anomaly.watch import with_alarms

        table = with_alarms(table, alarms.scores, alarms.incidents)
    return BytesIO(as_csv(table).encode())


def png_answer(
    table: pd.DataFrame, *, coverage: float, title: str, alarms: Watched | None = None
) -> BytesIO:
    """Return the picture of the forecast table's last two days."""
    from mods.visualization.visualize import picture, plot_forecast

    incidents = None if alarms is None else alarms.incidents
    return BytesIO(
        picture(plot_forecast(table, coverage=coverage, title=title, incidents=incidents))
    )


def html_answer(
    table: pd.DataFrame, *, coverage: float, title: str, alarms: Watched | None = None
) -> BytesIO:
    """Return the forecast table as one page for the browser."""
    from mods.visualization.page import forecast_page

    incidents = None if alarms is None else alarms.incidents
    page = forecast_page(table, coverage=coverage, title=title, incidents=incidents)
    return BytesIO(page.encode())


def alarms_document(alarms: Watched | None) -> dict[str, Any]:
    """Return the incidents and the score table as JSON can say them."""
    from mods.models.predict import table_document

    if alarms is None:
        return {"incidents": None, "scores": None}
    scores = alarms.scores
    scores = scores.assign(incident=scores["incident"].where(scores["incident"] != "", None))
    return {
        "incidents": [incident.as_dict() for incident in alarms.incidents],
        "scores": table_document(scores),
    }


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
