"""What the days before expected of a window: the same slot of earlier days and weeks.

A forecast has seen an incident as soon as its origin lies inside it; the days
before never have.  Two expectations are asked, the last seven days and the same
weekday of the last three weeks, and a window departs only as far as it departs
from both: neither a weekend nor an unusual week is strange by itself.  A small
departure that goes on for hours is stranger than its windows one by one.

All is in log units, `sign(x) * log(1 + |x|)`, relative to how far the column
departed on an ordinary window of the last sixty days.
"""

from __future__ import annotations

import numpy as np

from mods.anomaly.forecasts import FloatArray

__all__ = ["DAYS", "KEPT_DAYS", "WEEKS", "Habit", "known_median", "log_units", "same_sign"]

#: Days back whose same slot is looked at, by expectation.
DAYS = tuple(range(1, 8))
WEEKS = (7, 14, 21)
#: Days over which the ordinary departure is measured.
KEPT_DAYS = 60
#: No column is steadier than this, in log units: below it, a count's rounding would be strange.
LEAST_SCALE = 0.02
#: Departures are limited to so many ordinary ones.
LIMIT = 60.0
#: How much of a departure its moving average takes: half of it is from the last seven windows.
_NEW = 0.1
#: What lasts counts so much, up to so many times the window's own departure.
_LASTING, _LASTS = 1.2, 1.8
#: The average of no column's departures is steadier than this, in ordinary departures.
_LEAST_LASTING = 0.2
#: A normal distribution's median departure is its standard deviation over this.
_NORMAL = 1.4826


def log_units(values: FloatArray) -> FloatArray:
    """Return `sign(x) * log(1 + |x|)`: shares for large values, units for small ones.

    Examples
    --------
    >>> log_units(np.array([0.0, np.e - 1, 1 - np.e])).round(3).tolist()
    [0.0, 1.0, -1.0]
    """
    units: FloatArray = np.sign(values) * np.log1p(np.abs(values))
    return units


def known_median(values: FloatArray) -> FloatArray:
    """Return the median over the first axis of what is known; NaN where nothing is.

    Examples
    --------
    >>> known_median(np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, 5.0]])).tolist()
    [2.0, 5.0]
    """
    ordered = np.sort(values, axis=0)  # NaN last
    count = np.isfinite(values).sum(axis=0)
    low = np.maximum((count - 1) // 2, 0)[None]
    high = np.minimum(count // 2, np.maximum(count - 1, 0))[None]
    middle = np.take_along_axis(ordered, low, 0) + np.take_along_axis(ordered, high, 0)
    median: FloatArray = middle[0] / 2
    return median


def same_sign(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return the smaller of two departures, 0 where they disagree; the known one where one is not.

    Examples
    --------
    >>> same_sign(np.array([3.0, 3.0, -2.0]), np.array([2.0, -1.0, np.nan])).tolist()
    [2.0, 0.0, -2.0]
    """
    agreed = np.where(
        np.sign(one) == np.sign(other), np.sign(one) * np.minimum(np.abs(one), np.abs(other)), 0.0
    )
    agreed = np.where(np.isnan(one), other, np.where(np.isnan(other), one, agreed))
    result: FloatArray = agreed
    return result


class Habit:
    """The days before, one window at a time or many at once, with the same result.

    Parameters
    ----------
    columns
        How many.
    per_day
        Windows a day.
    """

    def __init__(self, columns: int, per_day: int) -> None:
        self._per_day = per_day
        self._values = np.full((max(WEEKS) * per_day, columns), np.nan)
        self._departed = _Ordinary((2, columns), per_day, LEAST_SCALE)
        self._lasted = _Ordinary((1, columns), per_day, _LEAST_LASTING)
        self._mean = np.zeros(columns)

    def departures(self, values: FloatArray) -> FloatArray:
        """Return how far the next windows depart from the days before, and learn them.

        What has departed to the same side for hours departs further: as far as its moving
        average does from ordinary ones, and at most `_LASTS` times what the window itself does.

        Parameters
        ----------
        values
            `(windows, columns)`, log units; NaN where missing.

        Returns
        -------
        numpy.ndarray
            `(windows, columns)`, in ordinary departures, signed, within `LIMIT`; NaN where
            the value or every expectation of it is missing (the first two days).
        """
        if len(values) == 0:
            return values.copy()
        scaled = self._departed.relative(self._residuals(values))
        joined = np.concatenate([self._values, values])
        self._values = joined[-len(self._values) :].copy()
        away = np.clip(same_sign(scaled[0], scaled[1]), -LIMIT, LIMIT)
        lasting = _LASTING * self._lasted.relative(self._means(away)[None])[0]
        further = np.minimum(np.abs(lasting), _LASTS * np.abs(away))
        # Nothing lasts before its ordinary size is known.
        further = np.where(np.sign(lasting) == np.sign(away), further, 0.0)
        departures: FloatArray = np.clip(
            np.sign(away) * np.maximum(np.abs(away), further), -LIMIT, LIMIT
        )
        return departures

    def _residuals(self, values: FloatArray) -> FloatArray:
        """Return `(2, windows, columns)`: less the median of the days, and of the weeks."""
        known = np.concatenate([self._values, values])
        start, count = len(self._values), len(values)
        residuals = []
        for lags in (DAYS, WEEKS):
            starts = [start - lag * self._per_day for lag in lags]
            earlier = np.stack([known[at : at + count] for at in starts])
            residuals.append(values - known_median(earlier))
        return np.stack(residuals)

    def _means(self, away: FloatArray) -> FloatArray:
        """Return the moving average of the departures; what is missing leaves it as it was."""
        means = np.empty_like(away)
        mean = self._mean
        for row, departure in enumerate(away):
            missing = np.isnan(departure)
            mean = np.where(missing, mean, mean + _NEW * (departure - mean))
            means[row] = np.where(missing, np.nan, mean)
        self._mean = mean
        return means


class _Ordinary:
    """How large something ordinarily is, measured once a day from what came before.

    Parameters
    ----------
    shape
        `(kinds, columns)`.
    per_day
        Windows a day.
    least
        Nothing is ordinarily smaller.
    """

    def __init__(self, shape: tuple[int, int], per_day: int, least: float) -> None:
        kinds, columns = shape
        self._per_day, self._least = per_day, least
        # (kinds, windows, columns): how large the last ones were
        self._past = np.full((kinds, KEPT_DAYS * per_day, columns), np.nan)
        self._scale = np.full((kinds, columns), np.nan)
        self._seen = 0

    def relative(self, values: FloatArray) -> FloatArray:
        """Return the next values, `(kinds, windows, columns)`, in ordinary ones, and learn them."""
        past = np.concatenate([self._past, np.abs(values)], axis=1)
        kept, count = self._past.shape[1], values.shape[1]
        scaled = np.empty_like(values)
        row = 0
        while row < count:
            if (self._seen + row) % self._per_day == 0:
                self._scale = self._measure(past[:, row : row + kept])
            end = min(count, row + self._per_day - (self._seen + row) % self._per_day)
            scaled[:, row:end] = values[:, row:end] / self._scale[:, None]
            row = end
        self._seen += count
        self._past = past[:, -kept:].copy()
        return scaled

    def _measure(self, past: FloatArray) -> FloatArray:
        """Return the ordinary size by kind and column, NaN before half a day is known."""
        count = np.isfinite(past).sum(axis=1)
        middle = _NORMAL * known_median(past.swapaxes(0, 1))
        mean = np.nansum(past, axis=1) / np.maximum(count, 1)
        # A column that rests most of the time has no median departure; its bursts tell its scale.
        scale = np.where(middle < self._least, np.maximum(mean, self._least), middle)
        return np.where(count >= max(1, self._per_day // 2), scale, np.nan)
