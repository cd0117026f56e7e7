"""Quantiles over rolling windows, of many series at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.indexers import BaseIndexer

__all__ = ["rolling_quantile"]

FloatArray = npt.NDArray[np.floating]


def rolling_quantile(
    values: FloatArray, level: float, *, window: int, first: int = 0
) -> FloatArray:
    """Return each row's quantile over the rows of the window that ends there.

    Parameters
    ----------
    values
        `(rows, ...)`, NaN where missing.
    level
        Which quantile; between two values the higher one.
    window
        How many rows.
    first
        From which row on it is wanted; to leave the earlier ones out saves time.

    Returns
    -------
    numpy.ndarray
        The same shape, float64; NaN where the window holds nothing, and before row `first`.

    Examples
    --------
    >>> series = np.array([[3.0], [1.0], [np.nan], [2.0]])
    >>> rolling_quantile(series, 0.5, window=3, first=1).ravel().tolist()
    [nan, 3.0, 3.0, 2.0]
    """
    # All as one series: to begin with each anew costs pandas more than the quantiles.
    flat = pd.Series(values.reshape(len(values), -1).ravel(order="F"))
    windows = _OneAfterTheOther(window_size=window, rows=len(values), first=first)
    rolled = flat.rolling(windows, min_periods=1).quantile(level, interpolation="higher")
    return rolled.to_numpy().reshape(-1, len(values)).T.reshape(values.shape)


class _OneAfterTheOther(BaseIndexer):
    """Windows in several series of `rows` rows each that lie one after the other.

    They are empty before row `first` of a series.
    """

    rows: int
    first: int
    window_size: int

    def get_window_bounds(
        self,
        num_values: int = 0,
        min_periods: int | None = None,
        center: bool | None = None,
        closed: str | None = None,
        step: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return where the window that ends with each value starts, and where it ends."""
        del min_periods, center, closed, step
        value = np.arange(num_values, dtype=np.int64)
        place = value % self.rows
        begin, end = value - place, value + 1
        early = place < self.first
        start = np.where(early, begin, np.maximum(end - self.window_size, begin))
        return start, np.where(early, begin, end)
