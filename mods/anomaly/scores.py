"""How strange each window is, under all that was expected of it.

Three witnesses are heard, column by column and for either direction:

- the **forecasts** of the window, 1 to 12 steps ahead, each as a distance in
  standard deviations of its calibrated interval. The one from four windows
  before is the sharpest: near enough to know the level, far enough not to have
  seen the incident.  It counts as far as the others and the days before agree;
- the **days before** (`mods.anomaly.expected`), which an incident cannot spoil;
- what was **held**: a sharp departure is remembered while the column stays away
  from what the days before expected, for the forecasts soon take it for normal.

A column's score is `3 * softplus(sharp - 4.5) + 2 * log(1 + slow)`, where `slow` is
`days + held / 2`, at most 12; the window's is the 8-norm of the columns', so one
wild column counts alone, and several uneasy ones count more than each.

A score is 0 or more, without unit, higher is stranger; about 5 is where one
window a day lies on an ordinary network, 100 and more is possible.  Warm-up:
from the first forecast on, sharper from the third day, when the days before are
known, and from the second week, when the weeks before are.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from mods.anomaly.expected import Habit, log_units
from mods.anomaly.forecasts import FloatArray, Forecasts

__all__ = ["Scorer", "Scores", "score_windows"]

#: The step of the sharpest forecast.
SHARP_STEP = 4
#: Beyond so many standard deviations a departure is sharp.
SHARP = 4.5
#: Forecasts tell no more than so many standard deviations.
LIMIT = 30.0
#: No interval is narrower than this on one side, in log units.
LEAST_WIDTH = 0.02
#: The sharpest forecast counts up to so many times what the other witnesses say.
_MEAN_AGREES, _DAYS_AGREE = 3.0, 4.0
#: What is held fades by a hundredth a window, and at once where the days before are met again.
_HELD, _AWAY = 0.99, 2.0
#: Slow departures beyond this are alike: a day may be unlike all others, and be no incident.
MOST_SLOW = 12.0
_SHARP_WEIGHT, _SLOW_WEIGHT, _HELD_WEIGHT = 3.0, 2.0, 0.5
_NORM = 8.0


@dataclass(frozen=True)
class Scores:
    """The scores of consecutive windows.

    Attributes
    ----------
    window
        `(windows,)`, float64, 0 or more; NaN where every column is missing.
    columns
        `(windows, columns)`, float64, 0 or more; NaN where the column is missing.
    direction
        `(windows, columns)`, int8: 1 for more than expected, -1 for less, 0 where missing.
    """

    window: FloatArray
    columns: FloatArray
    direction: np.ndarray


class Scorer:
    """Scores windows as they come, one or many at a time, with the same result.

    Parameters
    ----------
    columns
        How many.
    per_day
        Windows a day.
    coverage
        What the forecasts' intervals hold.
    """

    def __init__(self, columns: int, *, per_day: int = 144, coverage: float = 0.9) -> None:
        self._habit = Habit(columns, per_day)
        # Half of an interval in standard deviations.
        self._half = NormalDist().inv_cdf(0.5 + coverage / 2)
        # (directions, columns)
        self._held = np.zeros((2, columns))

    def update(
        self, actual: FloatArray, point: FloatArray, lower: FloatArray, upper: FloatArray
    ) -> Scores:
        """Score the next windows.

        Parameters
        ----------
        actual
            `(windows, columns)`, the columns' units; NaN where missing.
        point, lower, upper
            `(windows, steps, columns)`: forecasts of these windows, made 1, 2, ... windows
            before; NaN where there is none.
        """
        values = log_units(actual)
        away = self._distances(values, point, lower, upper)
        days = self._habit.departures(values)
        with_sign = np.array([1.0, -1.0])[:, None, None]
        sharp, mean = _agreed(away, days, with_sign)
        held = self._hold(np.maximum(sharp - SHARP, 0), with_sign * days, np.isnan(values))
        slow = np.where(np.isnan(days), mean, with_sign * days) + _HELD_WEIGHT * held
        either = _SHARP_WEIGHT * np.logaddexp(0, sharp - SHARP)
        either = either + _SLOW_WEIGHT * np.log1p(np.clip(slow, 0, MOST_SLOW))
        direction = np.where(either[0] >= either[1], 1, -1)
        columns = np.where(np.isnan(values), np.nan, either.max(axis=0))
        missing = np.isnan(columns)
        total = (np.where(missing, 0, columns) ** _NORM).sum(axis=1) ** (1 / _NORM)
        return Scores(
            window=np.where(missing.all(axis=1), np.nan, total),
            columns=columns,
            direction=np.where(missing, 0, direction).astype(np.int8),
        )

    def _distances(
        self, values: FloatArray, point: FloatArray, lower: FloatArray, upper: FloatArray
    ) -> FloatArray:
        """Return `(windows, steps, columns)`: standard deviations from each forecast."""
        middle = log_units(point)
        gap = values[:, None] - middle
        width = np.where(gap > 0, log_units(upper) - middle, middle - log_units(lower))
        distance = self._half * gap / np.maximum(width, LEAST_WIDTH)
        return np.clip(distance, -LIMIT, LIMIT)

    def _hold(self, excess: FloatArray, days: FloatArray, missing: np.ndarray) -> FloatArray:
        """Return what is remembered of sharp departures: `(2, windows, columns)`."""
        away = np.clip(np.nan_to_num(days) / _AWAY, 0, 1) * _HELD
        # While a column is silent nothing is learned, and nothing forgotten.
        away = np.where(missing, 1.0, away)
        remembered = np.empty_like(excess)
        held = self._held
        for row in range(excess.shape[1]):
            held = np.maximum(excess[:, row], held * away[:, row])
            remembered[:, row] = held
        self._held = held
        return remembered


def _agreed(away: FloatArray, days: FloatArray, sign: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the sharp departure and the mean of all steps, `(2, windows, columns)` each."""
    known = np.isfinite(away)
    mean = np.where(known, away, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    nearest = away[:, min(SHARP_STEP, away.shape[1]) - 1]
    sharp = sign * np.where(np.isnan(nearest), mean, nearest)
    sharp = np.minimum(sharp, _MEAN_AGREES * sign * mean)
    bound = np.where(np.isnan(days), LIMIT, _DAYS_AGREE * sign * days)
    return np.maximum(np.minimum(sharp, bound), 0), sign * mean


def score_windows(forecasts: Forecasts, *, coverage: float = 0.9) -> Scores:
    """Score all windows of a forecast table.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> n = 5 * 144
    >>> actual = rng.normal(1000, 20, size=(n, 1))
    >>> actual[700:712] *= 1.5
    >>> level = np.full((n, 12, 1), 1000.0)
    >>> import pandas as pd
    >>> forecasts = Forecasts(pd.RangeIndex(n, name="row"), ("conn_in",), actual,
    ...                       level, level - 33, level + 33, per_day=144)
    >>> scores = score_windows(forecasts)
    >>> int(scores.window.argmax()) in range(700, 712), float(scores.window[:700].max()) < 6
    (True, True)
    """
    scorer = Scorer(len(forecasts.columns), per_day=forecasts.per_day, coverage=coverage)
    return scorer.update(forecasts.actual, forecasts.point, forecasts.lower, forecasts.upper)
