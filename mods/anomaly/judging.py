"""How good scores and incidents are, against labelled incidents, beside the rungs.

Scores are judged by PR-AUC and VUS-PR, and by how many incidents they find where
their threshold is put, in hindsight, at the asked rate of false alarms.  What was
told as an incident, with no hindsight, is judged by precision, recall, the delay
to the first alarm, and false alarms a day.  Nothing is point-adjusted: an alarm
counts for the window in which it is.

A window without any value is, for every way of scoring alike, the strangest: that
a sensor is silent is no riddle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mods.anomaly.detect import Detection
from mods.anomaly.forecasts import FloatArray
from mods.anomaly.labels import Label, Span, spans
from mods.anomaly.rungs import climb
from mods.anomaly.vus import BUFFER, pr_auc, vus_pr
from mods.errors import DataError

__all__ = ["Found", "Judgement", "Ranking", "judge", "rank"]


@dataclass(frozen=True)
class Ranking:
    """How well one way of scoring tells labelled windows from others.

    Attributes
    ----------
    pr_auc, vus_pr
        See `mods.anomaly.vus`.
    found
        The share of incidents with a window above the threshold that gives the asked rate of
        false alarms on these very windows.
    delay
        The median of windows from an incident's first to the first above that threshold, of
        those found; NaN where none is.
    """

    pr_auc: float
    vus_pr: float
    found: float
    delay: float


@dataclass(frozen=True)
class Found:
    """What was found of the incidents of a kind, by the alarms as they were given.

    Attributes
    ----------
    incidents
        How many there were.
    recall
        The share with an alarm in one of their windows.
    delay
        Windows from an incident's first to its first alarm, the median of those found.
    """

    incidents: int
    recall: float
    delay: float


@dataclass(frozen=True)
class Judgement:
    """A detection against labels.

    Attributes
    ----------
    scores
        Of the detection (`mods`) and of each rung.
    kinds
        Of each kind of incident, and `all`.
    precision
        The share of told incidents that touch a labelled window; NaN where none was told.
    false_alarms
        Alarms in windows that belong to no label, a day of such windows.
    false_incidents
        Told incidents that touch none, a day.
    windows, days
        How many were judged.
    """

    scores: dict[str, Ranking]
    kinds: dict[str, Found]
    precision: float
    false_alarms: float
    false_incidents: float
    windows: int
    days: float

    def ratio(self, name: str) -> float:
        """Return a figure of `Ranking` over the best rung's."""
        best = max(getattr(one, name) for key, one in self.scores.items() if key != "mods")
        return float(getattr(self.scores["mods"], name) / best) if best else math.nan

    def document(self) -> dict[str, Any]:
        """Return everything as one JSON document; null where a figure is not defined."""
        return {
            "scores": {name: _document(one) for name, one in self.scores.items()},
            "incidents": {
                "precision": _finite(self.precision),
                "false_alarms_a_day": _finite(self.false_alarms),
                "false_incidents_a_day": _finite(self.false_incidents),
                "kinds": {kind: _document(one) for kind, one in self.kinds.items()},
            },
            "ratio_to_best_rung": {
                name: _finite(self.ratio(name)) for name in ("pr_auc", "vus_pr", "found")
            },
            "windows": self.windows,
            "days": round(self.days, 3),
        }


def judge(
    detection: Detection,
    labels: Sequence[Label],
    *,
    window: str,
    first: int,
    last: int | None = None,
    buffer: int = BUFFER,
) -> Judgement:
    """Judge a detection from position `first` on, up to but not including `last`.

    Parameters
    ----------
    detection
        Of all windows, the history before `first` included.
    labels
        What is known to have happened.
    window
        The window's name.
    first, last
        Positions in `detection.forecasts.windows`.
    buffer
        The widest of VUS-PR.

    Raises
    ------
    DataError
        Where no labelled window lies in the range, or too little before it.
    """
    forecasts = detection.forecasts
    part = slice(first, last)
    windows = forecasts.windows[part]
    known = spans(labels, windows, window)
    labelled = _labelled(known, len(windows))
    if not known:
        raise DataError(
            f"none of the {len(labels)} incidents lies in the range that is judged",
            "one at least",
            "Give a longer range, or the incidents of these data.",
        )
    silent = np.asarray(np.isnan(forecasts.actual).all(axis=1))
    ways = climb(forecasts, first) | {"mods": detection.scores["score"].to_numpy(dtype=float)}
    rate = detection.risk * forecasts.per_day
    scores = {
        name: rank(
            _loud(values, silent)[part], known, rate * len(windows) / forecasts.per_day, buffer
        )
        for name, values in ways.items()
    }
    alarms = _told_alarms(detection)[part]
    days = float((~labelled).sum()) / forecasts.per_day
    told = [(a, b) for a, b in _told_spans(detection, first, first + len(windows))]
    right = [bool(labelled[a : b + 1].any()) for a, b in told]
    return Judgement(
        scores=scores,
        kinds=_by_kind(alarms, known),
        precision=float(np.mean(right)) if right else math.nan,
        false_alarms=float((alarms & ~labelled).sum()) / days if days else math.nan,
        false_incidents=float(right.count(False)) / days if days else math.nan,
        windows=len(windows),
        days=len(windows) / forecasts.per_day,
    )


def rank(
    scores: FloatArray, known: Sequence[Span], false_alarms: float, buffer: int = BUFFER
) -> Ranking:
    """Judge scores alone.

    Parameters
    ----------
    scores
        `(windows,)`, none missing.
    known
        The labelled incidents.
    false_alarms
        How many windows outside of them may pass the threshold.
    buffer
        The widest of VUS-PR.

    Examples
    --------
    >>> scores = np.array([0.1, 0.3, 0.2, 0.9, 0.8, 0.2, 0.1])
    >>> rank(scores, [Span(2, 4, "scan", 1.0)], 1, buffer=0)
    Ranking(pr_auc=0.8666666666666667, vus_pr=0.8666666666666667, found=1.0, delay=1.0)
    """
    labelled = _labelled(known, len(scores))
    quiet = np.sort(scores[~labelled])[::-1]
    above = scores > quiet[min(int(false_alarms), len(quiet) - 1)]
    found = _by_kind(above, known)["all"]
    return Ranking(
        pr_auc=pr_auc(labelled, scores),
        vus_pr=vus_pr(labelled, scores, buffer=buffer),
        found=found.recall,
        delay=found.delay,
    )


def _by_kind(alarms: np.ndarray, known: Sequence[Span]) -> dict[str, Found]:
    kinds = {"all": list(known)}
    for kind in sorted({span.kind for span in known}):
        kinds[kind] = [span for span in known if span.kind == kind]
    return {kind: _found(alarms, members) for kind, members in kinds.items()}


def _found(alarms: np.ndarray, known: Sequence[Span]) -> Found:
    met = [alarms[span.first : span.last + 1] for span in known]
    delays = [int(hit.argmax()) for hit in met if hit.any()]
    return Found(
        incidents=len(met),
        recall=len(delays) / len(met),
        delay=float(np.median(delays)) if delays else math.nan,
    )


def _labelled(known: Sequence[Span], count: int) -> np.ndarray:
    labelled = np.zeros(count, dtype=bool)
    for span in known:
        labelled[span.first : span.last + 1] = True
    return labelled


def _loud(scores: FloatArray, silent: np.ndarray) -> FloatArray:
    """Return the scores with the silent windows above all others, and 0 in the warm-up."""
    filled = np.nan_to_num(scores, nan=0.0)
    filled[silent] = filled.max() + 1
    return filled


def _told_alarms(detection: Detection) -> np.ndarray:
    """Return the alarms of incidents that no rule suppressed."""
    quiet = {one.id for one in detection.incidents if one.suppressed is not None}
    table = detection.scores
    told: np.ndarray = table["alarm"].to_numpy(dtype=bool) & ~table["incident"].isin(quiet)
    return np.asarray(told)


def _told_spans(detection: Detection, first: int, end: int) -> list[tuple[int, int]]:
    """Return the told incidents as positions from `first` on, those outside left out."""
    windows = detection.forecasts.windows
    told = [one for one in detection.incidents if one.suppressed is None]
    starts = windows.get_indexer(pd.Index([one.start for one in told]))
    found = []
    for one, start in zip(told, starts, strict=True):
        a, b = max(int(start), first), min(int(start) + one.windows, end) - 1
        if a <= b:
            found.append((a - first, b - first))
    return found


def _document(one: Ranking | Found) -> dict[str, float | None]:
    return {name: _finite(value) for name, value in vars(one).items()}


def _finite(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
