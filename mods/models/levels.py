"""What columns have been like up to each row: level, spread, slots; nothing looks ahead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

__all__ = ["Levels", "hold"]

#: Windows over which level and spread are taken.
MEMORY = 144
#: The share of the recent mean below which values count as about zero.
FLOOR_SHARE = 0.1
#: The smallest spread; a constant column has no other.
MIN_SPREAD = 1e-3
#: Of an earlier slot's weight in how far the newest one departs.
SLOT_DECAY = 0.95


@dataclass(frozen=True)
class Levels:
    """What is known of columns at each of their rows; arrays of `(rows, columns)`, or of one.

    Attributes
    ----------
    values, held
        As they are, and with gaps held.
    floor
        A small share of the recent mean, in the column's unit: what counts as about zero.
    spread
        The recent typical change of `asinh(x / floor)` from one window to the next.
    slot
        How far each window's newest slot departs from the slots before it.
    signed
        Negative values were seen up to the row.
    """

    values: np.ndarray
    held: np.ndarray
    floor: np.ndarray
    spread: np.ndarray
    slot: np.ndarray
    signed: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, slots: int) -> Levels:
        """Find them; `slots` slides make one window."""
        held = hold(values)
        lowest = np.minimum.accumulate(np.where(np.isfinite(values), values, np.inf), axis=0)
        return cls(
            values=values,
            held=held,
            floor=FLOOR_SHARE * _recent_mean(np.abs(values)),
            spread=_spread(held),
            slot=_slot_departure(values, slots),
            signed=lowest < 0,
        )

    def column(self, place: int) -> Levels:
        """Return the same of one column: `(rows,)`."""
        return Levels(*(np.ascontiguousarray(array[:, place]) for array in vars(self).values()))


def hold(values: np.ndarray) -> np.ndarray:
    """Return the values with the last known one held over gaps, row by row.

    NaN before the first one.

    Examples
    --------
    >>> hold(np.array([[np.nan, 1.0], [2.0, np.nan]])).tolist()
    [[nan, 1.0], [2.0, 1.0]]
    """
    rows = np.arange(len(values)).reshape(-1, *(1,) * (values.ndim - 1))
    last = np.maximum.accumulate(np.where(np.isfinite(values), rows, -1), axis=0)
    before = np.take_along_axis(values, np.maximum(last, 0), axis=0)
    return np.where(last >= 0, before, np.nan)


def _recent_mean(values: np.ndarray) -> np.ndarray:
    """Return the mean of the last rows' known values, `(rows, columns)`; NaN where none is."""
    frame = pd.DataFrame(values)
    recent = frame.rolling(MEMORY, min_periods=1).mean().to_numpy()
    # After an outage longer than the memory, the mean of all that was seen has to do.
    ever = frame.expanding(min_periods=1).mean().to_numpy()
    mean: np.ndarray = np.where(recent > 1e-9 * ever, recent, ever)
    return mean


def _spread(held: np.ndarray) -> np.ndarray:
    """Return the typical change of `z` from one window to the next, `(rows, columns)`."""
    floor = FLOOR_SHARE * _recent_mean(np.abs(held))
    safe = np.where(floor > 0, floor, 1.0)
    change = np.zeros(held.shape)
    change[1:] = np.abs(np.arcsinh(held[1:] / safe[1:]) - np.arcsinh(held[:-1] / safe[1:]))
    rolling = pd.DataFrame(change).rolling(MEMORY, min_periods=1)
    # The median resists bursts; a share of the mean serves series that change rarely.
    typical = np.maximum(rolling.median().to_numpy(), 0.25 * rolling.mean().to_numpy())
    spread: np.ndarray = np.maximum(np.nan_to_num(typical), MIN_SPREAD)
    return spread


def _slot_departure(values: np.ndarray, slots: int) -> np.ndarray:
    """Return how far each window's newest slot departs from the slots before it.

    `(rows, columns)`.  A window is a sum of `slots` slots, so
    `x[t] - x[t-1] = s[t] - s[t-slots]`: from the changes alone, `s[t]` less the weighted mean
    of the slots `slots, 2*slots, ...` earlier follows by
    `e[t] = decay * (e[t-slots] + x[t] - x[t-1])`.
    """
    size = -(-len(values) // slots)
    change = np.zeros((size * slots, values.shape[1]))
    change[1 : len(values)] = np.nan_to_num(np.diff(values, axis=0))
    grid = change.reshape(size, slots, -1)
    before: np.ndarray | float = 0.0
    for row in grid:
        row += before
        row *= SLOT_DECAY
        before = row
    return change[: len(values)]
