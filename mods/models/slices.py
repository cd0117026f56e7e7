"""Where errors lie: by hour of the day, and by the level that the series has at the origin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mods.models.scores import FloatArray

__all__ = ["Slices", "slice_errors"]

#: A column's origins are cut into this many parts of equal size by their level.
LEVELS = 5


@dataclass(frozen=True)
class Slices:
    """SMAPE of parts of the judged rows.

    Attributes
    ----------
    kind
        `hour` (of the target, UTC) or `level` (of the origin's value, fifths, lowest first).
    keys
        The parts.
    smape
        For the model and each baseline `(keys, steps, columns)`, percent; NaN where a part is
        empty.
    """

    kind: str
    keys: tuple[int, ...]
    smape: dict[str, FloatArray]


def slice_errors(
    forecasts: Mapping[str, FloatArray],
    actual: FloatArray,
    level: FloatArray,
    targets: pd.DatetimeIndex | None,
) -> list[Slices]:
    """Return the errors by level, and by hour where the data carry times.

    Parameters
    ----------
    forecasts
        By name `(origins, steps, columns)`.
    actual
        What came, of the same shape.
    level
        `(origins, columns)`: the last known value at each origin.
    targets
        The targets of all origins and steps, `(origins * steps,)`; None without times.
    """
    found = []
    if targets is not None:
        hour = targets.hour.to_numpy().reshape(actual.shape[:2])
        part = np.repeat(hour[..., None], actual.shape[2], axis=2)
        found.append(_slices("hour", range(24), part, forecasts, actual))
    part = np.repeat(_fifths(level)[:, None], actual.shape[1], axis=1)
    found.append(_slices("level", range(1, LEVELS + 1), part, forecasts, actual))
    return found


def _slices(
    kind: str,
    keys: range,
    part: np.ndarray,
    forecasts: Mapping[str, FloatArray],
    actual: FloatArray,
) -> Slices:
    shape = (len(keys), *actual.shape[1:])
    # Where each term belongs in an array of `shape`, flat.
    place = (part - keys[0]) * actual[0].size + np.arange(actual[0].size).reshape(shape[1:])
    smape: dict[str, FloatArray] = {}
    for name, forecast in forecasts.items():
        terms = _terms(forecast, actual)
        known = np.isfinite(terms) & (part >= keys[0])
        count = np.bincount(place[known], minlength=np.prod(shape))
        total = np.bincount(place[known], terms[known], minlength=np.prod(shape))
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        smape[name] = 100 * mean.reshape(shape)
    return Slices(kind, tuple(keys), smape)


def _terms(forecast: FloatArray, actual: FloatArray) -> FloatArray:
    size = np.abs(forecast) + np.abs(actual)
    terms: FloatArray = 2 * np.abs(forecast - actual) / np.where(size > 0, size, 1)
    return terms


def _fifths(level: FloatArray) -> np.ndarray:
    """Return for each origin and column which fifth its level lies in, 1 to 5; 0 where unknown."""
    fifth = np.zeros(level.shape, dtype=int)
    for column in range(level.shape[1]):
        known = np.isfinite(level[:, column])
        if known.any():
            values = level[known, column]
            bounds = np.quantile(values, np.arange(1, LEVELS) / LEVELS)
            fifth[known, column] = 1 + np.searchsorted(bounds, values, side="left")
    return fifth
