"""Autocorrelation, partial autocorrelation and the strongest periods (Box and Jenkins, 1970)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mods.features.statistics_package import stattools

__all__ = ["Autocorrelation", "autocorrelate"]

#: Lags of the partial autocorrelation, whose cost grows with their square.
PARTIAL_LAGS = 24
#: Two weeks of windows of ten minutes hold a period of a week twice.
MOST_LAGS = 2016
#: How high a peak is at least, and how far it stands out of the valleys beside it.
_PROMINENCE = 0.1
_PERIODS = 3


@dataclass(frozen=True)
class Autocorrelation:
    """`full` is `(lags + 1,)`, `partial` `(partial lags + 1,)`, from lag 0; periods in windows.

    `bound` is what the autocorrelation of noise passes at one lag of twenty.
    """

    full: np.ndarray
    partial: np.ndarray
    periods: tuple[int, ...]
    bound: float

    @property
    def first(self) -> float:
        """The autocorrelation of neighbouring windows."""
        return float(self.full[1])

    @property
    def partial_lag(self) -> float:
        """The last lag whose partial autocorrelation is no noise (twice the bound), 0 for none."""
        clear = np.flatnonzero(np.abs(self.partial[1:]) > 2 * self.bound)
        return float(clear[-1] + 1) if len(clear) else 0.0

    def at_periods(self) -> list[float]:
        """Return the autocorrelation at each of the periods."""
        return [float(self.full[period]) for period in self.periods]


def autocorrelate(values: np.ndarray) -> Autocorrelation:
    """Return the autocorrelation of `values`, `(windows,)`, missing ones left out.

    Lags go to a third of the windows, at most 2016; for the partial one missing values are
    interpolated.

    Examples
    --------
    >>> autocorrelate(np.sin(np.arange(600) * 2 * np.pi / 50)).periods
    (50,)
    """
    from scipy.signal import find_peaks

    tools = stattools()
    known = int(np.isfinite(values).sum())
    lags = min(len(values) // 3, MOST_LAGS)
    scaled = values / np.nanmax(np.abs(values))
    full = tools.acf(scaled, nlags=lags, fft=True, missing="conservative")
    filled = pd.Series(scaled).interpolate(limit_direction="both").to_numpy()
    partial = tools.pacf(filled, nlags=min(PARTIAL_LAGS, lags), method="ywm")
    bound = 1.96 / np.sqrt(known)
    # Of hundreds of lags of noise some pass the bound, hardly one twice of it; on long data it
    # is so low that no one would call a peak above it a period.
    peaks = find_peaks(full, height=max(2 * bound, _PROMINENCE), prominence=_PROMINENCE)[0]
    return Autocorrelation(np.asarray(full), np.asarray(partial), _strongest(full, peaks), bound)


def _strongest(full: np.ndarray, peaks: np.ndarray) -> tuple[int, ...]:
    """Return the highest peaks, without those that only repeat a period."""
    found: list[int] = []
    for peak in sorted(peaks.tolist(), key=lambda lag: (-full[lag], lag)):
        ratios = [peak / period for period in found]
        repeats = any(round(r) >= 1 and abs(r - round(r)) <= 0.05 * round(r) for r in ratios)
        if not repeats:
            found.append(peak)
    return tuple(found[:_PERIODS])
