"""Reading datapools: the columns of a selection query, over any number of days, as a frame.

`mods.dataset.day_files` says where the features lie, `mods.dataset.day_table`
what is in one file.  Only the days in range are opened, and only the columns
asked for are parsed.

There is no cache beside the files: reading a year of three protocols takes a
second or so, and what is not kept cannot go stale.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

from mods import config
from mods.dataset.day_files import DayFile, day_files, extent, is_datapool, read_all
from mods.dataset.day_table import TIMES, body_of, parse_day, parse_joined, schema_of
from mods.dataset.query import Selected, SelectionQuery, parse_query
from mods.errors import DataError, ModsWarning, RangeError, did_you_mean
from mods.timerange import MICROSECONDS, TimeRange, Window, select

__all__ = [
    "DayFile",
    "choose_window",
    "day_files",
    "extent",
    "is_datapool",
    "read_datapool",
    "read_day",
]

#: How many bytes of days are parsed at a time: enough to be fast, and little memory.
_BATCH = 32 << 20
#: A hundred years of ten-minute windows are 5 million; days far apart are a clock that jumped.
_MAX_WINDOWS = 50_000_000
#: Nor so many more than the files have rows: as for a table, most of it would be a gap.
_MAX_STRETCH, _MAX_FILLED = 100, 1_000_000


def read_datapool(
    path: Path | str | Sequence[DayFile],
    *,
    query: str | None = None,
    window: str | None = None,
    time_range: str | None = None,
    exclude: Iterable[str] = (),
) -> pd.DataFrame:
    r"""Read the columns of a selection query from a datapool as a frame.

    Parameters
    ----------
    path
        A folder or a zip, or what `day_files` listed of one.
    query
        The selection query; `mods.config.DEFAULT_QUERY` by default.
    window
        The window's name; by default `w01h-s10m` where the datapool has it, else its only one.
    time_range, exclude
        Which part to take and which to make missing.

    Returns
    -------
    pandas.DataFrame
        `(windows, columns)`, float64, missing as NaN, a complete grid from the
        first window to the last, indexed by `window_start` in UTC; the window's
        name is in `attrs["window"]`.

    Raises
    ------
    NotFoundError, DataError, QueryError, RangeError
        Where there is no datapool, no such protocol, column or window, no data
        in range, or a file that is damaged.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     day = Path(folder) / "ssh/2019/06/01"
    ...     day.mkdir(parents=True)
    ...     _ = (day / "w01h-s10m.tsv").write_text(
    ...         "window_start\twindow_end\tin\tout\n"
    ...         "2019-06-01T00:00:00.000Z\t2019-06-01T01:00:00.000Z\t7\t1\n"
    ...         "2019-06-01T00:20:00.000Z\t2019-06-01T01:20:00.000Z\t9\t2\n"
    ...     )
    ...     read_datapool(folder, query="ssh|in~ssh_in")["ssh_in"].tolist()
    [7.0, nan, 9.0]
    """
    wanted = parse_query(config.DEFAULT_QUERY if query is None else query)
    chosen_range = None if time_range is None else TimeRange.parse(time_range)
    listed = day_files(path) if isinstance(path, Path | str) else path
    chosen = choose_window(listed, window)
    files = [file for file in listed if file.window == chosen.name]
    wanted.check_protocols(file.protocol for file in files)
    files = [file for file in files if file.protocol in wanted.protocols]
    files = _in_range(files, chosen_range)
    series = {
        p: _read_protocol([f for f in files if f.protocol == p], wanted) for p in wanted.protocols
    }
    frame = _grid(series, wanted, chosen)
    frame.attrs["window"] = chosen.name
    return select(frame, time_range, exclude)


def read_day(file: DayFile) -> pl.DataFrame:
    """Read all of one day's features, strictly; see `mods.dataset.day_table.parse_day`."""
    return parse_day(file.read(), file)


def choose_window(files: Sequence[DayFile], window: str | None) -> Window:
    """Return the window of that name, else `w01h-s10m` where there is any, else the only one.

    Raises
    ------
    RangeError
        Where the files have no such window, or several and none is named.
    """
    known = sorted({file.window for file in files})
    if window is not None:
        chosen = Window.parse(window)
        if window not in known:
            raise RangeError(
                f"the datapool has no window {window!r}", mend=did_you_mean(window, known)
            )
        return chosen
    if config.DEFAULT_WINDOW in known or len(known) == 1:
        return Window.parse(config.DEFAULT_WINDOW if config.DEFAULT_WINDOW in known else known[0])
    raise RangeError(
        "the datapool has several windows", f"one of {', '.join(known)}", "Name one of them."
    )


def _in_range(files: list[DayFile], chosen: TimeRange | None) -> list[DayFile]:
    if chosen is None:
        return files
    epoch, day = date(1970, 1, 1), 86400 * MICROSECONDS
    first = epoch + timedelta(days=chosen.start // day)
    last = epoch + timedelta(days=(chosen.end - 1) // day)
    kept = [file for file in files if first <= file.day <= last]
    if not kept:
        days = sorted({file.day for file in files})
        raise RangeError(
            f"range {chosen.text!r} holds no day of the datapool",
            f"a range that overlaps <{days[0]},{days[-1]}>",
        )
    return kept


def _read_protocol(files: list[DayFile], wanted: SelectionQuery) -> pl.DataFrame:
    """Return `window_start` and the selected columns of one protocol over all days."""
    if not files:
        return pl.DataFrame(schema={"window_start": pl.Int64})
    protocol = files[0].protocol
    columns = list(dict.fromkeys(selected.column for selected in wanted.of(protocol)))
    seen: set[str] = set()
    lacking: dict[str, list[DayFile]] = {}
    parts = []
    for header, batch, contents in _batches(files):
        known = [name for name in header if name not in TIMES]
        seen.update(known)
        for name in columns:
            if name not in known:
                lacking.setdefault(name, []).extend(batch)
        parts.append(_parse(header, batch, contents, [name for name in columns if name in known]))
    wanted.check_columns(protocol, sorted(seen))
    for name, days in lacking.items():
        warnings.warn(
            f"{protocol} has no column {name!r} on {len(days):,} days (the first is "
            f"{days[0].day}); it counts as missing there",
            ModsWarning,
            stacklevel=4,
        )
    return pl.concat(parts, how="diagonal")


def _batches(files: list[DayFile]) -> Iterator[tuple[list[str], list[DayFile], list[bytes]]]:
    """Yield runs of files with one header, some `_BATCH` bytes together."""
    header: list[str] = []
    batch: list[DayFile] = []
    contents: list[bytes] = []
    size = 0
    for file, data in read_all(files):
        names = schema_of(data, file)
        if batch and (names != header or size > _BATCH or file.kind != batch[0].kind):
            yield header, batch, contents
            batch, contents, size = [], [], 0
        header = names
        batch.append(file)
        contents.append(data)
        size += len(data)
    if batch:
        yield header, batch, contents


def _parse(
    header: list[str], files: list[DayFile], contents: list[bytes], columns: list[str]
) -> pl.DataFrame:
    if files[0].kind == "tsv":
        bodies = [body_of(data) for data in contents]
        table = parse_joined(files, bodies, header, columns)
        if table is not None:
            return table
    tables = (parse_day(data, f, columns) for f, data in zip(files, contents, strict=True))
    return pl.concat(t.with_columns(pl.col(columns).cast(pl.Float64)) for t in tables)


def _grid(series: dict[str, pl.DataFrame], wanted: SelectionQuery, window: Window) -> pd.DataFrame:
    """Place the protocols' columns side by side on one complete grid of windows."""
    slide = window.slide * MICROSECONDS
    starts = [table["window_start"] for table in series.values() if len(table)]
    if not starts:
        raise DataError("the datapool's files have headers and no rows", "one row a window")
    first = min(int(s.min()) for s in starts)  # type: ignore[arg-type]
    last = max(int(s.max()) for s in starts)  # type: ignore[arg-type]
    total = (last - first) // slide + 1
    most = min(_MAX_WINDOWS, _MAX_STRETCH * max(map(len, starts)) + _MAX_FILLED)
    if total > most:
        raise RangeError(
            f"{total:,} windows between the first day and the last",
            f"at most {most:,}",
            "Name a range without the days that a wrong clock made.",
        )
    values = np.full((total, len(wanted.columns)), np.nan)
    for place, selected in enumerate(wanted.columns):
        _fill(values[:, place], series[selected.protocol], selected, first, slide)
    starts_at = (first + np.arange(total) * slide).astype("datetime64[us]")
    index = pd.DatetimeIndex(starts_at, name="window_start").tz_localize("UTC")
    return pd.DataFrame(values, columns=wanted.names, index=index)


def _fill(
    values: np.ndarray, table: pl.DataFrame, selected: Selected, first: int, slide: int
) -> None:
    if selected.column in table.columns:
        places = (table["window_start"].to_numpy() - first) // slide
        values[places] = table[selected.column].to_numpy() / selected.divisor  # null is NaN
