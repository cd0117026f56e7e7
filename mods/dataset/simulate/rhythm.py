"""When things happen: working hours, evenings, periodic jobs, slow wandering."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MINUTES", "Job", "rhythm", "wander"]

Array = NDArray[np.float64]

#: Minutes of a day.
MINUTES = 1440
_KNOTS = 48  # of the wandering, a day
_MEMORY = 0.85  # of one knot in the next: about three hours


@dataclass(frozen=True)
class Job:
    """A periodic job: `length` minutes of work every `period` minutes, `phase` after the epoch."""

    period: int
    phase: int
    length: int

    def curve(self, minute: NDArray[np.int64]) -> Array:
        """Return the rate at each minute since the epoch, its mean over a period 1."""
        running = (minute - self.phase) % self.period < self.length
        rate: Array = running.astype(np.float64) * (self.period / self.length)
        return rate


def rhythm(kind: str, weekday: int, start_of_work: float) -> Array:
    """Return a day's rate at each minute, its mean over a week 1: `(1440,)`.

    Parameters
    ----------
    kind
        `office` (working days, a lunch dip), `home` (evenings and weekends),
        `world` (a mild wave), `flat`, `shift` (nothing at all outside of working hours).
    weekday
        0 is Monday.
    start_of_work
        Hour of the day, UTC.
    """
    week = np.concatenate([_shape(kind, day, start_of_work) for day in range(7)])
    rate: Array = _shape(kind, weekday, start_of_work) / week.mean()
    return rate


def _shape(kind: str, weekday: int, start: float) -> Array:
    hour = np.arange(MINUTES) / 60
    weekend = weekday >= 5
    if kind == "flat":
        return np.ones(MINUTES)
    if kind == "world":
        return 1 + 0.3 * np.cos((hour - 15) * np.pi / 12)
    if kind == "home":
        evening = np.exp(-(((hour - start - 12) / 2.5) ** 2))
        return 0.25 + evening + (0.7 if weekend else 0.25) * _working(hour, start + 1)
    day = _working(hour, start) * (1 - 0.25 * np.exp(-(((hour - start - 4.5) / 0.7) ** 2)))
    if kind == "shift":
        return np.where((day > 0.3) & (not weekend), day, 0.0)
    return 0.05 + day * ((0.08 if weekend else 1.0) - 0.06 * (weekday == 4) * (hour > start + 5))


def _working(hour: Array, start: float) -> Array:
    """Return a plateau of nine and a half hours with soft edges."""
    rise = 1 / (1 + np.exp(-(hour - start) / 0.35))
    fall = 1 / (1 + np.exp((hour - start - 9.5) / 0.6))
    return rise * fall


def wander(seed: int, day: int, series: int) -> Array:
    """Return a day of slow noise, continuous over midnight: `(series, 1440)`, unit variance.

    An autoregression over knots of half an hour.  A day's knots are drawn from
    its own seed, and the process forgets within a day, so that any day can be
    made alone.
    """
    drawn = [
        np.random.default_rng([seed, 11, day + shift]).standard_normal((series, _KNOTS))
        for shift in (0, 1, 2)  # the day before, the day, the day after
    ]
    noise = np.concatenate(drawn, axis=1)
    level = np.zeros(series)
    knots = np.empty((series, _KNOTS + 1))
    for position in range(2 * _KNOTS + 1):
        level = _MEMORY * level + np.sqrt(1 - _MEMORY**2) * noise[:, position]
        if position >= _KNOTS:
            knots[:, position - _KNOTS] = level
    where = np.arange(MINUTES) * (_KNOTS / MINUTES)
    left = where.astype(int)
    part = where - left
    between: Array = knots[:, left] * (1 - part) + knots[:, left + 1] * part
    return between
