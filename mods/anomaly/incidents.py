"""Neighbouring alarms as one incident, with what a person wants to know of it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from mods.anomaly.expected import log_units
from mods.anomaly.forecasts import Forecasts
from mods.anomaly.scores import SHARP_STEP, Scores

__all__ = ["Incident", "departures", "find_incidents", "outages", "prolonged", "runs"]

#: A column belongs to an incident from this share of the peak's contributions on.
_LEAST_SHARE = 0.05
_NORM = 8.0
#: A sentence names no more columns than these, the first ones.
_NAMED = 3


@dataclass(frozen=True)
class Incident:
    """Alarms that belong together.

    Attributes
    ----------
    id
        The same whenever the same data are seen again, also when the incident has grown.
    kind
        `departure`: other values than expected; `outage`: no values at all.
    start, end, peak
        The first window, the last, and the one that is furthest from what was expected before
        the start: window starts, or row numbers.
    windows
        From `start` to `end`, both included.
    score
        The highest of its windows; NaN for an outage.
    columns
        Those that departed, by their contribution to that score; those missing, for an outage.
    direction
        `more` or `less` than expected, of the first column; `missing` for an outage.
    expected
        By column, at the peak: `forecast`, `lower` and `upper` as they were before the start.
    seen
        By column, at the peak.
    text
        All this as a sentence.
    accepted
        The window from which on the level is taken as the new normal; None where it went back.
    suppressed
        The rule that keeps it quiet; None where it is to be told.
    """

    id: str
    kind: Literal["departure", "outage"]
    start: Any
    end: Any
    peak: Any
    windows: int
    score: float
    columns: tuple[str, ...]
    direction: Literal["more", "less", "missing"]
    expected: dict[str, dict[str, float]]
    seen: dict[str, float]
    text: str
    accepted: Any = None
    suppressed: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can say of it: times as ISO 8601, None for what is not known."""
        return {
            "id": self.id,
            "kind": self.kind,
            "start": _label(self.start),
            "end": _label(self.end),
            "peak": _label(self.peak),
            "windows": self.windows,
            "score": _finite(round(self.score, 3)),
            "columns": list(self.columns),
            "direction": self.direction,
            "expected": {
                name: {key: _finite(value) for key, value in said.items()}
                for name, said in self.expected.items()
            },
            "seen": {name: _finite(value) for name, value in self.seen.items()},
            "text": self.text,
            "accepted": None if self.accepted is None else _label(self.accepted),
            "suppressed": self.suppressed,
        }

    def suppress(self, reason: str) -> Incident:
        """Return it kept quiet for a reason; the first reason stays."""
        return self if self.suppressed else replace(self, suppressed=reason)


def runs(marked: np.ndarray, join: int = 0) -> list[tuple[int, int]]:
    """Return first and last position of each run, runs at most `join` apart taken as one.

    Examples
    --------
    >>> runs(np.array([0, 1, 1, 0, 1, 0, 0, 0, 1], dtype=bool), join=1)
    [(1, 4), (8, 8)]
    """
    places = np.flatnonzero(marked)
    if len(places) == 0:
        return []
    breaks = np.flatnonzero(np.diff(places) > join + 1)
    first = places[np.r_[0, breaks + 1]]
    last = places[np.r_[breaks, len(places) - 1]]
    return [(int(a), int(b)) for a, b in zip(first, last, strict=True)]


def prolonged(alarms: np.ndarray, lasting: np.ndarray) -> np.ndarray:
    """Return the alarms, and what follows them without a break and lasts.

    Examples
    --------
    >>> alarms = np.array([0, 0, 1, 0, 0, 0, 0], dtype=bool)
    >>> prolonged(alarms, np.array([1, 1, 1, 1, 1, 0, 1], dtype=bool)).astype(int).tolist()
    [0, 0, 1, 1, 1, 0, 0]
    """
    # Each window asks whether the last alarm before it is later than the last break.
    places = np.arange(len(alarms))
    alarm = np.maximum.accumulate(np.where(alarms, places, -1))
    broken = np.maximum.accumulate(np.where(alarms | lasting, -1, places))
    following: np.ndarray = alarm > broken
    return following


def find_incidents(
    forecasts: Forecasts,
    scores: Scores,
    alarms: np.ndarray,
    *,
    lasting: np.ndarray,
    join: int,
    accept_after: int,
) -> list[Incident]:
    """Return departures and outages, by their start.

    Parameters
    ----------
    forecasts, scores
        Of the same windows.
    alarms
        `(windows,)`, bool: the threshold was passed.
    lasting
        `(windows,)`, bool: strange enough for an incident that has begun to go on.
    join
        Alarms with at most so many windows between them are one incident.
    accept_after
        A departure that lasts for more windows than these is the new normal from then on.
    """
    found = [
        *departures(
            forecasts, scores, alarms, lasting=lasting, join=join, accept_after=accept_after
        ),
        *outages(forecasts),
    ]
    return sorted(found, key=lambda incident: (incident.start, incident.kind))


def departures(
    forecasts: Forecasts,
    scores: Scores,
    alarms: np.ndarray,
    *,
    lasting: np.ndarray,
    join: int,
    accept_after: int,
) -> Iterable[Incident]:
    """Yield the incidents in which values were other than expected."""
    for first, last in runs(prolonged(alarms, lasting), join):
        told = np.where(alarms, scores.window, np.nan)[first : last + 1]
        strangest = first + int(np.nanargmax(told))
        columns = _contributing(scores.columns[strangest])
        signs = {forecasts.columns[c]: int(scores.direction[strangest, c]) for c in columns}
        peak = _furthest(forecasts, first, last, columns[0], scores.direction[strangest], strangest)
        names = tuple(signs)
        direction: Literal["more", "less"] = "more" if signs[names[0]] > 0 else "less"
        expected = {
            forecasts.columns[c]: _expected(forecasts, peak, peak - first + 1, c) for c in columns
        }
        seen = {forecasts.columns[c]: float(forecasts.actual[peak, c]) for c in columns}
        windows = forecasts.windows
        stays = last - first + 1 > accept_after
        accepted = windows[first + accept_after] if stays else None
        yield Incident(
            id=_identifier("departure", windows[first], forecasts.columns),
            kind="departure",
            start=windows[first],
            end=windows[last],
            peak=windows[peak],
            windows=last - first + 1,
            score=float(scores.window[strangest]),
            columns=names,
            direction=direction,
            expected=expected,
            seen=seen,
            text=_departure_text(windows, first, last, peak, signs, expected, seen, accepted),
            accepted=accepted,
        )


def outages(forecasts: Forecasts) -> Iterable[Incident]:
    """Yield the incidents in which values are missing, of columns that had values before."""
    known = np.isfinite(forecasts.actual)
    missing = ~known & (np.cumsum(known, axis=0) > 0)
    for first, last in runs(np.asarray(missing.any(axis=1))):
        lost = missing[first : last + 1].sum(axis=0)
        columns = [c for c in np.argsort(-lost, kind="stable") if lost[c]]
        names = tuple(forecasts.columns[c] for c in columns)
        what = "every column" if len(names) == len(forecasts.columns) else _listed(names)
        span = _span(forecasts.windows, first, last)
        yield Incident(
            id=_identifier("outage", forecasts.windows[first], forecasts.columns),
            kind="outage",
            start=forecasts.windows[first],
            end=forecasts.windows[last],
            peak=forecasts.windows[first],
            windows=last - first + 1,
            score=float("nan"),
            columns=names,
            direction="missing",
            expected={},
            seen={},
            text=f"No data {span}: {what} missing. The sensor or its link may be down.",
        )


def _contributing(scores: np.ndarray) -> list[int]:
    """Return the columns that make the window's score, the greatest part first."""
    parts = np.nan_to_num(scores) ** _NORM
    order = np.argsort(-parts, kind="stable")
    return [int(c) for c in order if c == order[0] or parts[c] >= _LEAST_SHARE * parts.sum()]


def _furthest(
    forecasts: Forecasts, first: int, last: int, column: int, signs: np.ndarray, strangest: int
) -> int:
    """Return the window in which a column is furthest from what was expected before `first`.

    Only windows that were forecast before it count, and the strangest one.
    """
    reach = range(first, min(last + 1, first + forecasts.point.shape[1]))
    rows = np.array(sorted({*reach, strangest}))
    expected = [
        forecasts.point[row, _step(forecasts, row, row - first + 1, column), column] for row in rows
    ]
    gap = log_units(forecasts.actual[rows, column]) - log_units(np.array(expected))
    gap = np.where(np.isnan(gap), -np.inf, signs[column] * gap)
    return int(rows[gap.argmax()]) if np.isfinite(gap.max()) else strangest


def _step(forecasts: Forecasts, row: int, ahead: int, column: int) -> int:
    """Return the place of the forecast of a window that was made so far ahead, or nearly."""
    place = min(max(ahead, SHARP_STEP), forecasts.point.shape[1]) - 1
    known = np.flatnonzero(np.isfinite(forecasts.point[row, :, column]))
    return int(known[np.abs(known - place).argmin()]) if len(known) else place


def _expected(forecasts: Forecasts, peak: int, ahead: int, column: int) -> dict[str, float]:
    """Return what was expected of the peak before the incident, as long as forecasts reach."""
    place = _step(forecasts, peak, ahead, column)
    return {
        name: round(float(values[peak, place, column]), 6)
        for name, values in (
            ("forecast", forecasts.point),
            ("lower", forecasts.lower),
            ("upper", forecasts.upper),
        )
    }


def _departure_text(
    windows: pd.Index,
    first: int,
    last: int,
    peak: int,
    signs: dict[str, int],
    expected: dict[str, dict[str, float]],
    seen: dict[str, float],
    accepted: Any,
) -> str:
    name = next(iter(signs))
    said, value = expected[name], seen[name]
    text = f"{_amount(name, signs[name], value, said['forecast'])} {_span(windows, first, last)}"
    if first == last:
        text += ": "
    else:
        text += f". At the furthest, at {_moment(windows[peak], windows[first])}, it was "
    text += (
        f"{_number(value)} where {_number(said['forecast'])}"
        f" ({_number(said['lower'])} to {_number(said['upper'])}) were expected."
    )
    others = [f"{other} {'rose' if signs[other] > 0 else 'fell'}" for other in list(signs)[1:]]
    if others:
        text += f" At the same time {_listed(others)}."
    if accepted is not None:
        text += f" It lasted, and is taken as the new normal from {_moment(accepted)} on."
    return text


def _amount(name: str, sign: int, value: float, expected: float) -> str:
    if expected > 0 and value >= 0:
        ratio = value / expected
        if sign > 0 and ratio >= 1.95:
            return f"{name} rose to {ratio:.1f} times the expected"
        if sign > 0 and ratio > 1:
            return f"{name} rose {100 * (ratio - 1):.0f} % above the expected"
        if sign < 0 and ratio == 0:
            return f"{name} fell to nothing"
        if sign < 0 and ratio < 1:
            return f"{name} fell {100 * (1 - ratio):.0f} % below the expected"
    return f"{name} was {'higher' if sign > 0 else 'lower'} than expected"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _span(windows: pd.Index, first: int, last: int) -> str:
    zone = " UTC" if isinstance(windows, pd.DatetimeIndex) else ""
    if first == last:
        return f"in the window at {_moment(windows[first])}{zone}"
    return f"from {_moment(windows[first])} to {_moment(windows[last], windows[first])}{zone}"


def _moment(label: Any, after: Any = None) -> str:
    if not isinstance(label, pd.Timestamp):
        return f"row {label}"
    if isinstance(after, pd.Timestamp) and after.date() == label.date():
        return f"{label:%H:%M}"
    return f"{label:%Y-%m-%d %H:%M}"


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    shown = every[:_NAMED]
    if len(every) > _NAMED:
        return f"{', '.join(shown)} and {len(every) - _NAMED} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _label(label: Any) -> Any:
    return f"{label:%Y-%m-%dT%H:%M:%SZ}" if isinstance(label, pd.Timestamp) else int(label)


def _identifier(kind: str, start: Any, columns: tuple[str, ...]) -> str:
    """Return an identifier by content: what grows later (end, peak) has no part in it."""
    content = "\n".join([kind, str(_label(start)), *sorted(columns)])
    return hashlib.sha256(content.encode()).hexdigest()[:12]
