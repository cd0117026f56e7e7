"""Forecasts of a range of the data with the alarms in it, as one call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from mods.anomaly.detect import detect_all
from mods.anomaly.incidents import Incident
from mods.anomaly.memory import unspoilt
from mods.anomaly.suppression import Maintenance, Rules
from mods.anomaly.thresholds import parse_rate
from mods.config import DEFAULT_WINDOW
from mods.models.evaluation import Forecaster
from mods.models.legacy import CHANGE
from mods.models.predict import predict_with_history
from mods.timerange import TimeRange, Window, parse_range

__all__ = ["Watched", "left_out", "watch", "with_alarms"]


@dataclass(frozen=True)
class Watched:
    """What was forecast in a range, and what departed in it.

    Attributes
    ----------
    table
        The forecast table of the range's origins. Unlike what `mods.models.predict.predict`
        returns, its forecasts do not know the departures that were over by then.
    scores
        The score table of the range's windows: `window,score,alarm,incident` and
        `score:<column>` a column.
    incidents
        Those that overlap the range, by their start, suppressed ones too.
    doubt
        Why the rate cannot be promised; empty where it can.
    """

    table: pd.DataFrame
    scores: pd.DataFrame
    incidents: list[Incident]
    doubt: str = ""


def watch(
    model: Forecaster,
    frame: pd.DataFrame,
    rate: str | float,
    *,
    include: str | None = None,
    columns: Sequence[str] = (),
    rules: Rules | None = None,
) -> Watched:
    """Forecast from each origin in a range, and tell what departed in its windows.

    Parameters
    ----------
    model, frame, include
        As for `mods.models.predict.predict`. The rows before the range are what the alarms
        learn from; the rows after it are not looked at.
    rate
        How many windows may be false alarms: `"1/day"`, or a number, a day.
    columns
        Watch these alone; all by default.
    rules
        What to keep quiet.

    Raises
    ------
    ConfigError
        Where the rate or a rule cannot be kept.
    RangeError, DataError
        As `predict`.
    """
    window = str(frame.attrs.get("window") or DEFAULT_WINDOW)
    per_day = max(1, Window.parse(window).per_day)
    parse_rate(rate, per_day)
    table, part, origins = predict_with_history(model, frame, include=include)
    seen = table[table["origin"] <= origins[-1]]
    if len(columns):
        # A model of changes says so in its columns' names.
        seen = seen[seen["column"].str.removesuffix(CHANGE).isin(columns)]
    found = detect_all(seen, rate, window=window, rules=rules, coverage=model.coverage)
    inside = found.within(origins)
    table = unspoilt(model, part, table, found.incidents, per_day=per_day)
    chosen = table[table["origin"].isin(origins)].reset_index(drop=True)
    return Watched(chosen, inside.scores, inside.incidents, inside.doubt)


def with_alarms(
    table: pd.DataFrame, scores: pd.DataFrame, incidents: Iterable[Incident] = ()
) -> pd.DataFrame:
    """Return a forecast table with `score,alarm,incident,incident_text` of each row's target.

    Parameters
    ----------
    table
        The forecast table.
    scores
        The score table.
    incidents
        Those in it, for their sentences.

    Returns
    -------
    pandas.DataFrame
        A copy; the four are missing where the target has no score, for it is not known yet.

    Examples
    --------
    >>> table = pd.DataFrame({"target": [1, 2], "forecast": [5.0, 6.0]})
    >>> scores = pd.DataFrame({"window": [1], "score": [7.5], "alarm": [True], "incident": ["x"]})
    >>> with_alarms(table, scores).to_csv(index=False).splitlines()
    ['target,forecast,score,alarm,incident,incident_text', '1,5.0,7.5,True,x,', '2,6.0,,,,']
    """
    told = scores[["window", "score", "alarm", "incident"]].set_index("window")
    told = told.astype({"alarm": "boolean", "incident": object})
    told["incident"] = told["incident"].where(told["incident"] != "", None)
    sentences = {incident.id: incident.text for incident in incidents}
    told["incident_text"] = told["incident"].map(sentences).astype(object)
    return table.join(told, on="target")


def left_out(ranges: Iterable[str], index: pd.Index, reason: str) -> Rules:
    """Return the rules that keep quiet what is missing because somebody left it out."""
    spans = []
    for text in ranges:
        span = parse_range(text, index)
        start, end = (
            pd.Timestamp(at, unit="us", tz="UTC") if isinstance(span, TimeRange) else at
            for at in (span.start, span.end)
        )
        spans.append(Maintenance(start, end, reason))
    return Rules(maintenance=tuple(spans))
