"""Periods of a series, found from its autocorrelation."""

from __future__ import annotations

import numpy as np

__all__ = ["autocorrelation", "find_period", "seasonal_periods"]

#: An autocorrelation below this is no period worth a seasonal input.
MIN_CORRELATION = 0.1
#: How many cycles a series must hold before its period is believed.
MIN_CYCLES = 3


def autocorrelation(values: np.ndarray, max_lag: int) -> np.ndarray:
    """Return the autocorrelation of a series, missing values left out pair by pair.

    Parameters
    ----------
    values
        `(rows,)`, float64; NaN where missing.
    max_lag
        The largest lag.

    Returns
    -------
    numpy.ndarray
        `(max_lag + 1,)`, float64; zeros for a series that does not vary.

    Examples
    --------
    >>> wave = np.tile([0.0, 1.0, 0.0, -1.0], 50)
    >>> autocorrelation(wave, 4).round(2).tolist()
    [1.0, 0.0, -1.0, 0.0, 1.0]
    """
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(max_lag + 1)
    centred = np.where(known, values - values[known].mean(), 0.0)
    size = 1 << int(len(values) + max_lag).bit_length()
    sums = _self_products(centred, size)[: max_lag + 1]
    pairs = np.maximum(len(values) - np.arange(max_lag + 1.0), 0.0)
    if not known.all():
        pairs = _self_products(known.astype(np.float64), size)[: max_lag + 1].round()
    variance = sums[0] / pairs[0]
    if variance <= 1e-12 * max(1.0, float(np.max(np.abs(values[known]))) ** 2):
        return np.zeros(max_lag + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(pairs > 0, sums / pairs / variance, 0.0)


def find_period(values: np.ndarray, *, shortest: int, longest: int) -> int:
    """Return the period of a series in windows, 0 where it has none.

    The changes from window to window are correlated with themselves, so that a
    slow drift is not taken for a period; their size is limited, so that one burst
    does not decide.  Of lags that are about as good as the best one, the shortest
    is the period and the others are its multiples.

    Parameters
    ----------
    values
        `(rows,)`, float64; NaN where missing.
    shortest, longest
        Limits of the period, both included.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> spikes = 100.0 + 50.0 * (np.arange(600) % 36 == 5) + rng.normal(size=600)
    >>> find_period(spikes, shortest=13, longest=150)
    36
    >>> find_period(rng.normal(size=600).cumsum(), shortest=13, longest=150)
    0
    """
    longest = min(longest, len(values) // MIN_CYCLES)
    if longest < shortest:
        return 0
    changes = np.diff(values)
    known = np.isfinite(changes)
    if not known.any():
        return 0
    limit = 4.0 * float(np.mean(np.abs(changes[known])))
    correlation = autocorrelation(np.clip(changes, -limit, limit), longest)
    noise = 4.0 / np.sqrt(max(int(known.sum()), 1))
    peaks = correlation[shortest:]
    best = float(peaks.max())
    if best < max(MIN_CORRELATION, noise):
        return 0
    return shortest + int(np.argmax(peaks >= 0.85 * best))


def seasonal_periods(values: np.ndarray, *, horizon: int, per_day: int) -> tuple[int, int, int]:
    """Return the periods of the seasonal inputs: the series' own, the day, the week.

    Parameters
    ----------
    values
        `(rows,)`, float64: the part of the series that may be looked at.
    horizon
        Steps of the forecast; a period is longer, so that each seasonal value is known
        when it is needed.
    per_day
        Windows a day; 0 where that is not known, and then the series' own period takes
        the place of the day and there is no week.

    Returns
    -------
    tuple
        Windows each, 0 where there is none.
    """
    if per_day <= horizon:
        own = find_period(values, shortest=horizon + 1, longest=2016)
        return (0, own, 0)
    own = find_period(values, shortest=horizon + 1, longest=per_day - 1)
    return (own, per_day, 7 * per_day)


def _self_products(values: np.ndarray, size: int) -> np.ndarray:
    spectrum = np.fft.rfft(values, size)
    return np.fft.irfft(np.abs(spectrum) ** 2, size)
