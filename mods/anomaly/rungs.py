"""What any alarm has to beat: five plain ways to score the same windows.

Each gives `(windows,)` scores, higher is stranger.  What they learn, they learn
from the rows before `first`; all but the first look at `log(1 + value)`.
"""

from __future__ import annotations

import numpy as np

from mods.anomaly.expected import log_units
from mods.anomaly.forecasts import FloatArray, Forecasts
from mods.errors import DataError

__all__ = ["RUNGS", "climb"]

RUNGS = ("interval_exceedance", "seasonal_z", "ewma", "pca", "isolation_forest")
#: Earlier days whose same slot the seasonal z-score takes the mean of.
_DAYS = 7
#: How much of a new value the moving average takes.
_FADING = 0.2
#: Windows that PCA and isolation forest see at once.
_SEEN = 12
#: Share of the variance that PCA keeps.
_VARIANCE = 0.95
_NORMAL = 1.4826
_LEAST = 1e-9


def climb(forecasts: Forecasts, first: int) -> dict[str, FloatArray]:
    """Return the scores of every rung, by name.

    Parameters
    ----------
    forecasts
        The windows, with their forecasts; missing values are filled forward.
    first
        The position from which on is judged: what lies before is learned from.

    Raises
    ------
    DataError
        Where less than a day, or less than two of PCA's stretches, lie before `first`.
    """
    if first < max(forecasts.per_day, 2 * _SEEN):
        raise DataError(
            f"{first} windows before those that are judged",
            f"at least a day ({max(forecasts.per_day, 2 * _SEEN)}), from which the rungs learn",
            "Judge a later range, or give more history.",
        )
    values = _filled(log_units(forecasts.actual))
    stretches = _stretches(values, first)
    scores = (
        _interval_exceedance(forecasts),
        _seasonal_z(values, first, forecasts.per_day),
        _ewma(values, first),
        _pca(stretches, first),
        _isolation_forest(stretches, first),
    )
    return dict(zip(RUNGS, scores, strict=True))


def _interval_exceedance(forecasts: Forecasts) -> FloatArray:
    """Return how far the value lies outside the next window's interval, in half intervals."""
    point, lower, upper = (
        values[:, 0] for values in (forecasts.point, forecasts.lower, forecasts.upper)
    )
    gap = forecasts.actual - point
    half = np.where(gap > 0, upper - point, point - lower)
    away = np.abs(gap) / np.maximum(half, _LEAST)
    return _strangest(away)


def _seasonal_z(values: FloatArray, first: int, per_day: int) -> FloatArray:
    earlier = np.full((_DAYS, *values.shape), np.nan)
    for day in range(1, _DAYS + 1):
        lag = day * per_day
        if lag < len(values):
            earlier[day - 1, lag:] = values[:-lag]
    known = np.isfinite(earlier).sum(axis=0)
    mean = np.nansum(earlier, axis=0) / np.where(known, known, np.nan)
    return _standard(values - mean, first)


def _ewma(values: FloatArray, first: int) -> FloatArray:
    residual = np.zeros_like(values)
    mean = values[0]
    for row, value in enumerate(values):
        residual[row] = value - mean
        mean = mean + _FADING * (value - mean)
    return _standard(residual, first)


def _pca(stretches: FloatArray, first: int) -> FloatArray:
    """Return the squared error of what the first components put together again."""
    from sklearn.decomposition import PCA

    model = PCA(_VARIANCE).fit(stretches[: first - _SEEN + 1])
    again = model.inverse_transform(model.transform(stretches))
    return _late(((stretches - again) ** 2).sum(axis=1))


def _isolation_forest(stretches: FloatArray, first: int) -> FloatArray:
    from sklearn.ensemble import IsolationForest

    model = IsolationForest(random_state=0, n_jobs=1).fit(stretches[: first - _SEEN + 1])
    return _late(-model.score_samples(stretches) + 1)


def _filled(values: FloatArray) -> FloatArray:
    """Return the values with missing ones filled forward, 0 where nothing came before."""
    known = np.isfinite(values)
    last = np.maximum.accumulate(np.where(known, np.arange(len(values))[:, None], -1), axis=0)
    filled = np.take_along_axis(values, np.maximum(last, 0), axis=0)
    return np.where(last >= 0, filled, 0.0)


def _stretches(values: FloatArray, first: int) -> FloatArray:
    """Return each window with those before it, standardised: `(windows, 12 * columns)`."""
    spread = np.maximum(values[:first].std(axis=0), _LEAST)
    scaled = (values - values[:first].mean(axis=0)) / spread
    seen = np.lib.stride_tricks.sliding_window_view(scaled, _SEEN, axis=0)
    stretches: FloatArray = seen.reshape(len(seen), -1)
    return stretches


def _late(scores: FloatArray) -> FloatArray:
    return np.concatenate([np.zeros(_SEEN - 1), scores])


def _standard(residual: FloatArray, first: int) -> FloatArray:
    """Return the columns' largest departure in robust standard deviations."""
    known = np.abs(residual[:first])
    scale = np.array([np.median(c[np.isfinite(c)]) if np.isfinite(c).any() else 1 for c in known.T])
    floor = np.array([c[np.isfinite(c)].mean() if np.isfinite(c).any() else 1 for c in known.T])
    scale = np.where(scale > 0, _NORMAL * scale, floor)
    return _strangest(np.abs(residual) / np.maximum(scale, _LEAST))


def _strangest(away: FloatArray) -> FloatArray:
    """Return the largest over the columns, 0 where none is known."""
    largest: FloatArray = np.nan_to_num(away, nan=0.0).max(axis=1)
    return largest
