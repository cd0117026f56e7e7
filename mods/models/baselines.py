"""The rungs that a network has to pass: persistence, seasonal naive, gradient boosting.

Each takes the series as an array `(rows, columns)` and forecasts from given
origins, seeing the rows up to its origin only, and having learned from the
training part only.  Each gives a value for every origin, so that all of them
and the network are judged on the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from mods.models.levels import hold
from mods.models.seasonality import autocorrelation

__all__ = ["GradientBoosting", "naive_period", "persistence", "seasonal_naive"]

#: A lag whose multiples stand out less than this is no period; a random walk reaches 0.1.
MIN_PROMINENCE = 0.2
#: How many earlier periods are asked where a seasonal value is missing.
_CYCLES = 8
#: Rows that the trees learn from at most: the latest of the training part.
_MAX_ROWS = 20_000
_LAGS = (*range(1, 13), 18, 24, 36, 48, 72, 144)


def persistence(values: np.ndarray, origins: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Forecast the last known value.

    Parameters
    ----------
    values
        `(rows, columns)`, float64; NaN where missing.
    origins
        `(origins,)`, int: rows of the last window seen.
    steps
        `(steps,)`, int: windows ahead, from 1.

    Returns
    -------
    numpy.ndarray
        `(origins, steps, columns)`; NaN where a column has no value up to the origin.

    Examples
    --------
    >>> persistence(np.array([[1.0], [np.nan], [5.0]]), np.array([1, 2]), np.array([1])).ravel()
    array([1., 5.])
    """
    known = hold(values)[origins]
    return np.repeat(known[:, None, :], len(steps), axis=1)


def seasonal_naive(
    values: np.ndarray, origins: np.ndarray, steps: np.ndarray, periods: Sequence[int]
) -> np.ndarray:
    """Forecast the value one period before the target, or as many as it takes to be known.

    Where there is none, or a column has no period (0), it is persistence.

    Parameters
    ----------
    values, origins, steps
        As for `persistence`.
    periods
        For each column, windows.

    Examples
    --------
    >>> wave = np.tile([[1.0], [2.0], [3.0]], (3, 1))
    >>> seasonal_naive(wave, np.array([5]), np.array([1, 2, 4]), [3]).ravel()
    array([1., 2., 1.])
    """
    forecast = persistence(values, origins, steps)
    target = origins[:, None] + steps
    for column, period in enumerate(periods):
        if period <= 0:
            continue
        missing = np.ones(target.shape, dtype=bool)
        first = -(
            -steps // period
        )  # the least number of periods that leads to the origin or before
        for cycle in range(_CYCLES):
            row = target - (first + cycle) * period
            value = np.where(row >= 0, values[np.maximum(row, 0), column], np.nan)
            found = missing & np.isfinite(value)
            forecast[..., column] = np.where(found, value, forecast[..., column])
            missing &= ~found
    return forecast


def naive_period(values: np.ndarray, *, horizon: int) -> int:
    """Return the period of a series for `seasonal_naive`, 0 where it has none.

    The lag after the horizon whose multiples stand out of the autocorrelation, of the level
    and of its changes, against the lags half a period beside them; so no drift is taken for a
    period, and no multiple of a period for the period.

    Parameters
    ----------
    values
        `(rows,)`, float64: the training part.
    horizon
        A period is longer.

    Examples
    --------
    >>> hours = np.arange(3000)
    >>> naive_period(1000 + 100 * np.sin(hours / 144 * 2 * np.pi), horizon=12)
    144
    >>> naive_period(np.full(3000, 7.0), horizon=12)
    0
    """
    longest = len(values) // 3
    known = np.isfinite(values)
    if known.sum() < 3 * horizon:
        return 0
    level = _log(values)
    changes = np.diff(level)
    typical = 4 * float(np.nanmean(np.abs(changes))) if np.isfinite(changes).any() else 0.0
    prominence = np.zeros(0)
    # Changes are limited, so that one burst does not decide.
    for series in (np.clip(changes, -typical, typical), level - _trend(level)):
        found = _prominence(autocorrelation(series, longest), horizon + 1)
        prominence = found if len(prominence) == 0 else prominence + found
    inner = prominence[1:-1]
    peaks = np.where((inner >= prominence[:-2]) & (inner >= prominence[2:]), inner, 0.0)
    if len(peaks) == 0 or peaks.max() < MIN_PROMINENCE:
        return 0
    return int(np.argmax(peaks >= 0.85 * peaks.max())) + 1


@dataclass
class GradientBoosting:
    """Boosted trees for each column and step, with absolute-error loss, on log changes.

    Inputs: the level's log, its changes over the last lags, the changes to the same slot of
    earlier periods, the target's place in each period, and its hour and weekday where the
    data carry times.  scikit-learn's `HistGradientBoostingRegressor`.

    Attributes
    ----------
    periods
        For each column, windows; 0 for none.
    per_day
        Windows a day, 0 where that is not known.
    """

    periods: Sequence[int]
    per_day: int = 0
    _trees: dict[tuple[int, int], Any] = field(default_factory=dict, repr=False)

    def fit(self, values: np.ndarray, index: pd.Index, steps: Sequence[int]) -> GradientBoosting:
        """Learn from the training part.

        Parameters
        ----------
        values
            `(rows, columns)`, float64; every target lies in these rows.
        index
            Their labels.
        steps
            For which steps to learn.
        """
        from threadpoolctl import threadpool_limits

        level = _log(values)[-_MAX_ROWS:]
        index = index[-_MAX_ROWS:]
        first = len(values) - len(level)
        # One thread: with more, a busy machine makes each fit wait for its slowest thread, and
        # a fit of two seconds takes a minute.
        with threadpool_limits(limits=1, user_api="openmp"):
            for column in range(values.shape[1]):
                for step in steps:
                    self._fit_one(level[:, column], index, column, step, first)
        return self

    def _fit_one(
        self, level: np.ndarray, index: pd.Index, column: int, step: int, first: int
    ) -> None:
        from sklearn.ensemble import HistGradientBoostingRegressor

        change = _later(level, step) - level
        known = np.isfinite(change)
        if not known.any():
            return
        # Chosen on rows 9,012 to 12,959 of the real series after learning from the first
        # 9,000: larger trees gain nothing there and take up to ten times as long.
        trees = HistGradientBoostingRegressor(
            loss="absolute_error",
            max_iter=200,
            learning_rate=0.05,
            max_leaf_nodes=10,
            min_samples_leaf=80 if known.sum() > 2000 else 20,
            l2_regularization=1.0,
            random_state=0,
        )
        inputs = self._inputs(level, index, column, step, first)
        self._trees[column, step] = trees.fit(inputs[known], change[known])

    def forecast(
        self, values: np.ndarray, index: pd.Index, origins: np.ndarray, steps: np.ndarray
    ) -> np.ndarray:
        """Forecast from the origins: `(origins, steps, columns)`.

        NaN for steps that were not learned; persistence where the origin's value is missing.
        """
        forecast = persistence(values, origins, steps)
        level = _log(values)
        for place, step in enumerate(steps):
            for column in range(values.shape[1]):
                trees = self._trees.get((column, int(step)))
                if trees is None:
                    forecast[:, place, column] = np.nan
                    continue
                inputs = self._inputs(level[:, column], index, column, int(step))[origins]
                start = level[origins, column]
                grown = np.expm1(start + trees.predict(inputs))
                known = np.isfinite(start)
                forecast[known, place, column] = np.maximum(grown[known], 0)
        return forecast

    def _inputs(
        self, level: np.ndarray, index: pd.Index, column: int, step: int, first: int = 0
    ) -> np.ndarray:
        """Return what the trees see at each origin: `(rows, inputs)`, NaN where unknown.

        `first` is the number of the first row, so that places in a period agree.
        """
        inputs = [level, *(level - _earlier(level, lag) for lag in _LAGS)]
        rows = np.arange(len(level)) + first + step
        for period in sorted({self.periods[column], self.per_day} - {0}):
            cycles = -(-step // period)
            for cycle in (cycles, cycles + 1):
                inputs += [_earlier(level, cycle * period - step) - level]
                inputs += [_earlier(level, cycle * period) - level]
            inputs.append(rows % period)
        if isinstance(index, pd.DatetimeIndex) and len(index) > 1:
            target = index + step * (index[1] - index[0])
            inputs += [target.hour.to_numpy() + target.minute.to_numpy() / 60, target.day_of_week]
        return np.column_stack(inputs)


def _trend(series: np.ndarray) -> np.ndarray:
    """Return the straight line that fits a series best: `(rows,)`."""
    known = np.isfinite(series)
    rows = np.arange(len(series)) - np.flatnonzero(known).mean()
    mean, here = series[known].mean(), rows[known]
    slope = (here * (series[known] - mean)).sum() / max((here**2).sum(), 1.0)
    line: np.ndarray = mean + slope * rows
    return line


def _prominence(correlation: np.ndarray, shortest: int) -> np.ndarray:
    """Return for each lag how far its multiples stand out: `(lags,)`, 0 before `shortest`."""
    last = len(correlation) - 1
    prominence = np.zeros(int(last / 2.5) + 1)
    periods = np.arange(shortest, len(prominence))
    multiples = np.minimum(8, (last / periods - 0.5).astype(int))
    for multiple in range(1, int(multiples.max(initial=0)) + 1):
        reached = periods[multiples >= multiple]
        peak, half = multiple * reached, reached // 2
        beside = (correlation[peak - half] + correlation[peak + half]) / 2
        prominence[reached] += correlation[peak] - beside
    prominence[shortest:] /= np.maximum(multiples, 1)
    return prominence


def _log(values: np.ndarray) -> np.ndarray:
    logs: np.ndarray = np.log1p(np.maximum(values, 0))
    return logs


def _earlier(series: np.ndarray, lag: int) -> np.ndarray:
    """Return at each row the value `lag` rows before, NaN where there is none."""
    moved = np.full_like(series, np.nan)
    if lag < len(series):
        moved[lag:] = series[: len(series) - lag]
    return moved


def _later(series: np.ndarray, lag: int) -> np.ndarray:
    return _earlier(series[::-1], lag)[::-1]
