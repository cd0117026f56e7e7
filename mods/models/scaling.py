"""Scale-free inputs: each column relative to its own recent level and spread, and back.

A value `x` becomes `z = asinh(x / floor)`, where `floor` is a small share of the
column's recent mean: like a logarithm for values well above the floor, and
defined for zeros and negative values too.  A window of `z` is then expressed
relative to its anchor (the last value, or the window's mean) in units of the
spread, the recent typical change from one window to the next.  A column times
1,000 gives the same inputs, so one network serves any column of any network.

Nothing here looks past the origin: what stands at row `t` is made of rows up to
`t`.  Missing values are never replaced by others: the last known value is held
so that differences are zero, and a channel of its own says what was observed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mods.models.clock import CALENDAR, calendar
from mods.models.levels import Levels

__all__ = [
    "CHANNELS",
    "LARGEST_TARGET",
    "PERIODS",
    "ColumnInputs",
    "InputPlan",
    "column_inputs",
    "context_names",
    "put_back",
    "row_windows",
    "targets",
]

#: The channels of a window, in order.
CHANNELS = ("level", "change", "slot", "observed")
#: How many earlier periods a seasonal median takes: for any column, and for those of a model.
CYCLES, OWN_CYCLES = 5, 12
#: Rows before the origin that are looked at, at most: five weeks of ten-minute windows.
LOOKBACK = 5 * 1008
#: Recent windows whose distance to the seasonal values is an input.
RECENT = 6
#: Targets are limited to so many typical ones, so that no outage decides when to stop.
LARGEST_TARGET = 10.0
PERIODS = ("own", "day", "week")
#: How many spreads changes and levels typically span.
_CHANGE, _LEVEL = 3.0, 8.0
_LIMIT = 10.0


@dataclass(frozen=True)
class InputPlan:
    """What the inputs of a network are made of.

    Attributes
    ----------
    sequence_len
        Windows that a network looks at one by one.
    horizon
        Steps that it forecasts.
    slots
        Slides in a window's length: so many windows share a slot.
    model_delta
        Forecast the change from the last window; otherwise from the window's mean.
    interpolate
        Fill gaps inside a window linearly and treat them as observed.
    utc_offset
        Hours that the site's clock is ahead of UTC, for the calendar.
    cycles
        Earlier periods that a seasonal median takes.
    """

    sequence_len: int
    horizon: int
    slots: int = 6
    model_delta: bool = True
    interpolate: bool = False
    utc_offset: float = 0.0
    cycles: int = CYCLES


@dataclass(frozen=True)
class ColumnInputs:
    """Inputs of one column at some origins, and what is needed to put forecasts back.

    Attributes
    ----------
    sequence
        `(windows, sequence_len, channels)`, float32, without unit.
    context
        `(windows, features)`, float32: seasonal, mechanical and calendar inputs.
    anchor, spread
        `(windows,)`, float64, in units of `z`.
    floor
        `(windows,)`, float64, in the column's unit; 0 where all recent values are zero, NaN
        where nothing was observed yet.
    signed
        `(windows,)`, bool: negative values were seen up to the origin.
    """

    sequence: np.ndarray
    context: np.ndarray
    anchor: np.ndarray
    spread: np.ndarray
    floor: np.ndarray
    signed: np.ndarray

    def take(self, places: np.ndarray) -> ColumnInputs:
        """Return the inputs at some of the origins."""
        return ColumnInputs(**{name: value[places] for name, value in vars(self).items()})


def context_names(plan: InputPlan) -> list[str]:
    """Return the names of the context's features, in order.

    Examples
    --------
    >>> names = context_names(InputPlan(sequence_len=36, horizon=2))
    >>> names[:4], len(names)
    (['roll_off+1', 'roll_off+2', 'own_last+1', 'own_last+2'], 61)
    """
    names = [f"roll_off+{k}" for k in range(1, plan.horizon + 1)]
    for period in PERIODS:
        for kind in ("last", "median"):
            names += [f"{period}_{kind}+{k}" for k in range(1, plan.horizon + 1)]
            names += [f"{period}_{kind}_gap-{j}" for j in reversed(range(RECENT))]
        names.append(f"{period}_known")
    return names + [f"calendar_{name}" for name in CALENDAR]


def column_inputs(
    values: np.ndarray,
    origins: np.ndarray,
    plan: InputPlan,
    periods: Sequence[np.ndarray | Sequence[int]],
    times: pd.DatetimeIndex | None = None,
) -> Iterator[ColumnInputs]:
    """Yield the inputs of each column at the given origins.

    Parameters
    ----------
    values
        `(rows, columns)`, float64; NaN where missing.
    origins
        `(windows,)`, int, ascending: positions of the last window seen, each at least
        `sequence_len - 1`.
    plan
        What the inputs are made of.
    periods
        For each column the windows of its seasonal inputs (see `seasonality.seasonal_periods`),
        0 for none: `(3,)`, or `(windows, 3)` where they are not the same at all origins.
    times
        Window starts of the rows; None where the data carry none, and then the calendar
        inputs are masked.
    """
    levels = Levels.of(values, plan.slots)
    around = calendar(times, origins, plan.utc_offset)
    for place, own in enumerate(periods):
        yield _inputs(levels.column(place), origins, plan, own, around)


def _inputs(
    levels: Levels,
    origins: np.ndarray,
    plan: InputPlan,
    periods: np.ndarray | Sequence[int],
    around: np.ndarray,
) -> ColumnInputs:
    floor, spread = levels.floor[origins], levels.spread[origins]
    safe = np.where(floor > 0, floor, 1.0)
    raw, observed = row_windows(levels.values, levels.held, origins, plan)
    z = np.arcsinh(raw / safe[:, None])
    anchor = z[:, -1] if plan.model_delta else z.mean(axis=1)
    sequence = np.zeros((len(origins), plan.sequence_len, len(CHANNELS)), dtype=np.float32)
    sequence[:, :, 0] = _limit((z - anchor[:, None]) / (_LEVEL * spread[:, None]))
    if plan.model_delta:
        sequence[:, 1:, 1] = _limit(np.diff(z, axis=1) / spread[:, None])
    scale = np.maximum(np.abs(raw[:, -1]), safe) * spread
    departures = _rows(levels.slot, origins, plan.sequence_len)
    sequence[:, :, 2] = _limit(departures / scale[:, None])
    sequence[:, :, 3] = observed

    parts = [_roll_off(raw[:, -1], departures, safe, plan) / (_CHANGE * spread[:, None])]
    every = np.broadcast_to(periods, (len(origins), len(PERIODS)))
    recent = np.arcsinh(_rows(levels.held, origins, RECENT) / safe[:, None])
    parts += [_seasonal(levels.values, recent, origins, e, safe, spread, plan) for e in every.T]
    return ColumnInputs(
        sequence=sequence,
        context=_limit(np.concatenate([*parts, around], axis=1)),
        anchor=anchor,
        spread=spread,
        floor=floor,
        signed=levels.signed[origins],
    )


def put_back(outputs: np.ndarray, inputs: ColumnInputs) -> np.ndarray:
    """Return a network's outputs in the column's unit; never below zero where it never was.

    Parameters
    ----------
    outputs
        `(windows, horizon, quantiles)`: distance to the anchor in units of the spread.

    Returns
    -------
    numpy.ndarray
        The same shape, float64; NaN where nothing was observed up to the origin.
    """
    wide = np.asarray(outputs, dtype=np.float64)
    z = inputs.anchor[:, None, None] + wide * inputs.spread[:, None, None]
    # Five units of z are a factor of 150: no forecast leaves what the column has shown by more.
    near = inputs.anchor[:, None, None]
    values = np.sinh(np.clip(z, near - 5.0, near + 5.0)) * inputs.floor[:, None, None]
    back: np.ndarray = np.where(inputs.signed[:, None, None], values, np.maximum(values, 0.0))
    return back


def targets(
    values: np.ndarray, origins: np.ndarray, inputs: ColumnInputs, horizon: int
) -> np.ndarray:
    """Return what a network is to say: `(windows, horizon)`, float32, NaN where unknown.

    `put_back(targets(...)[..., None], inputs)` are the values that followed.
    """
    padded = np.concatenate([values, np.full(horizon, np.nan)])
    ahead = padded[origins[:, None] + np.arange(1, horizon + 1)]
    safe = np.where(inputs.floor > 0, inputs.floor, np.nan)
    z = np.arcsinh(ahead / safe[:, None])
    relative: np.ndarray = ((z - inputs.anchor[:, None]) / inputs.spread[:, None]).astype("f4")
    return relative


def row_windows(
    values: np.ndarray, held: np.ndarray, origins: np.ndarray, plan: InputPlan
) -> tuple[np.ndarray, np.ndarray]:
    """Return the windows' values, gaps held, and what of them was observed.

    Both are `(windows, sequence_len)`; `held` is `levels.hold(values)`, both `(rows,)`.
    """
    raw = _rows(held, origins, plan.sequence_len)
    observed = _rows(np.isfinite(values), origins, plan.sequence_len)
    if plan.interpolate:
        raw, observed = _interpolate(raw, observed)
    first = np.argmax(np.isfinite(raw), axis=1)
    start = raw[np.arange(len(raw)), first]
    raw = np.where(np.isfinite(raw), raw, np.nan_to_num(start)[:, None])
    return raw, observed


def _interpolate(raw: np.ndarray, observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fill gaps between two observed values of a window linearly."""
    length = raw.shape[1]
    place = np.arange(length)
    before: np.ndarray = np.maximum.accumulate(np.where(observed, place, -1), axis=1)
    after: np.ndarray = np.minimum.accumulate(np.where(observed, place, length)[:, ::-1], axis=1)[
        :, ::-1
    ]
    inside = (before >= 0) & (after < length)
    left = np.take_along_axis(raw, np.maximum(before, 0), axis=1)
    right = np.take_along_axis(raw, np.minimum(after, length - 1), axis=1)
    share = (place - before) / np.maximum(after - before, 1)
    filled = np.where(inside, left + share * (right - left), raw)
    return filled, observed | inside


def _roll_off(
    last: np.ndarray, departures: np.ndarray, safe: np.ndarray, plan: InputPlan
) -> np.ndarray:
    """Return the change of `z` if each coming slot is an average one, `(windows, horizon)`.

    The slots that leave the window are known; after `slots` steps all have left.
    """
    leaving = departures[:, -plan.slots :] if plan.slots <= departures.shape[1] else departures
    gone = np.cumsum(leaving, axis=1)
    steps = np.minimum(np.arange(plan.horizon), gone.shape[1] - 1)
    after = last[:, None] - gone[:, steps]
    change: np.ndarray = np.arcsinh(after / safe[:, None]) - np.arcsinh(last / safe)[:, None]
    return change


def _seasonal(
    values: np.ndarray,
    recent: np.ndarray,
    origins: np.ndarray,
    periods: np.ndarray,
    safe: np.ndarray,
    spread: np.ndarray,
    plan: InputPlan,
) -> np.ndarray:
    """Return the change that earlier periods saw from here on, and the recent gaps to them.

    `(windows, 2 * (horizon + RECENT) + 1)`; `periods` is `(windows,)`, and `recent` the `z` of
    the last windows, `(windows, RECENT)`.
    """
    length = plan.horizon + RECENT
    inputs = np.zeros((len(origins), 2 * length + 1))
    for period in set(periods.tolist()):
        earlier = _earlier(values, period, plan)
        if len(earlier) == 0:
            continue
        here = np.flatnonzero(periods == period)
        ends, units = origins[here] + plan.horizon, spread[here, None]
        parts = []
        for line in (earlier[0], _median(earlier)):
            z = np.arcsinh(_rows(line, ends, length) / safe[here, None])
            now = z[:, RECENT - 1 : RECENT]
            parts.append((z[:, RECENT:] - now) / (_CHANGE * units))
            parts.append((recent[here] - z[:, :RECENT]) / (_LEVEL * units))
        known = np.isfinite(_rows(earlier[0], ends, length)).mean(axis=1)
        inputs[here] = np.concatenate([*parts, known[:, None]], axis=1)
    return inputs


def _earlier(values: np.ndarray, period: int, plan: InputPlan) -> np.ndarray:
    """Return the values one period before each row, two periods, and so on, as far as they reach.

    `(periods, rows + horizon)`, NaN where there is none.
    """
    size = len(values) + plan.horizon
    cycles = min(plan.cycles, LOOKBACK // period, (size - 1) // period) if period else 0
    earlier = np.full((cycles if period > plan.horizon else 0, size), np.nan)
    for cycle, line in enumerate(earlier, 1):
        line[cycle * period :] = values[: size - cycle * period]
    return earlier


def _median(lines: np.ndarray) -> np.ndarray:
    """Return the median over the first axis of what is known, NaN where nothing is."""
    ordered = np.sort(lines, axis=0)  # NaN last
    count = np.isfinite(lines).sum(axis=0)
    low = np.maximum((count - 1) // 2, 0)
    high = np.minimum(count // 2, np.maximum(count - 1, 0))
    place = np.arange(lines.shape[1])
    median: np.ndarray = (ordered[low, place] + ordered[high, place]) / 2
    return median


def _rows(values: np.ndarray, ends: np.ndarray, length: int) -> np.ndarray:
    """Return the `length` rows up to each end, `(windows, length)`; NaN before the first row.

    `ends` are ascending.
    """
    missing = max(0, length - 1 - int(ends[0])) if len(ends) else 0
    fill = False if values.dtype == bool else np.nan
    padded = np.concatenate([np.full(missing, fill), values]) if missing else values
    # A view of each row's window; numpy's own function for it takes longer than the copy.
    every = np.ndarray(
        (len(padded) - length + 1, length), padded.dtype, padded, strides=2 * padded.strides
    )
    rows: np.ndarray = every[ends + missing - length + 1]
    return rows


def _limit(values: np.ndarray) -> np.ndarray:
    """Return the values within limits that a network can bear, float32."""
    limited: np.ndarray = np.clip(values, -_LIMIT, _LIMIT).astype(np.float32)
    limited[np.isnan(limited)] = 0.0
    return limited
