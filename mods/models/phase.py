"""The place of a window in its column's periods, as waves that a network can take.

Jobs of a network come at the same place of each period, and how a series moves on
depends on that place: boosted trees that are told it forecast better than the
same trees without it.  Where both the training part and the data carry times, the
clock tells the place.  Rows without times may begin anywhere: what the past before
each origin looked like is laid beside what the training part looked like, and where
the two do not match at any place, nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

__all__ = ["PHASE_SIZE", "Phase", "learn_phases", "phase_inputs"]

#: Waves for the column's own period and for the day.
WAVES = (12, 36)
#: Inputs: a sine and a cosine of each wave.
PHASE_SIZE = 2 * sum(WAVES)
#: Rows of the past that are laid beside the profile, and after how many it is done again.
PAST, EVERY = 4032, 144
#: Periods of the past that are needed for it.
CYCLES = 3
#: The least correlation of the profiles at the place that the rows' numbers say, and at another.
LEAST, LEAST_MOVED = 0.2, 0.6


@dataclass(frozen=True)
class Phase:
    """A period, and what the changes at each place of it looked like in the training part.

    Attributes
    ----------
    period
        Windows.
    clocked
        Whether places were counted by the clock; otherwise by the rows' numbers.
    profile
        `(period,)`, float64, of unit length and mean zero; all zeros where nothing recurs.
    """

    period: int
    clocked: bool
    profile: np.ndarray

    def state(self) -> dict[str, Any]:
        """Return it as JSON can say it."""
        return {
            "period": self.period,
            "clocked": self.clocked,
            "profile": [round(float(value), 5) for value in self.profile],
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Self:
        """Return what `state` told."""
        profile = np.asarray(state["profile"], dtype=np.float64)
        return cls(int(state["period"]), bool(state["clocked"]), profile)

    def moved(self, past: np.ndarray) -> int | None:
        """Return how many places the past lies before the profile; None where they do not match.

        Parameters
        ----------
        past
            `(period,)`: the profile of the past, placed by its own numbers.

        Examples
        --------
        >>> profile = np.array([3.0, -1.0, -1.0, -1.0]) / 12**0.5
        >>> phase = Phase(4, False, profile)
        >>> phase.moved(profile), phase.moved(np.roll(profile, -1)), phase.moved(np.zeros(4))
        (0, 1, None)
        """
        fit = np.fft.irfft(np.fft.rfft(self.profile) * np.fft.rfft(past).conj(), self.period)
        best = int(np.argmax(fit))
        if fit[0] >= max(LEAST, 0.9 * fit[best]):
            return 0
        return best if fit[best] >= LEAST_MOVED else None


def learn_phases(column: pd.Series, periods: Sequence[int], per_day: int) -> tuple[Phase, ...]:
    """Return the phases of a column in its training part.

    Parameters
    ----------
    column
        `(rows,)`, float64.
    periods
        Windows of its own period and of the day; 0 for none.
    per_day
        Windows a day, 0 where that is not known.
    """
    numbers, clocked = _numbers(column.index, per_day)
    values = column.to_numpy(dtype=np.float64)
    return tuple(
        Phase(period, clocked, _profile(values, numbers, period) if period else np.zeros(0))
        for period in periods
    )


def phase_inputs(
    column: pd.Series, origins: np.ndarray, phases: Sequence[Phase], per_day: int
) -> np.ndarray:
    """Return the waves at the origins: `(windows, PHASE_SIZE)`, float32; zeros where not known."""
    waves = np.zeros((len(origins), PHASE_SIZE), dtype=np.float32)
    numbers, clocked = _numbers(column.index, per_day)
    values = column.to_numpy(dtype=np.float64)
    start = 0
    for phase, most in zip(phases, WAVES, strict=False):
        if phase.period:
            wave = np.arange(1, min(most, phase.period // 2) + 1)
            for part, moved in _places(values, numbers, origins, phase, clocked):
                place = (numbers[origins[part]] + moved) % phase.period
                angle = 2 * np.pi * place[:, None] * wave / phase.period
                waves[part, start : start + len(wave)] = np.sin(angle)
                waves[part, start + most : start + most + len(wave)] = np.cos(angle)
        start += 2 * most
    return waves


def _places(
    values: np.ndarray, numbers: np.ndarray, origins: np.ndarray, phase: Phase, clocked: bool
) -> Iterator[tuple[np.ndarray, int]]:
    """Yield parts of the origins, and how many places their numbers lie before the profile's."""
    if clocked and phase.clocked:
        yield np.arange(len(origins)), 0
        return
    looks = (origins + 1) // EVERY * EVERY
    for look in np.unique(looks):
        first = max(0, look - PAST)
        if look - first < CYCLES * phase.period:
            continue
        past = _profile(values[first:look], numbers[first:look], phase.period)
        moved = phase.moved(past)
        if moved is not None:
            yield np.flatnonzero(looks == look), moved


def _profile(values: np.ndarray, numbers: np.ndarray, period: int) -> np.ndarray:
    """Return the mean change at each place of a period: `(period,)`, of unit length."""
    profile = np.zeros(period)
    known = np.isfinite(values)
    mean = float(np.abs(values[known]).mean()) if known.any() else 0.0
    if not mean > 0:
        return profile
    change = np.diff(np.arcsinh(values / (0.1 * mean)))
    known = np.isfinite(change)
    if not known.any():
        return profile
    # Limited, so that no burst stands for its place.
    most = 3 * float(np.abs(change[known]).mean())
    place = numbers[1:][known] % period
    sums = np.bincount(place, np.clip(change[known], -most, most), minlength=period)
    profile = sums / np.maximum(np.bincount(place, minlength=period), 1)
    profile -= profile.mean()
    length = float(np.sqrt((profile**2).sum()))
    # What is left of a constant series is rounding.
    return profile / length if length > 1e-9 else np.zeros(period)


def _numbers(index: pd.Index, per_day: int) -> tuple[np.ndarray, bool]:
    """Return the windows' numbers, `(rows,)`, int64, and whether the clock tells them."""
    if isinstance(index, pd.DatetimeIndex) and per_day:
        return index.as_unit("s").asi8 // (86400 // per_day), True
    if pd.api.types.is_integer_dtype(index.dtype):
        return index.to_numpy(dtype=np.int64), False
    return np.arange(len(index)), False
