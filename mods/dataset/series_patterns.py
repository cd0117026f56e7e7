"""What a network's series are made of: rhythms, periodic jobs, noise, bursts, outages.

Every function draws one pattern for many series at once and returns
`(series, slots)` arrays, float64; a slot is one slide of the window.  Ranges
are broad on purpose: they cover what networks do, and none is fitted to one.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

__all__ = [
    "autoregressive",
    "bursts",
    "coloured_noise",
    "level_changes",
    "log_uniform",
    "on_and_off",
    "outages",
    "periodic_jobs",
    "rhythm",
]

Array = NDArray[np.float64]

DAY = 86400
#: Periods, in seconds, that people give to jobs; half of the jobs use one of them.
USUAL_PERIODS = np.array(
    [300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600, 28800, 43200, DAY, 2 * DAY, 7 * DAY]
)


def log_uniform(
    rng: Generator, low: float, high: float, size: int | tuple[int, ...] | None = None
) -> Array:
    """Draw numbers whose logarithm is uniform between `low` and `high`."""
    return np.asarray(np.exp(rng.uniform(np.log(low), np.log(high), size)))


def autoregressive(rng: Generator, memory: Array, slots: int) -> Array:
    """Stationary first-order autoregressive noise of variance 1.

    Parameters
    ----------
    memory
        `(series,)`: after so many slots the correlation has fallen to 1/e.

    Returns
    -------
    Array
        `(series, slots)`.

    Examples
    --------
    >>> noise = autoregressive(np.random.default_rng(1), np.array([20.0]), 50_000)[0]
    >>> bool(abs(np.corrcoef(noise[20:], noise[:-20])[0, 1] - np.exp(-1)) < 0.1)
    True
    """
    keep = np.exp(-1.0 / memory)
    noise = rng.standard_normal((slots, memory.size))
    noise[1:] *= np.sqrt(1.0 - keep**2)
    return _leaky_sum(noise, keep)


def coloured_noise(rng: Generator, series: int, slots: int) -> Array:
    """Noise on the logarithm of the rate: a mix of memories from one slot to months."""
    scale = log_uniform(rng, 0.003, 0.6, series)
    weights = rng.dirichlet([0.4, 0.4, 0.4], series)  # (series, 3): quick, middle, slow
    total = np.zeros((series, slots))
    for column, (low, high) in enumerate([(0.3, 6.0), (4.0, 150.0), (100.0, 10_000.0)]):
        noise = autoregressive(rng, log_uniform(rng, low, high, series), slots)
        total += noise * (scale * np.sqrt(weights[:, column]))[:, None]
    return total


def rhythm(rng: Generator, series: int, slots: int, start: NDArray[np.int64], slide: int) -> Array:
    """Daily and weekly rhythm of the logarithm of the rate, or none.

    Days have bumps or a working day's plateau, of any phase (sites lie in any
    time zone); weekends and holidays damp them; no two days are quite equal.

    Parameters
    ----------
    start
        `(series,)`: the first slot's time in seconds since a Monday's midnight, UTC.
    slide
        Seconds a slot.
    """
    clock = start[:, None] + np.arange(slots) * slide  # (series, slots), seconds
    day, second = np.divmod(clock, DAY)
    grid = np.arange(0, DAY, 300) / DAY
    profile = _day_profile(rng, series, grid)
    shape = np.take_along_axis(profile, second // 300, axis=1)

    days = int(day.max()) + 2
    weekend = np.zeros((series, days), dtype=bool)
    free = np.where(rng.random(series)[:, None] < 0.8, [5, 6], [4, 5])  # Sat-Sun or Fri-Sat
    for column in range(2):
        weekend |= np.arange(days) % 7 == free[:, [column]]
    weekend |= rng.random((series, days)) < 0.02  # holidays
    swing = np.where(weekend, rng.uniform(0.0, 1.2, series)[:, None], 1.0)
    swing *= np.exp(rng.normal(0.0, 1.0, (series, days)) * rng.uniform(0, 0.3, series)[:, None])
    level = np.where(weekend, -log_uniform(rng, 0.01, 1.5, series)[:, None], 0.0)
    level += rng.normal(0.0, 1.0, (series, days)) * log_uniform(rng, 0.003, 0.15, series)[:, None]

    weekly = rng.random(series) < 0.6
    swing[~weekly], level[~weekly] = 1.0, 0.0
    amplitude = log_uniform(rng, 0.02, 2.5, series) * (rng.random(series) < 0.7)
    return np.asarray(
        amplitude[:, None] * shape * np.take_along_axis(swing, day, axis=1)
        + np.take_along_axis(level, day, axis=1)
    )


def _day_profile(rng: Generator, series: int, grid: Array) -> Array:
    """Shapes of a day between 0 and 1: `(series, grid)`."""
    bumps = np.zeros((series, grid.size))
    for column in range(3):
        angle = 2 * np.pi * (grid - rng.random((series, 1)))
        width = log_uniform(rng, 0.4, 80.0, (series, 1))
        height = rng.uniform(0.2, 1.0, (series, 1)) * (rng.random((series, 1)) < 0.8**column)
        bumps += height * np.exp(width * (np.cos(angle) - 1.0))
    since = (grid - rng.random((series, 1))) % 1.0
    length, edge = rng.uniform(0.15, 0.6, (series, 1)), log_uniform(rng, 0.002, 0.08, (series, 1))
    plateau = np.clip(since / edge, 0, 1) * np.clip((length + edge - since) / edge, 0, 1)
    share = rng.choice([0.0, 0.5, 1.0], (series, 1))
    profile = (1 - share) * bumps + share * plateau
    low, high = profile.min(1, keepdims=True), profile.max(1, keepdims=True)
    return np.asarray((profile - low) / np.maximum(high - low, 1e-9))


def level_changes(rng: Generator, series: int, slots: int, slide: int) -> Array:
    """Slow growth, lasting shifts of level, and phases of another level that end again."""
    per_day = DAY / slide
    slope = rng.normal(0.0, 0.01, series) * (rng.random(series) < 0.5)
    total = slope[:, None] * np.arange(slots) / per_day
    # Sizes spread widely: most shifts are slight, some change the network.
    rate = log_uniform(rng, 0.02, 0.5, series) * (rng.random(series) < 0.5) / per_day
    size = log_uniform(rng, 0.05, 1.0, (series, 1))
    shifts = (rng.random((series, slots)) < rate[:, None]) * rng.normal(0, size, (series, slots))
    total += np.cumsum(shifts, axis=1)
    rate = log_uniform(rng, 0.02, 2.0, series) * (rng.random(series) < 0.4) / per_day
    size = log_uniform(rng, 0.05, 1.5, (series, 1))
    begin = (rng.random((series, slots)) < rate[:, None]) * rng.normal(0, size, (series, slots))
    return total + _boxes(rng, begin, log_uniform(rng, 2.0, 2.0 * per_day, series))


def bursts(rng: Generator, series: int, slots: int, slide: int) -> Array:
    """Sudden traffic in multiples of the usual rate: it decays, or holds and ends."""
    per_day = DAY / slide
    rate = log_uniform(rng, 0.02, 6.0, series) * (rng.random(series) < 0.5) / per_day
    height = log_uniform(rng, 0.05, 10.0, (series, 1))
    spread = rng.uniform(0.1, 1.2, (series, 1))
    sizes = height * np.exp(spread * rng.standard_normal((series, slots)))
    begin = (rng.random((series, slots)) < rate[:, None]) * sizes
    length = log_uniform(rng, 0.3, 60.0, series)
    decaying = _leaky_sum(begin.T.copy(), np.exp(-1.0 / length))
    holding = _boxes(rng, begin, length)
    return np.where(rng.random((series, 1)) < 0.6, decaying, holding)


def periodic_jobs(rng: Generator, series: int, slots: int, slide: int) -> tuple[Array, Array]:
    """Jobs by the clock, in multiples of the usual rate: any period, with jitter and failures.

    Returns
    -------
    Array
        `(series, slots)`: the traffic of all jobs of a series.
    Array
        `(series,)`: the period of the strongest in slots, NaN where there is none.
    """
    total, period_slots = np.zeros((series, slots)), np.full(series, np.nan)
    for row in np.flatnonzero(rng.random(series) < 0.6):
        main = _period(rng, slide)
        strongest = 0.0
        for _job in range(rng.integers(1, 5)):
            # Most of a host's schedule shares one period; some jobs have their own.
            period = main if rng.random() < 0.7 else _period(rng, slide)
            height = float(log_uniform(rng, 0.05, 12.0))
            total[row] += height * _job_runs(rng, slots, period / slide)
            if height > strongest:
                strongest, period_slots[row] = height, period / slide
    return total, period_slots


def _period(rng: Generator, slide: int) -> float:
    """Draw a period in seconds, at least half a slot."""
    usual = [period for period in USUAL_PERIODS if 2 * period >= slide]
    if rng.random() < 0.5:
        return float(rng.choice(usual))
    return float(log_uniform(rng, max(300, slide / 2), 4 * DAY))


def _job_runs(rng: Generator, slots: int, period: float) -> Array:
    """Return one job's traffic: `(slots,)`, its runs about 1 high in the first slot."""
    runs = np.arange(rng.random() * period - period, slots, period)
    jitter = rng.choice([0.0, 0.02, 0.1, 0.3]) * min(period, 6.0)
    runs = runs + rng.normal(0.0, 1.0, runs.size) * jitter
    sizes = np.exp(rng.normal(0.0, 1.0, runs.size) * log_uniform(rng, 0.01, 0.6))
    sizes *= rng.random(runs.size) >= rng.choice([0.0, 0.0, 0.02, 0.15])
    place = np.floor(runs).astype(np.int64)
    inside = (place >= 0) & (place < slots)
    traffic = np.bincount(place[inside], weights=sizes[inside], minlength=slots)
    length = int(np.ceil(min(float(log_uniform(rng, 0.5, 24.0)), max(1.0, period / 2))))
    kernel = np.exp(-np.arange(length) / log_uniform(rng, 0.5, 50.0))
    return np.convolve(traffic, kernel)[:slots]


def on_and_off(rng: Generator, series: int, slots: int) -> Array:
    """Return a factor on the rate that is 1 or next to nothing, for series that come and go."""
    active = log_uniform(rng, 1.0, 200.0, series)
    silent = log_uniform(rng, 2.0, 300.0, series)
    switch = rng.random((slots, series))
    state = rng.random(series) < active / (active + silent)
    states = np.empty((slots, series), dtype=bool)
    for slot in range(slots):
        state = np.where(state, switch[slot] >= 1.0 / active, switch[slot] < 1.0 / silent)
        states[slot] = state
    floor = np.where(rng.random(series) < 0.6, 0.0, log_uniform(rng, 0.003, 0.2, series))
    comes_and_goes = rng.random(series) < 0.15
    return np.where(states.T | ~comes_and_goes[:, None], 1.0, floor[:, None])


def outages(rng: Generator, series: int, slots: int, slide: int) -> NDArray[np.bool_]:
    """Which slots the sensor did not see: `(series, slots)`, bool."""
    per_day = DAY / slide
    rate = log_uniform(rng, 0.01, 0.4, series) * (rng.random(series) < 0.4) / per_day
    begin = (rng.random((series, slots)) < rate[:, None]).astype(np.float64)
    return _boxes(rng, begin, log_uniform(rng, 1.0, 0.7 * per_day, series)) > 0


def _leaky_sum(values: Array, keep: Array) -> Array:
    """Sum along the first axis, a share `keep` staying: `(slots, series)` to `(series, slots)`."""
    for slot in range(1, values.shape[0]):
        values[slot] += keep * values[slot - 1]
    return values.T


def _boxes(rng: Generator, begin: Array, length: Array) -> Array:
    """Hold each value of `begin` for an exponentially distributed time of mean `length`."""
    series, slots = begin.shape
    row, slot = np.nonzero(begin)
    held = 1 + np.floor(rng.exponential(1.0, row.size) * length[row]).astype(np.int64)
    edges = np.zeros((series, slots + 1))
    np.add.at(edges, (row, slot), begin[row, slot])
    np.add.at(edges, (row, np.minimum(slot + held, slots)), -begin[row, slot])
    # Sums of differences leave a rest in the last digits where a box has ended.
    total = np.cumsum(edges[:, :slots], axis=1)
    return np.where(np.abs(total) < 1e-9, 0.0, total)
