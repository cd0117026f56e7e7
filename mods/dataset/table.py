"""Reading tables: TSV, CSV or Parquet, with `window_start` or without any time.

A table without times has rows that are consecutive windows; the window's name
says how long a row is.  With times the rows are put on a complete grid.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

from mods import config
from mods.dataset.day_table import TIMES
from mods.dataset.query import parse_query
from mods.dataset.table_text import check_names, parse_text
from mods.errors import DataError, ModsWarning, NotFoundError, RangeError
from mods.timerange import MICROSECONDS, Window, select

__all__ = ["read_table"]

#: A hundred years of ten-minute windows of four features are 150 MB.
MAX_BYTES = 256 << 20
#: What a Parquet file may hold, however well it is packed.
_MAX_CELLS = 100_000_000
#: Gaps are filled; rows this far apart are no table of consecutive windows.
_MAX_STRETCH, _MAX_FILLED = 100, 1_000_000
_TIME = "an ISO 8601 time such as 2019-06-01T00:00:00.000Z"


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
        A selection query picks columns by its final names, for a table is what a
        query makes; all columns by default. See `SelectionQuery.in_table`.
    window
        The window's name; by default taken from `window_start` and `window_end`.
        Where `window_end` is not there, windows ten minutes apart are taken for
        `w01h-s10m` and others to be as long as their slide.
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

    Warns
    -----
    ModsWarning
        Where a line was mended or lost, or windows between the rows are not there.

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
    wanted = None if query is None else parse_query(query)
    named = None if window is None else Window.parse(window)
    data = _bytes(path)
    if data[:4] == b"PAR1":
        columns, lines, row = _parquet(data, path.name), None, "row"
    else:
        columns, lines = parse_text(data, path.name)
        row = "line"
    features = [name for name in columns.columns if name not in TIMES]
    if wanted is None:
        chosen = [(name, name, 1.0) for name in features]
    else:
        chosen = wanted.in_table(features)
    values = np.column_stack(
        [columns[name].fill_null(np.nan).to_numpy() / divisor for name, _, divisor in chosen]
    )
    names = [name for _, name, _ in chosen]
    if "window_start" in columns.columns:
        times = _Times(columns, lines, row, path.name)
        frame = times.frame(values, names, named)
    else:
        frame = pd.DataFrame(values, columns=names, index=pd.RangeIndex(len(values), name="row"))
        frame.attrs["window"] = None if named is None else named.name
    return select(frame, time_range, exclude)


def _bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise DataError(f"{str(path)!r} is a folder", "a table", "Name a file.")
        if path.exists() and not path.is_file():
            raise DataError(f"{str(path)!r} is no plain file", "a table", "Name a file.")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(
                f"{path.name!r} has {size:,} bytes",
                f"a table of at most {MAX_BYTES:,} bytes",
                "Cut it into parts, or keep it as a datapool.",
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(
            f"no file {str(path)!r}", "a table or a datapool", "Check the path."
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DataError(f"cannot read {str(path)!r}: {reason}") from None


def _parquet(data: bytes, name: str) -> pl.DataFrame:
    """Read a Parquet table: times as text, all other columns as Float64."""
    try:
        # Asked first, of the footer: a column of one value packs to nothing.
        rows = pl.scan_parquet(io.BytesIO(data)).select(pl.len()).collect().item()
        names = list(pl.read_parquet_schema(io.BytesIO(data)))
        if rows * len(names) > _MAX_CELLS:
            raise DataError(
                f"{name!r} holds {rows * len(names):,} values", f"at most {_MAX_CELLS:,}"
            )
        frame = pl.read_parquet(io.BytesIO(data))
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{name!r} is a damaged Parquet file: {reason}") from None
    check_names(frame.columns, name)
    if not rows:
        raise DataError(f"{name!r} has no rows", "one row a window")
    out = {}
    for column in frame:
        if column.name in TIMES and column.dtype.base_type() in (pl.Datetime, pl.Date):
            zone = getattr(column.dtype, "time_zone", None)
            utc = column.dt.convert_time_zone("UTC") if zone else column.cast(pl.Datetime("us"))
            out[column.name] = utc.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
        elif column.dtype == (pl.String if column.name in TIMES else pl.Null):
            out[column.name] = column
        elif column.name not in TIMES and column.dtype.is_numeric():
            out[column.name] = _finite(column.cast(pl.Float64), name)
        else:
            expected = "times" if column.name in TIMES else "numbers"
            raise DataError(f"column {column.name!r} of {name!r} holds {column.dtype}", expected)
    return pl.DataFrame(out).cast({c: pl.Float64 for c in out if c not in TIMES})


def _finite(column: pl.Series, name: str) -> pl.Series:
    infinite = column.is_infinite()
    if infinite.any():
        row = int(infinite.arg_max() or 0)
        raise DataError(
            f"row {row} of {name!r}, column {column.name!r}: {column[row]}",
            "a finite number, or nothing where the value is missing",
        )
    return column.fill_nan(None)


class _Times:
    """The times of a table, checked against each other."""

    def __init__(
        self, columns: pl.DataFrame, lines: np.ndarray | None, row: str, name: str
    ) -> None:
        self.name = name
        self._row = row
        self._lines = lines
        self._text = columns["window_start"]
        self.starts = self._instants(columns["window_start"])
        self.ends = None
        if "window_end" in columns.columns:
            self.ends = self._instants(columns["window_end"])

    def frame(self, values: np.ndarray, names: list[str], named: Window | None) -> pd.DataFrame:
        """Put `values` `(rows, columns)` on the complete grid of windows."""
        self._check_order()
        window = self._window(named)
        slide = window.slide * MICROSECONDS
        self._complain(
            self.starts % slide != 0,
            "a window that starts at {}",
            f"starts that are multiples of the slide of {window.slide} s",
        )
        places = (self.starts - self.starts[0]) // slide
        total = int(places[-1]) + 1
        if total > _MAX_STRETCH * len(places) + _MAX_FILLED:
            raise DataError(
                f"{self.name!r} has {len(places):,} rows spread over {total:,} windows",
                "consecutive windows",
            )
        if total > len(places):
            gap = int(np.argmax(np.diff(places) > 1))
            warnings.warn(
                f"{self.name}: {total - len(places):,} windows between the rows are not there "
                f"(the first after {self._where(gap)}); they count as missing",
                ModsWarning,
                stacklevel=4,
            )
        grid = np.full((total, len(names)), np.nan)
        grid[places] = values
        times = pd.to_datetime(self.starts[0] + np.arange(total) * slide, unit="us", utc=True)
        index = pd.DatetimeIndex(times, name="window_start")
        frame = pd.DataFrame(grid, columns=names, index=index)
        frame.attrs["window"] = window.name
        return frame

    def _where(self, row: int) -> str:
        return f"{self._row} {row if self._lines is None else self._lines[row]}"

    def _complain(self, wrong: np.ndarray, fault: str, expected: str, mend: str = "") -> None:
        if wrong.any():
            row = int(np.argmax(wrong))
            time = str(self._text[row])[:40]
            raise DataError(
                f"{self._where(row)} of {self.name!r} has {fault.format(time)}", expected, mend
            )

    def _instants(self, column: pl.Series) -> np.ndarray:
        """Return times as microseconds since the epoch: `(rows,)`, int64."""
        self._complain(column.is_null().to_numpy(), f"no {column.name}", "a time for each row")
        times = column.str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us", strict=False)
        if times.null_count():
            texts = column.to_list()
            # Other forms of ISO 8601, with offsets or without the letters; no zone means UTC.
            parsed = pd.to_datetime(texts, utc=True, format="ISO8601", errors="coerce")
            wrong = np.asarray(parsed.isna())
            if wrong.any():
                row = int(np.argmax(wrong))
                raise DataError(
                    f"{self._where(row)} of {self.name!r} has the {column.name} "
                    f"{str(texts[row])[:40]!r}",
                    _TIME,
                )
            return np.asarray(pd.DatetimeIndex(parsed).as_unit("us").asi8)
        return times.cast(pl.Int64).to_numpy()

    def _check_order(self) -> None:
        steps = np.diff(self.starts, prepend=self.starts[0] - 1)
        mend = "Sort the rows by window_start and keep one of each."
        self._complain(steps == 0, "the time {} once more", "each window once", mend)
        self._complain(steps < 0, "the time {} after a later one", "windows in order", mend)

    def _window(self, named: Window | None) -> Window:
        """Return the window that the times show, checked against the one named."""
        steps = np.diff(self.starts)
        length = None if self.ends is None else int(self.ends[0] - self.starts[0])
        if self.ends is not None and length is not None:
            self._complain(
                (self.ends - self.starts != length) | (self.ends <= self.starts),
                "at {} a window_end that does not fit",
                "windows of one length",
            )
        if named is not None:
            slide = named.slide * MICROSECONDS
            if (steps % slide).any() or length not in (None, named.length * MICROSECONDS):
                raise RangeError(
                    f"window {named.name!r} does not fit the times of {self.name!r}",
                    "the window that the table was made with",
                    "Leave it out to take it from the times.",
                )
            return named
        default = Window.parse(config.DEFAULT_WINDOW)
        slide = _usual(steps) // MICROSECONDS if len(steps) else default.slide
        if length is not None:
            seconds = length // MICROSECONDS
        else:
            seconds = default.length if slide == default.slide else slide
        if slide <= 0 or seconds % slide:
            raise DataError(
                f"{self.name!r} has windows of {seconds} s that are {slide} s apart",
                "a length that is a multiple of the slide",
            )
        return Window(seconds, slide)


def _usual(steps: np.ndarray) -> int:
    """Return the most frequent step; gaps make some longer.

    >>> _usual(np.array([10, 10, 20, 10, 5]))
    10
    """
    values, counts = np.unique(steps, return_counts=True)
    return int(values[np.argmax(counts)])
