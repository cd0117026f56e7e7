"""How well scores rank windows: PR-AUC, and VUS-PR, which forgives a blurred border.

VUS-PR is the volume under the surface of range-aware precision and recall over
thresholds and buffers (Paparrizos, Boniol, Palpanas, Tsay, Elmore, Franklin,
"Volume Under the Surface: A New Accuracy Evaluation Measure for Time-Series
Anomaly Detection", VLDB 2022).  A label is widened by a buffer whose weight
falls from its border as `sqrt(1 - distance / buffer)` up to half a buffer; the
area under precision and recall is averaged over all buffers from 0 on.  No
point adjustment: a whole incident is never counted as found for one window.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mods.anomaly.forecasts import FloatArray
from mods.anomaly.incidents import runs
from mods.errors import DataError

__all__ = ["BUFFER", "pr_auc", "vus_pr"]

#: The widest buffer, in windows: four hours of ten-minute windows.
BUFFER = 24
#: At how many thresholds the surface is measured, as in the paper's own code.
THRESHOLDS = 250


def pr_auc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Return the area under the precision-recall curve, as average precision.

    Parameters
    ----------
    labels
        `(windows,)`, bool: whether the window belongs to an incident.
    scores
        `(windows,)`, higher is stranger; equal scores are taken together.

    Raises
    ------
    DataError
        Where no window is labelled, every one is, or a score is missing.

    Examples
    --------
    >>> pr_auc([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.2])
    1.0
    >>> round(pr_auc([0, 1, 1, 0], [0.1, 0.9, 0.1, 0.2]), 3)
    0.75
    """
    label, score = _checked(labels, scores)
    order = np.argsort(-score, kind="stable")
    found = np.cumsum(label[order])
    last = np.flatnonzero(np.diff(score[order], append=-np.inf))
    precision, recall = found[last] / (last + 1), found[last] / found[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def vus_pr(labels: npt.ArrayLike, scores: npt.ArrayLike, *, buffer: int = BUFFER) -> float:
    """Return the volume under the precision-recall surface.

    Parameters
    ----------
    labels, scores
        As for `pr_auc`.
    buffer
        The widest buffer, in windows.

    Raises
    ------
    DataError
        As `pr_auc`, and where the buffer is negative.

    Examples
    --------
    >>> labels = np.arange(200) // 10 == 7
    >>> late = np.roll(labels, 3).astype(float)
    >>> round(pr_auc(labels, late), 2), round(vus_pr(labels, late, buffer=20), 2)
    (0.5, 0.78)
    """
    label, score = _checked(labels, scores)
    if buffer < 0:
        raise DataError(f"a buffer of {buffer} windows", "0 or more")
    incidents = runs(label)
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    places = np.linspace(0, len(score) - 1, THRESHOLDS).astype(int)
    thresholds = ranked[places]
    # All windows with the threshold's score or more are taken.
    taken = np.searchsorted(-ranked, -thresholds, side="right")
    areas = [
        _area(label, score, order, incidents, thresholds, taken, width)
        for width in range(buffer + 1)
    ]
    return float(np.mean(areas))


def _area(
    label: np.ndarray,
    score: FloatArray,
    order: np.ndarray,
    incidents: list[tuple[int, int]],
    thresholds: FloatArray,
    taken: np.ndarray,
    width: int,
) -> float:
    """Return the area under range-aware precision and recall for one buffer."""
    weights = _widened(label, incidents, width)
    positive = np.cumsum(weights[order])[taken - 1]
    # What counts as labelled lies between the labels and what was found of the widened ones.
    outside = np.cumsum(np.where(label, 0.0, weights)[order])[taken - 1]
    labelled = label.sum() + outside / 2
    highest = np.array([score[a : b + 1].max() for a, b in _joined(incidents, width, len(label))])
    met = (highest[:, None] >= thresholds).mean(axis=0)
    recall = np.minimum(positive / labelled, 1) * met
    precision = positive / taken
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def _widened(label: np.ndarray, incidents: list[tuple[int, int]], width: int) -> FloatArray:
    """Return the weight of each window: 1 in an incident, less and less beside it."""
    weights = label.astype(np.float64)
    for first, last in incidents:
        after = np.arange(last + 1, min(last + width // 2 + 1, len(label)))
        weights[after] += np.sqrt(1 - (after - last) / max(width, 1))
        before = np.arange(max(first - width // 2, 0), first)
        weights[before] += np.sqrt(1 - (first - before) / max(width, 1))
    return np.minimum(weights, 1)


def _joined(incidents: list[tuple[int, int]], width: int, count: int) -> list[tuple[int, int]]:
    """Return the widened incidents, those that touch as one."""
    half = width // 2
    joined: list[tuple[int, int]] = []
    for first, last in incidents:
        if joined and first - half <= joined[-1][1]:
            joined[-1] = (joined[-1][0], last + half)
        else:
            joined.append((max(first - half, 0), last + half))
    return [(first, min(last, count - 1)) for first, last in joined]


def _checked(labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[np.ndarray, FloatArray]:
    label, score = np.asarray(labels, dtype=bool), np.asarray(scores, dtype=np.float64)
    if label.shape != score.shape or label.ndim != 1:
        raise DataError(
            f"labels of shape {label.shape} and scores of shape {score.shape}",
            "one label and one score a window",
        )
    if label.all() or not label.any():
        raise DataError(
            f"{int(label.sum())} of {len(label)} windows are labelled", "some, and not all"
        )
    if np.isnan(score).any():
        raise DataError(f"window {int(np.isnan(score).argmax())} has no score", "one for each")
    return label, score
