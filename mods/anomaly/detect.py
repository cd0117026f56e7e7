"""From a forecast table to incidents, as one call."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mods.anomaly.forecasts import Forecasts, read_forecasts
from mods.anomaly.incidents import Incident, find_incidents
from mods.anomaly.memory import ACCEPT_DAYS
from mods.anomaly.scores import Scores, score_windows
from mods.anomaly.suppression import Rules, suppress, suppressed_counts
from mods.anomaly.thresholds import parse_rate, threshold_by_risk
from mods.errors import ModsWarning

__all__ = ["SILENT", "Detection", "detect", "detect_all"]

#: The score of a window in which every column is missing: no reader may take it for a quiet one.
SILENT = 100.0
#: The first days teach no threshold: the days before are not known yet, and scores cruder.
_SKIPPED_DAYS = 2
#: Days of scores that a threshold learns before its first alarm, and that it remembers.
_WARMUP_DAYS, _MEMORY_DAYS = 7, 60
#: A threshold from fewer scores is none.
_LEAST_LEARNED = 36
#: Alarms at most an hour of ten-minute windows apart are one incident.
_JOIN = 6
#: Once begun, an incident goes on while the score is above this share of the threshold: the
#: forecasts soon take an incident for normal, and only what is held still speaks of it.
_LASTING = 0.7


@dataclass(frozen=True)
class Detection:
    """All that was found in a forecast table.

    Attributes
    ----------
    scores
        The score table: `window,score,alarm,incident` and `score:<column>` a column; the
        score is `SILENT` where every column is missing, a column's NaN where it is.
    incidents
        By their start, suppressed ones too.
    threshold
        The score above which the next window would be an alarm; NaN in the warm-up.
    risk
        The share of windows that may be false alarms.
    forecasts
        What was scored.
    doubt
        Why the rate cannot be promised, which was warned of too; empty where it can.
    """

    scores: pd.DataFrame
    incidents: list[Incident]
    threshold: float
    risk: float
    forecasts: Forecasts
    doubt: str = ""

    @property
    def suppressed(self) -> dict[str, int]:
        """How many incidents each rule kept quiet."""
        return suppressed_counts(self.incidents)

    def within(self, labels: pd.Index) -> Detection:
        """Return what lies in a range of windows; incidents that overlap it are kept whole."""
        rows = self.forecasts.windows.isin(labels)
        windows = self.forecasts.windows[rows]
        kept = [
            incident
            for incident in self.incidents
            if len(windows) and incident.start <= windows[-1] and incident.end >= windows[0]
        ]
        scores = self.scores.loc[rows].reset_index(drop=True)
        return replace(self, scores=scores, incidents=kept)


def detect(
    table: pd.DataFrame,
    rate: str | float = "1/day",
    *,
    window: str | None = None,
    threshold: str = "spot",
    rules: Rules | None = None,
    coverage: float = 0.9,
) -> list[Incident]:
    """Return the incidents of a forecast table, at a rate of false alarms.

    Parameters
    ----------
    table
        The forecast table, as `Model.backtest` returns it, of some weeks.
    rate
        How many windows may be false alarms: `"1/day"`, `"2/week"`, or a number, a day.
    window
        The window's name; needed where the table has row numbers and windows are not of ten
        minutes.
    threshold
        `spot`, `dspot` or `conformal` (see `mods.anomaly.thresholds`).
    rules
        What to keep quiet; such incidents are returned with `suppressed` set.
    coverage
        What the table's intervals hold.

    Raises
    ------
    DataError
        Where the table is none.
    ConfigError
        Where the rate or a rule cannot be kept.

    Examples
    --------
    >>> rng = np.random.default_rng(3)
    >>> rows = 20 * 144
    >>> actual = rng.normal(1000, 20, size=rows)
    >>> actual[2400:2412] += 300
    >>> table = pd.concat(
    ...     pd.DataFrame({
    ...         "origin": np.arange(rows - step), "target": np.arange(step, rows), "step": step,
    ...         "column": "conn_in", "forecast": 1000.0, "lower": 967.0, "upper": 1033.0,
    ...         "actual": actual[step:],
    ...     })
    ...     for step in range(1, 13)
    ... )
    >>> incidents = detect(table, "1/week", window="w01h-s10m")
    >>> worst = max(incidents, key=lambda incident: incident.score)
    >>> worst.start, worst.columns, worst.direction
    (2400, ('conn_in',), 'more')
    """
    return detect_all(
        table, rate, window=window, threshold=threshold, rules=rules, coverage=coverage
    ).incidents


def detect_all(
    table: pd.DataFrame,
    rate: str | float = "1/day",
    *,
    window: str | None = None,
    threshold: str = "spot",
    rules: Rules | None = None,
    coverage: float = 0.9,
) -> Detection:
    """Return scores and incidents of a forecast table; arguments as for `detect`."""
    forecasts = read_forecasts(table, window=window)
    risk = parse_rate(rate, forecasts.per_day)
    scores = score_windows(forecasts, coverage=coverage)
    doubt = _doubt(scores, forecasts.per_day, risk, threshold, str(rate))
    if doubt:
        warnings.warn(doubt, ModsWarning, stacklevel=3)
    alarms, values = _alarms(scores, forecasts.per_day, risk, threshold)
    incidents = find_incidents(
        forecasts,
        scores,
        alarms,
        lasting=scores.window > _LASTING * values,
        join=_JOIN,
        accept_after=ACCEPT_DAYS * forecasts.per_day,
    )
    if rules is not None:
        incidents = suppress(incidents, rules, slide=86400 // forecasts.per_day)
    return Detection(
        scores=_score_table(forecasts, scores, alarms, incidents),
        incidents=incidents,
        threshold=float(values[-1]),
        risk=risk,
        forecasts=forecasts,
        doubt=doubt,
    )


def _doubt(scores: Scores, per_day: int, risk: float, method: str, rate: str) -> str:
    """Return why the rate cannot be promised; nothing where it can."""
    known, skipped, usable = _usable(scores, per_day)
    needed = max(_WARMUP_DAYS * per_day, int(np.ceil(1 / risk)))
    if usable >= needed:
        return ""
    return (
        f"{len(known) / per_day:.1f} days of history are too short to promise {rate} false"
        f" alarms: {needed / per_day + _SKIPPED_DAYS:.0f} days are needed. Alarms come from"
        f" {skipped + _warmup(usable, per_day, risk, method)} windows on and may be more or fewer."
    )


def _usable(scores: Scores, per_day: int) -> tuple[np.ndarray, int, int]:
    """Return which scores are known, how many teach nothing, and how many known ones do."""
    known = np.isfinite(scores.window)
    skipped = min(_SKIPPED_DAYS * per_day, len(known) // 4)
    return known, skipped, int(known[skipped:].sum())


def _warmup(usable: int, per_day: int, risk: float, method: str) -> int:
    """Return how many scores a threshold learns before its first alarm."""
    warmup = max(_LEAST_LEARNED, min(_WARMUP_DAYS * per_day, usable // 2))
    return max(warmup, int(np.ceil(1 / risk))) if method == "conformal" else warmup


def _alarms(
    scores: Scores, per_day: int, risk: float, method: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return which windows pass the threshold, and the threshold after each, `(windows,)`."""
    known, skipped, usable = _usable(scores, per_day)
    warmup = _warmup(usable, per_day, risk, method)
    learner = threshold_by_risk(method, risk, warmup=warmup, memory=_MEMORY_DAYS * per_day)
    alarms, values = np.zeros(len(known), dtype=bool), np.full(len(known), np.nan)
    for row, score in enumerate(scores.window[skipped:].tolist(), start=skipped):
        alarms[row] = learner.update(score)
        values[row] = learner.value
    return alarms, values


def _score_table(
    forecasts: Forecasts, scores: Scores, alarms: np.ndarray, incidents: list[Incident]
) -> pd.DataFrame:
    """Return `window,score,alarm,incident,score:<column>...`; an outage's windows are alarms."""
    belongs = np.full(len(forecasts), "", dtype=object)
    silent = np.isnan(scores.window)
    marked, total = alarms.copy(), scores.window.copy()
    for incident in incidents:
        first = int(forecasts.windows.get_indexer(pd.Index([incident.start]))[0])
        rows = slice(first, first + incident.windows)
        belongs[rows] = np.where(belongs[rows] == "", incident.id, belongs[rows])
        if incident.kind == "outage":
            marked[rows] |= silent[rows]
            total[rows] = np.where(silent[rows], SILENT, total[rows])
    columns = {
        f"score:{name}": scores.columns[:, place] for place, name in enumerate(forecasts.columns)
    }
    return pd.DataFrame(
        {"window": forecasts.windows, "score": total, "alarm": marked, "incident": belongs}
        | columns
    )
