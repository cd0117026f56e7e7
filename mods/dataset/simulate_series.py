"""Simulated networks as plain series of windows, for pre-training and for tests.

No logs are made: each slot (one slide of the window) gets its records, bytes,
durations or keys, and a window is what its slots hold together, as in
`mods.dataset.windows`.  Sums of records and bytes are therefore true moving
sums, x[t] - x[t-1] = s[t] - s[t-slots]; distinct counts are true unions.
What the series do is drawn from `mods.dataset.series_patterns`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from mods.dataset import series_patterns as patterns
from mods.dataset.series_patterns import Array, log_uniform
from mods.errors import DataError
from mods.timerange import Window

__all__ = ["KINDS", "SimulatedNetworks", "simulate_networks", "simulate_series"]

#: What a column measures, and the share of it among simulated networks.
KINDS = {"count": 0.55, "distinct": 0.2, "bytes": 0.15, "average": 0.1}

DEFAULT_COLUMNS = ("conn_in", "conn_out", "dns_in_distinct", "ssh_in")
DEFAULT_START = "2024-03-04"  # a Monday
# Series are drawn in groups, each from a stream of its own, to bound the memory.
GROUP = 256


@dataclass(frozen=True)
class SimulatedNetworks:
    """Many series, each of a network of its own.

    Attributes
    ----------
    values
        `(networks, windows)`, float64, NaN where the sensor was out.
    kinds
        `(networks,)`: a name from `KINDS`.
    periods
        `(networks,)`: period of the strongest job in windows, NaN where there is none.
    start
        `(networks,)`: the first window's start in seconds since a Monday's midnight, UTC.
    """

    values: Array
    kinds: NDArray[np.str_]
    periods: Array
    start: NDArray[np.int64]


def simulate_networks(
    seed: int, *, networks: int, windows: int, window: Window
) -> SimulatedNetworks:
    """Simulate one series for each of many unlike networks; equal for equal arguments.

    Parameters
    ----------
    seed
        Networks of different seeds have nothing in common.
    networks, windows
        How many series, and how many windows each.
    window
        The window's length and slide.

    Raises
    ------
    DataError
        Where `networks` or `windows` is less than 1.

    Examples
    --------
    >>> many = simulate_networks(1, networks=3, windows=500, window=Window.parse("w01h-s10m"))
    >>> many.values.shape
    (3, 500)
    """
    _check(networks, windows)
    groups = []
    for first in range(0, networks, GROUP):
        rng = np.random.default_rng([seed, first])
        kinds = rng.choice(list(KINDS), min(GROUP, networks - first), p=list(KINDS.values()))
        start = rng.integers(0, 7 * patterns.DAY // window.slide, kinds.size) * window.slide
        values, periods = _simulate(rng, kinds, windows, window, start)
        groups.append((values, kinds, periods, start))
    values, kinds, periods, start = (np.concatenate(part) for part in zip(*groups, strict=True))
    return SimulatedNetworks(values, kinds, periods, start)


def simulate_series(
    seed: int,
    *,
    windows: int,
    window: Window,
    columns: Sequence[str] = DEFAULT_COLUMNS,
    start: str = DEFAULT_START,
) -> pd.DataFrame:
    """Simulate the columns of one network as a frame; equal for equal arguments.

    Parameters
    ----------
    columns
        Their names tell what they measure: `distinct` a distinct count, `bytes` a sum of
        bytes, `avg` or `duration` an average, anything else a count of records.
    start
        The first window's start, an ISO 8601 date or date-time in UTC.

    Returns
    -------
    pandas.DataFrame
        `(windows, columns)`, float64, index `window_start` in UTC; the sensor's
        outages, NaN, are the same in all columns.

    Examples
    --------
    >>> frame = simulate_series(1, windows=200, window=Window.parse("w01h-s10m"))
    >>> frame.shape, frame.attrs["window"], str(frame.index[1])
    ((200, 4), 'w01h-s10m', '2024-03-04 00:10:00+00:00')
    """
    _check(len(columns), windows)
    if len(set(columns)) < len(columns):
        raise DataError(f"columns {list(columns)!r}", "distinct names")
    index = pd.date_range(
        start, periods=windows, freq=pd.Timedelta(seconds=window.slide), tz="UTC",
        name="window_start", unit="us",
    )  # fmt: skip
    # 1970-01-05 was a Monday.
    since_monday = (index[0].value // 10**9 - 4 * patterns.DAY) % (7 * patterns.DAY)
    rng = np.random.default_rng([seed, windows, window.length, window.slide])
    kinds = np.array([_kind(name) for name in columns])
    values, _ = _simulate(
        rng, kinds, windows, window, np.full(len(columns), since_monday), one_network=True
    )
    frame = pd.DataFrame(values.T, index=index, columns=list(columns))
    frame.attrs["window"] = window.name
    return frame


def _check(series: int, windows: int) -> None:
    if series < 1 or windows < 1:
        raise DataError(f"{series} series of {windows} windows", "at least one of each")


def _kind(column: str) -> str:
    if "distinct" in column:
        return "distinct"
    if "bytes" in column:
        return "bytes"
    return "average" if "avg" in column or "duration" in column else "count"


def _simulate(
    rng: Generator,
    kinds: NDArray[np.str_],
    windows: int,
    window: Window,
    start: NDArray[np.int64],
    *,
    one_network: bool = False,
) -> tuple[Array, Array]:
    """Return the windows' values `(series, windows)` and the jobs' periods `(series,)`."""
    slots = windows + window.slots - 1
    rate, periods = _rate(rng, kinds.size, slots, window.slide, start)
    values = np.empty((kinds.size, windows))
    for kind, realise in _REALISE.items():
        rows = np.flatnonzero(kinds == kind)
        if rows.size:
            values[rows] = realise(rng, rate[rows], window.slots)
    unseen = patterns.outages(rng, 1 if one_network else kinds.size, slots, window.slide)
    # A window is missing where its sensor saw none of it, or, at the stricter, not all of it.
    strict = rng.random((unseen.shape[0], 1)) < 0.5
    seen = _moving_sum((~unseen).astype(np.float64), window.slots)
    missing = np.where(strict, seen < window.slots, seen == 0)
    return np.where(missing, np.nan, values), periods


def _rate(
    rng: Generator, series: int, slots: int, slide: int, start: NDArray[np.int64]
) -> tuple[Array, Array]:
    """Return the rate of traffic in multiples of the usual one, and the jobs' periods."""
    logarithm = patterns.rhythm(rng, series, slots, start, slide)
    logarithm += patterns.coloured_noise(rng, series, slots)
    logarithm += patterns.level_changes(rng, series, slots, slide)
    jobs, periods = patterns.periodic_jobs(rng, series, slots, slide)
    rate = np.exp(np.clip(logarithm, -7.0, 7.0))
    # Bursts and jobs are traffic of their own, which does not follow people's working hours.
    extra = patterns.bursts(rng, series, slots, slide) + jobs
    return (rate + extra) * patterns.on_and_off(rng, series, slots), periods


def _slot_counts(rng: Generator, rate: Array) -> Array:
    """Draw counts with mean `rate`, from Poisson to widely over-dispersed: negative binomial."""
    dispersion = log_uniform(rng, 1e-5, 0.7, (rate.shape[0], 1))
    uneven = rng.gamma(1.0 / dispersion, dispersion, rate.shape)
    return rng.poisson(np.minimum(rate * uneven, 1e12)).astype(np.float64)


def _counts(rng: Generator, rate: Array, slots: int) -> Array:
    level = log_uniform(rng, 0.3, 1e7, (rate.shape[0], 1)) / slots
    return _moving_sum(_slot_counts(rng, rate * level), slots)


def _slot_bytes(rng: Generator, records: Array) -> Array:
    """Sum the sizes of so many records: lognormal in bulk, a few of them of Pareto's law."""
    series = records.shape[0]
    spread = log_uniform(rng, 0.3, 30.0, (series, 1))  # variance of one record's size
    total = rng.gamma(np.maximum(records / spread, 1e-9), spread) * (records > 0)
    large = rng.binomial(records.astype(np.int64), log_uniform(rng, 1e-5, 3e-3, (series, 1)))
    tail = rng.pareto(rng.uniform(1.2, 3.0, (series, 1)), records.shape) + 1.0
    return np.asarray(total + large * np.minimum(tail * log_uniform(rng, 1, 300, (series, 1)), 1e6))


def _bytes(rng: Generator, rate: Array, slots: int) -> Array:
    level = log_uniform(rng, 1.0, 1e5, (rate.shape[0], 1)) / slots
    size = log_uniform(rng, 40.0, 1e5, (rate.shape[0], 1))
    return _moving_sum(np.floor(_slot_bytes(rng, _slot_counts(rng, rate * level)) * size), slots)


def _averages(rng: Generator, rate: Array, slots: int) -> Array:
    """Averages over a window's records; missing where there are none."""
    series, length = rate.shape
    records = _slot_counts(rng, rate * log_uniform(rng, 3.0, 1e5, (series, 1)) / slots)
    own = patterns.coloured_noise(rng, series, length)
    seconds = _slot_bytes(rng, records) * np.exp(np.clip(own, -5, 5))
    seconds *= log_uniform(rng, 1e-2, 300.0, (series, 1))
    count = _moving_sum(records, slots)
    total = _moving_sum(seconds, slots)
    return np.where(count > 0, np.round(total, 6) / np.maximum(count, 1.0), np.nan)


def _distinct(rng: Generator, rate: Array, slots: int) -> Array:
    """Distinct keys a window: popular ones that return, and ones never seen before.

    Keys of one popularity are interchangeable, so it is enough to count how many were
    last seen so many slots ago; each slot, every key is seen again by chance.
    """
    series, length = rate.shape
    fresh = log_uniform(rng, 0.02, 3e4, (series, 1)) / slots * (rng.random((series, 1)) < 0.7)
    values = _moving_sum(_slot_counts(rng, rate * fresh), slots)
    for _popularity in range(3):
        keys = np.floor(log_uniform(rng, 1.0, 3e3, series)).astype(np.int64)
        contacts = rate * log_uniform(rng, 0.002, 5.0, (series, 1)) / slots  # a key and slot
        again = (1.0 - np.exp(-contacts)).T.copy()  # (length, series)
        ages = np.zeros((series, slots + 1), dtype=np.int64)  # last: not in the window
        ages[:, -1] = keys
        union = np.empty((length, series))
        for slot in range(length):
            seen = rng.binomial(ages, again[slot][:, None])
            left = ages - seen
            ages[:, 0] = seen.sum(axis=1)
            ages[:, 1:] = left[:, :-1]
            ages[:, -1] += left[:, -1]
            union[slot] = keys - ages[:, -1]
        values += union.T[:, slots - 1 :]
    return values


_REALISE = {"count": _counts, "distinct": _distinct, "bytes": _bytes, "average": _averages}


def _moving_sum(values: Array, slots: int) -> Array:
    """Return sums over `slots` neighbours: `(series, n)` to `(series, n - slots + 1)`."""
    sums: Array = np.lib.stride_tricks.sliding_window_view(values, slots, axis=1).sum(axis=-1)
    return sums
