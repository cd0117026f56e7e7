"""A forecast table as arrays: all that was said about each window, in one row."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from mods.errors import DataError, ModsWarning
from mods.models.forecast import TABLE_COLUMNS
from mods.timerange import Window

__all__ = ["FloatArray", "Forecasts", "read_forecasts"]

FloatArray = npt.NDArray[np.float64]

_SECONDS_A_DAY = 86400
#: What rows without times and without a window's name are taken for.
_ASSUMED = Window.parse("w01h-s10m")
#: A window has at most so many forecasts; more is a table of something else.
_MOST_STEPS = 1000


@dataclass(frozen=True)
class Forecasts:
    """Every window that was forecast, with all forecasts of it.

    Attributes
    ----------
    windows
        `(windows,)`: consecutive window starts (UTC) or row numbers.
    columns
        The columns' names.
    actual
        `(windows, columns)`, float64, the columns' units; NaN where missing.
    point, lower, upper
        `(windows, steps, columns)`, float64: `[w, k - 1]` was made `k` windows earlier; NaN
        where there is none.
    per_day
        Windows a day, at least 1.
    """

    windows: pd.Index
    columns: tuple[str, ...]
    actual: FloatArray
    point: FloatArray
    lower: FloatArray
    upper: FloatArray
    per_day: int

    def __len__(self) -> int:
        return len(self.windows)


def read_forecasts(table: pd.DataFrame, *, window: str | None = None) -> Forecasts:
    """Return a forecast table by windows.

    Rows may come in any order, and origins may be missing.  Windows later than the last
    origin are left out: their actual values are not known yet.

    Parameters
    ----------
    table
        The forecast table: `origin,target,step,column,forecast,lower,upper,actual`.
    window
        The window's name. By default the slide is taken from the times; rows without times
        are taken for ten minutes each, with a warning.

    Raises
    ------
    DataError
        Where columns are missing, values are no numbers or infinite, a row is there twice, a
        target is not `step` windows after its origin, or no actual value is known.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "origin": [0, 0, 1], "target": [1, 2, 2], "step": [1, 2, 1], "column": "conn_in",
    ...     "forecast": [5.0, 6.0, 7.0], "lower": 4.0, "upper": 9.0, "actual": [5.0, 8.0, 8.0],
    ... })
    >>> both = read_forecasts(table, window="w01h-s10m")
    >>> both.windows.tolist(), both.point[:, :, 0].tolist()
    ([1], [[5.0, nan]])
    """
    _check_columns(table)
    slide, per_day = _slide(table, window)
    origin, target = _places(table["origin"], slide), _places(table["target"], slide)
    step = _steps(table["step"])
    if (target - origin != step).any():
        row = int(np.flatnonzero(target - origin != step)[0])
        raise DataError(
            f"the forecast of {table['target'].iloc[row]} from {table['origin'].iloc[row]} is"
            f" called step {step[row]}",
            f"step {target[row] - origin[row]}",
            "Give the forecast table as predict or backtest made it"
            + ("." if window is None else ", and the window's name that belongs to it."),
        )
    column, names = pd.factorize(table["column"])
    first, last = int(target.min()), int(origin.max())
    count = max(0, last - first + 1)
    known = target <= last
    if not known.any():
        raise DataError(
            "the forecast table has no window whose actual value can be known",
            "origins later than some targets",
            "Give the forecasts of more origins.",
        )
    place = ((target - first) * step.max() + step - 1) * len(names) + column
    if len(np.unique(place)) < len(place):
        raise DataError(
            "the forecast table says the same origin, step and column twice",
            "each of them once",
            "Leave out what is there twice: table.drop_duplicates(['origin', 'step', 'column']).",
        )
    cells = (count, int(step.max()), len(names))
    arrays = {}
    for name in ("forecast", "lower", "upper", "actual"):
        values = np.full(cells, np.nan)
        values.ravel()[place[known]] = _numbers(table[name])[known]
        arrays[name] = values
    actual = _one_a_window(arrays["actual"])
    if not np.isfinite(actual).any():
        raise DataError(
            "the forecast table has no actual value",
            "an actual value for some windows",
            "Forecast windows that the data know, and give that table.",
        )
    return Forecasts(
        windows=_labels(table["target"], first, count, slide),
        columns=tuple(str(name) for name in names),
        actual=actual,
        point=arrays["forecast"],
        lower=arrays["lower"],
        upper=arrays["upper"],
        per_day=per_day,
    )


def _check_columns(table: pd.DataFrame) -> None:
    missing = [name for name in TABLE_COLUMNS if name not in table]
    if missing:
        raise DataError(
            f"the forecast table has no column {', '.join(map(repr, missing))}",
            f"the columns {', '.join(TABLE_COLUMNS)}",
            "Give what mods predict writes or Model.backtest returns.",
        )
    if table.empty:
        raise DataError("the forecast table has no rows", "the forecasts of some origins")
    if isinstance(table["origin"].dtype, pd.DatetimeTZDtype) != isinstance(
        table["target"].dtype, pd.DatetimeTZDtype
    ):
        raise DataError(
            f"origins are {table['origin'].dtype} and targets {table['target'].dtype}",
            "both UTC times, or both row numbers",
        )


def _slide(table: pd.DataFrame, window: str | None) -> tuple[int, int]:
    """Return the unit of origin and target (microseconds, or 1 for rows) and windows a day."""
    name = window or table.attrs.get("window")
    known = None if name is None else Window.parse(name)
    if isinstance(table["origin"].dtype, pd.DatetimeTZDtype):
        seconds = known.slide if known else _seen_slide(table)
        return seconds * 1_000_000, max(1, _SECONDS_A_DAY // seconds)
    if known is None:
        warnings.warn(
            "the forecast table has no times and names no window: its rows are taken for ten"
            " minutes each. Name the window, for example window='w01h-s10m'.",
            ModsWarning,
            stacklevel=4,
        )
        known = _ASSUMED
    return 1, max(1, known.per_day)


def _seen_slide(table: pd.DataFrame) -> int:
    step = _steps(table["step"])
    ahead = (table["target"] - table["origin"]).dt.total_seconds().to_numpy() / step
    slide = float(np.nanmin(ahead))
    if not slide >= 1:
        raise DataError(
            "the forecast table has targets that are not after their origins",
            "each target step windows after its origin",
        )
    return round(slide)


def _places(labels: pd.Series, slide: int) -> npt.NDArray[np.int64]:
    """Return window numbers: the times in slides since the epoch, or the row numbers."""
    if labels.isna().any():
        raise DataError(
            f"{labels.name} is empty in row {int(labels.isna().to_numpy().argmax())}",
            "a time or a row number in every row",
        )
    if isinstance(labels.dtype, pd.DatetimeTZDtype):
        times = labels.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("M8[us]")
        numbers: npt.NDArray[np.int64] = times.astype(np.int64) // slide
        return numbers
    if not pd.api.types.is_integer_dtype(labels.dtype):
        raise DataError(
            f"{labels.name} is {labels.iloc[0]!r}, of type {labels.dtype}",
            "UTC times or whole row numbers",
            "Read the times with pandas.to_datetime(..., utc=True).",
        )
    return labels.to_numpy(dtype=np.int64)


def _steps(labels: pd.Series) -> npt.NDArray[np.int64]:
    if not pd.api.types.is_integer_dtype(labels.dtype):
        raise DataError(f"steps are of type {labels.dtype}", "whole numbers from 1")
    step = labels.to_numpy(dtype=np.int64)
    if step.min() < 1 or step.max() > _MOST_STEPS:
        wrong = int(step.min()) if step.min() < 1 else int(step.max())
        raise DataError(f"step {wrong} in the forecast table", f"1 to {_MOST_STEPS}")
    return step


def _numbers(values: pd.Series) -> FloatArray:
    try:
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise DataError(
            f"{values.name} of the forecast table is of type {values.dtype}", "numbers"
        ) from None
    if np.isinf(numbers).any():
        raise DataError(
            f"{values.name} is infinite in row {int(np.isinf(numbers).argmax())}",
            "finite numbers, or empty cells",
        )
    return numbers


def _one_a_window(actual: FloatArray) -> FloatArray:
    """Return the first known of each window's copies, `(windows, columns)`."""
    first = np.isfinite(actual).argmax(axis=1)
    chosen: FloatArray = np.take_along_axis(actual, first[:, None], axis=1)[:, 0]
    return chosen


def _labels(targets: pd.Series, first: int, count: int, slide: int) -> pd.Index:
    if isinstance(targets.dtype, pd.DatetimeTZDtype):
        # What the slide does not divide is the same for all windows.
        start = targets.min()
        step = pd.Timedelta(microseconds=slide)
        return pd.date_range(start, periods=count, freq=step, name="window_start", unit="us")
    return pd.RangeIndex(first, first + count, name="row")
