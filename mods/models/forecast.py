"""What a forecast looks like when it leaves: after one window, and as a table over many origins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mods.errors import DataError

__all__ = [
    "TABLE_COLUMNS",
    "Forecast",
    "actual_after",
    "as_csv",
    "forecast_table",
    "index_after",
    "targets_of",
]

#: The forecast table's columns, in order.
TABLE_COLUMNS = ("origin", "target", "step", "column", "forecast", "lower", "upper", "actual")


@dataclass(frozen=True)
class Forecast:
    """The windows after the last one seen.

    Attributes
    ----------
    point, lower, upper
        Frames `(steps, columns)`, float64, in each column's own unit, indexed by the window
        that is forecast (its start, or its row number where the data carry no time).
    coverage
        The share of actual values that `[lower, upper]` is to hold.
    """

    point: pd.DataFrame
    lower: pd.DataFrame
    upper: pd.DataFrame
    coverage: float


def targets_of(index: pd.Index, rows: np.ndarray, steps: np.ndarray) -> pd.Index:
    """Return the labels of rows `rows + steps`, also where they lie after the index's end.

    Parameters
    ----------
    index
        A frame's index: consecutive window starts, or consecutive row numbers.
    rows, steps
        `(n,)`, int: positions in the index, and how many windows later.

    Examples
    --------
    >>> targets_of(pd.RangeIndex(5, 9, name="row"), np.array([3]), np.array([2])).tolist()
    [10]
    """
    if isinstance(index, pd.DatetimeIndex):
        # numpy's timedeltas: an array times a Timedelta is made one object at a time.
        after = np.asarray(rows + steps) * _slide(index).to_timedelta64()
        return pd.DatetimeIndex(index[0] + pd.TimedeltaIndex(after))
    labels: pd.Index = pd.Index(int(index[0]) + rows + steps, name=index.name)
    return labels


def index_after(index: pd.Index, steps: int) -> pd.Index:
    """Return the labels of the `steps` windows after the index's end.

    Examples
    --------
    >>> index_after(pd.RangeIndex(3, name="row"), 2).tolist()
    [3, 4]
    """
    last = np.full(steps, len(index) - 1)
    return targets_of(index, last, np.arange(1, steps + 1)).rename(index.name)


def actual_after(frame: pd.DataFrame, origins: np.ndarray, steps: int) -> np.ndarray:
    """Return what followed each origin: `(origins, steps, columns)`, NaN where not known.

    Examples
    --------
    >>> frame = pd.DataFrame({"conn_in": [1.0, 2.0, 4.0]}, index=pd.RangeIndex(3, name="row"))
    >>> actual_after(frame, np.array([0, 1]), 2)[..., 0].tolist()
    [[2.0, 4.0], [4.0, nan]]
    """
    values = frame.to_numpy(dtype=np.float64)
    padded = np.vstack([values, np.full((steps, values.shape[1]), np.nan)])
    following: np.ndarray = padded[origins[:, None] + np.arange(1, steps + 1)]
    return following


def forecast_table(
    frame: pd.DataFrame,
    origins: np.ndarray,
    point: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    *,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return the forecast table: one row an origin, column and step, in this order.

    Parameters
    ----------
    frame
        What was forecast; it gives the labels of the rows and the actual values.
    origins
        `(origins,)`, int: positions in the frame of the last window seen, ascending.
    point, lower, upper
        `(origins, steps, columns)`, in each column's own unit.
    columns
        The names along the last axis; the frame's columns by default.

    Returns
    -------
    pandas.DataFrame
        Columns `TABLE_COLUMNS`; `actual` is NaN where it is missing or not known yet.

    Examples
    --------
    >>> frame = pd.DataFrame({"conn_in": [1.0, 2.0, 4.0]}, index=pd.RangeIndex(3, name="row"))
    >>> same = np.full((1, 2, 1), 2.0)
    >>> forecast_table(frame, np.array([1]), same, same - 1, same + 1)
       origin  target  step   column  forecast  lower  upper  actual
    0       1       2     1  conn_in       2.0    1.0    3.0     4.0
    1       1       3     2  conn_in       2.0    1.0    3.0     NaN
    """
    names = list(frame.columns if columns is None else columns)
    count, steps, width = point.shape
    row = np.repeat(origins, steps * width)
    step = np.tile(np.arange(1, steps + 1), count * width)
    actual = actual_after(frame if columns is None else frame[names], origins, steps)
    column = np.tile(np.repeat(np.arange(width), steps), count)
    # Each label and name is made once, and taken as often as it is needed.
    every = np.arange(len(frame) + steps)
    labels = targets_of(frame.index, np.zeros_like(every), every)
    return pd.DataFrame(
        {
            "origin": labels.take(row),
            "target": labels.take(row + step),
            "step": step,
            "column": pd.Index(names).take(column),
            "forecast": point.transpose(0, 2, 1).ravel(),
            "lower": lower.transpose(0, 2, 1).ravel(),
            "upper": upper.transpose(0, 2, 1).ravel(),
            "actual": actual.transpose(0, 2, 1).ravel(),
        }
    )


def as_csv(table: pd.DataFrame) -> str:
    r"""Return a forecast table as CSV; times as ISO 8601 in UTC, nothing where a value is missing.

    Examples
    --------
    >>> table = pd.DataFrame({"origin": pd.to_datetime(["2019-06-01"], utc=True), "actual": [None]})
    >>> as_csv(table)
    'origin,actual\n2019-06-01T00:00:00Z,\n'
    """
    return str(table.to_csv(index=False, date_format="%Y-%m-%dT%H:%M:%SZ"))


def _slide(index: pd.DatetimeIndex) -> pd.Timedelta:
    if len(index) < 2:
        raise DataError(
            "one window alone does not tell how far its followers slide", "two windows or more"
        )
    return pd.Timedelta(index[1] - index[0])
