"""Reading tables: TSV, CSV or Parquet, with `window_start` or without any time.

A table without times has rows that are consecutive windows; the window's name
says how long a row is.  A line that has stray separators is mended where only
one mending is possible, and is a row of missing values otherwise; a warning
names it.  What is no number is an error that names line, column and value.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

from mods.errors import DataError, ModsWarning, NotFoundError, QueryError, RangeError
from mods.timerange import MICROSECONDS, Window, select

__all__ = ["read_table"]

#: Larger tables are no tables of windows: a hundred years of ten-minute windows are below this.
MAX_BYTES = 1 << 30
MAX_COLUMNS = 10_000
_TIMES = ("window_start", "window_end")


def read_table(
    path: Path | str,
    *,
    query: str | None = None,
    window: str | None = None,
    time_range: str | None = None,
    exclude: Iterable[str] = (),
) -> pd.DataFrame:
    r"""Read a table as a frame.

    Parameters
    ----------
    path
        A TSV, CSV or Parquet file; the content tells which, not the name.
    query
        Must be None: a table has no protocols to select from.
    window
        The window's name; by default taken from `window_start` and `window_end`.
    time_range, exclude
        Which part to take and which to make missing; row numbers without times.

    Returns
    -------
    pandas.DataFrame
        `(windows, columns)`, float64, missing as NaN, indexed by `window_start`
        (UTC) or by `row`; `attrs["window"]` is the window's name where it is known.

    Raises
    ------
    NotFoundError, DataError, QueryError, RangeError
        Where there is no file, or none that can be read as consecutive windows.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "table.csv"
    ...     _ = path.write_text("conn_in,ssh_in\n12,3\n,4\n")
    ...     read_table(path, window="w01h-s10m").to_dict("list")
    {'conn_in': [12.0, nan], 'ssh_in': [3.0, 4.0]}
    """
    path = Path(path)
    if query is not None:
        raise QueryError(
            f"selection query {query!r} on the table {path.name!r}",
            "no query: all columns of a table are used",
            "Leave the query out, or keep only the wanted columns in the table.",
        )
    named = Window.parse(window) if window is not None else None
    columns = _read_parquet(path) if _is_parquet(path) else _read_text(path)
    frame, found = _index(columns, path, named)
    frame.attrs["window"] = found.name if found is not None else None
    return select(frame, time_range, exclude)


def _is_parquet(path: Path) -> bool:
    try:
        if path.is_dir():
            raise DataError(f"{str(path)!r} is a folder", "a table", "Name a file.")
        size = path.stat().st_size
        with path.open("rb") as file:
            magic = file.read(4)
    except FileNotFoundError:
        raise NotFoundError(
            f"no file {str(path)!r}", "a table or a datapool", "Check the path."
        ) from None
    except OSError as error:
        raise DataError(f"cannot read {str(path)!r}: {error.strerror or error}") from None
    if size > MAX_BYTES:
        raise DataError(
            f"{path.name!r} has {size:,} bytes",
            f"a table of at most {MAX_BYTES:,} bytes",
            "Cut it into parts, or keep it as a datapool.",
        )
    return magic == b"PAR1"


def _read_parquet(path: Path) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path.name!r} is a damaged Parquet file: {reason}") from None
    _check_names(frame.columns, path)
    out = {}
    for name in frame.columns:
        series = frame[name]
        if name in _TIMES:
            out[name] = series.dt.strftime("%+") if series.dtype.is_temporal() else series
        elif series.dtype.is_numeric() or series.dtype in (pl.Boolean, pl.Null):
            out[name] = series.cast(pl.Float64)
        else:
            raise DataError(f"column {name!r} of {path.name!r} holds {series.dtype}", "numbers")
    return pl.DataFrame(out)


def _read_text(path: Path) -> pl.DataFrame:
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path.name!r} is not UTF-8 text (byte {error.start})",
            "a TSV, CSV or Parquet table",
            "Save it as UTF-8.",
        ) from None
    if "\0" in text:
        raise DataError(f"{path.name!r} holds NUL bytes", "a TSV, CSV or Parquet table")
    lines = text.splitlines()
    header = next((number for number, line in enumerate(lines) if line.strip()), None)
    if header is None:
        raise DataError(f"{path.name!r} is empty", "a header line and rows")
    separator = "\t" if "\t" in lines[header] else ","
    names = [_unquote(name) for name in lines[header].split(separator)]
    _check_names(names, path)
    rows, numbers = _split(lines, header, separator, len(names), path)
    if not rows:
        raise DataError(f"{path.name!r} has a header and no rows", "one row a window")
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")
    return _numbers(frame, numbers, path)


def _unquote(cell: str) -> str:
    return cell.strip().removeprefix('"').removesuffix('"').strip()


def _check_names(names: list[str], path: Path) -> None:
    if len(names) > MAX_COLUMNS:
        raise DataError(f"{path.name!r} has {len(names):,} columns", f"at most {MAX_COLUMNS:,}")
    features = [name for name in names if name not in _TIMES]
    twice = sorted({name for name in names if names.count(name) > 1}) if names else []
    if twice:
        raise DataError(f"{path.name!r} has the column {twice[0]!r} twice", "distinct names")
    if "" in names:
        raise DataError(f"{path.name!r} has a column without a name", "a name for each column")
    if not features:
        raise DataError(f"{path.name!r} has no column besides times", "at least one feature")
    if all(_is_number(name) for name in features):
        raise DataError(
            f"the first line of {path.name!r} holds numbers",
            "a header with the columns' names",
            "Put the names into the first line.",
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _split(
    lines: list[str], header: int, separator: str, width: int, path: Path
) -> tuple[list[list[str]], list[int]]:
    """Return the cells of each row and its line number; mend what can be mended."""
    rows: list[list[str]] = []
    numbers: list[int] = []
    mended: list[int] = []
    lost: list[int] = []
    last = max((n for n, line in enumerate(lines) if line.strip(" \r")), default=header)
    for number, line in enumerate(lines[header + 1 : last + 1], header + 2):
        cells = line.split(separator)
        if len(cells) != width:
            empty = [n for n, cell in enumerate(cells) if not _unquote(cell)]
            if len(cells) - width == len(empty) and empty:
                # Only the empty fields can be the stray ones: what is left fits exactly.
                cells = [cell for cell in cells if _unquote(cell)]
                mended.append(number)
            else:
                # The first cell is kept where it is a time, so that the row keeps its place.
                cells = [cells[0] if cells[0][4:5] == "-" else "", *[""] * (width - 1)]
                lost.append(number)
        rows.append(cells)
        numbers.append(number)
    if len(lost) > max(10, len(rows) // 10):
        raise DataError(
            f"{len(lost):,} of {len(rows):,} lines of {path.name!r} do not have {width} fields "
            f"(the first is line {lost[0]})",
            "as many fields as the header names",
        )
    for which, done in ((mended, "its empty field was removed"), (lost, "it counts as missing")):
        if which:
            shown = ", ".join(map(str, which[:5])) + (", ..." if len(which) > 5 else "")
            warnings.warn(
                f"{path.name}: line {shown} does not have {width} fields; {done}",
                ModsWarning,
                stacklevel=4,
            )
    return rows, numbers


def _numbers(frame: pl.DataFrame, lines: list[int], path: Path) -> pl.DataFrame:
    """Cast the features to float64; empty cells and `""` are missing."""
    text = frame.with_columns(pl.all().str.strip_chars(' "\r').replace("", None))
    features = [name for name in text.columns if name not in _TIMES]
    cast = text.with_columns(pl.col(features).cast(pl.Float64, strict=False))
    for name in features:
        bad = (cast[name].is_null() & text[name].is_not_null()) | cast[name].is_infinite()
        first = bad.arg_max() if bad.any() else None
        if first is not None:
            raise DataError(
                f"line {lines[first]} of {path.name!r}, column {name!r}: "
                f"{str(text[name][first])[:40]!r}",
                "a finite number, or nothing where the value is missing",
            )
    return cast


def _index(
    columns: pl.DataFrame, path: Path, named: Window | None
) -> tuple[pd.DataFrame, Window | None]:
    features = [name for name in columns.columns if name not in _TIMES]
    values = columns.select(pl.col(features).cast(pl.Float64).fill_null(np.nan)).to_numpy()
    if np.isinf(values).any():
        raise DataError(f"{path.name!r} holds infinite values", "finite numbers")
    if "window_start" not in columns.columns:
        index = pd.RangeIndex(len(columns), name="row")
        return pd.DataFrame(values, columns=features, index=index), named
    starts = _instants(columns["window_start"], path)
    window = _window(columns, starts, path, named)
    slide = window.slide * MICROSECONDS
    steps = np.diff(starts)
    if (steps <= 0).any():
        row = int(np.argmax(steps <= 0)) + 1
        kind = "again" if steps[row - 1] == 0 else "after a later one"
        raise DataError(
            f"{path.name!r} has the time {columns['window_start'][row]} {kind} (row {row})",
            "each window once, in order",
            "Sort the rows by window_start and keep one of each.",
        )
    places = (starts - starts[0]) // slide
    if (starts % slide).any():
        row = int(np.argmax(starts % slide != 0))
        raise DataError(
            f"{path.name!r} has a window that starts at {columns['window_start'][row]}",
            f"starts that are multiples of the slide of {window.slide} s",
        )
    total = int(places[-1]) + 1
    if total > 100 * len(places) + 1_000_000:
        raise DataError(
            f"{path.name!r} has {len(places):,} rows spread over {total:,} windows",
            "consecutive windows",
        )
    grid = np.full((total, len(features)), np.nan)
    grid[places] = values
    if total > len(places):
        warnings.warn(
            f"{path.name}: {total - len(places):,} windows between the rows are not in the "
            "table; they count as missing",
            ModsWarning,
            stacklevel=3,
        )
    times = pd.DatetimeIndex(
        pd.to_datetime(starts[0] + np.arange(total) * slide, unit="us", utc=True),
        name="window_start",
    )
    return pd.DataFrame(grid, columns=features, index=times), window


def _instants(column: pl.Series, path: Path) -> np.ndarray:
    """Return times as microseconds since the epoch: `(rows,)`, int64."""
    if column.null_count():
        row = int(column.is_null().arg_max() or 0)
        raise DataError(f"row {row} of {path.name!r} has no {column.name}", "a time for each row")
    try:
        times = pd.to_datetime(column.cast(pl.String).to_list(), utc=True, format="ISO8601")
    except (ValueError, OverflowError):
        bad = next((v for v in column.to_list() if not _is_time(v)), column[0])
        raise DataError(
            f"{path.name!r} has the {column.name} {str(bad)[:40]!r}",
            "an ISO 8601 time such as 2019-06-01T00:00:00.000Z",
        ) from None
    return pd.DatetimeIndex(times).as_unit("us").asi8


def _is_time(value: object) -> bool:
    try:
        pd.to_datetime([str(value)], utc=True, format="ISO8601")
    except (ValueError, OverflowError):
        return False
    return True


def _window(columns: pl.DataFrame, starts: np.ndarray, path: Path, named: Window | None) -> Window:
    """Return the window: the one named where it fits the times, else the one that they show."""
    positive = np.diff(starts)[np.diff(starts) > 0]
    seen = int(positive.min()) // MICROSECONDS if len(positive) else None
    if named is not None:
        if seen is not None and seen % named.slide:
            raise RangeError(
                f"window {named.name!r} for {path.name!r}",
                f"a slide that fits its times, which are {seen} s apart",
                "Name the window that the table was made with.",
            )
        return named
    slide = seen or 600
    length = slide
    if "window_end" in columns.columns:
        ends = _instants(columns["window_end"].head(1), path)
        length = int(ends[0] - starts[0]) // MICROSECONDS
    elif slide == 600:
        # Ten minutes apart and no end: the window that nearly every datapool is made of.
        length = 3600
    if slide <= 0 or length <= 0 or length % slide:
        raise DataError(
            f"{path.name!r} has windows of {length} s that are {slide} s apart",
            "a length that is a multiple of the slide",
        )
    return Window(length, slide)
