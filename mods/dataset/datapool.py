"""Reading datapools: features by protocol, day and window, in folders or zips.

    <protocol>/<YYYY>/<MM>/<DD>/<window>.tsv

as plain files or as members of zip archives, at any depth below the pool.
Only the days in range are opened, and only the columns asked for are kept.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

from mods import config
from mods.dataset.query import Selected, SelectionQuery, parse_query
from mods.errors import (
    DataError,
    NotFoundError,
    QueryError,
    RangeError,
    did_you_mean,
)
from mods.timerange import MICROSECONDS, TimeRange, Window, select

__all__ = ["DayFile", "day_files", "extent", "is_datapool", "read_datapool", "read_day"]

_MEMBER = re.compile(
    r"(?:^|/)(?P<protocol>[A-Za-z0-9_]+)/(?P<year>\d{4})/(?P<month>\d\d)/(?P<day>\d\d)/"
    r"(?P<window>w\d\d[smhd]-s\d\d[smhd])\.tsv$"
)
_ISO = "%Y-%m-%dT%H:%M:%S%.fZ"
#: A day of one-second windows with a hundred columns is far below this.
MAX_MEMBER = 256 << 20
#: Features compress ten to thirty times; a bomb does it a thousand times.
MAX_RATIO = 200


@dataclass(frozen=True)
class DayFile:
    """The features of one protocol, day and window, wherever they are stored."""

    protocol: str
    day: date
    window: str
    path: Path
    member: str | None = None

    @property
    def name(self) -> str:
        """The name for messages."""
        return f"{self.path}!{self.member}" if self.member else str(self.path)

    def read(self) -> bytes:
        """Return the stored bytes.

        Raises
        ------
        DataError
            Where they cannot be read, or a zip's member is damaged.
        """
        try:
            if self.member is None:
                return self.path.read_bytes()
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(self.member)
        except (OSError, zipfile.BadZipFile, RuntimeError, EOFError, ValueError) as error:
            raise DataError(f"cannot read {self.name}: {error}") from None


def is_datapool(path: Path | str) -> bool:
    """Return whether `path` is a folder or a zip, and so no table."""
    path = Path(path)
    return path.is_dir() or (path.is_file() and zipfile.is_zipfile(path))


def day_files(pool: Path | str) -> list[DayFile]:
    """List the day files of a pool, sorted by protocol, window and day.

    Raises
    ------
    NotFoundError
        Where there is no such pool.
    DataError
        Where a zip is damaged, or holds a member that leads out of it or expands too far.
    """
    pool = Path(pool)
    if not pool.exists():
        raise NotFoundError(f"no datapool {str(pool)!r}", "a folder or a zip", "Check the path.")
    found: dict[tuple[str, str, date], DayFile] = {}
    paths = [pool] if pool.is_file() else sorted(pool.rglob("*"))
    # Plain files come last, so that one beside a zip of the same day wins: it is the newer kind.
    for path in sorted(paths, key=lambda p: p.suffix != ".zip"):
        if not path.is_file():
            continue
        if path.suffix == ".zip" or path == pool:
            files = _members(path)
        else:
            files = [f for f in [_day_file(path.as_posix(), path, None)] if f is not None]
        for file in files:
            found[file.protocol, file.window, file.day] = file
    return [found[key] for key in sorted(found)]


def _members(path: Path) -> list[DayFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise DataError(f"{str(path)!r} is a damaged zip: {error}") from None
    files = []
    for member in members:
        name = member.filename
        if name.startswith(("/", "\\")) or ".." in Path(name).parts or ":" in name:
            raise DataError(f"{path.name!r} has the member {name!r}, which leads out of it")
        if member.flag_bits & 1:
            raise DataError(f"{path.name!r} is encrypted ({name!r})", "a zip without a password")
        ratio = member.file_size / max(member.compress_size, 1)
        if member.file_size > MAX_MEMBER or (member.file_size > 1 << 20 and ratio > MAX_RATIO):
            raise DataError(
                f"{path.name!r} has the member {name!r}, which expands to "
                f"{member.file_size:,} bytes",
                "the features of one day",
            )
        file = _day_file(name, path, name)
        if file is not None:
            files.append(file)
    return files


def _day_file(name: str, path: Path, member: str | None) -> DayFile | None:
    match = _MEMBER.search(name)
    if match is None:
        return None
    try:
        day = date(int(match["year"]), int(match["month"]), int(match["day"]))
    except ValueError:
        return None
    return DayFile(match["protocol"], day, match["window"], path, member)


def read_day(file: DayFile, columns: Iterable[str] | None = None) -> pl.DataFrame:
    """Read one day's features.

    Returns
    -------
    polars.DataFrame
        `window_start` (Int64, microseconds since the epoch) and the columns
        asked for (Float64, null where missing), all of them by default.

    Raises
    ------
    DataError
        Where the file is no such table; names the column and the value.
    """
    try:
        text = pl.read_csv(
            io.BytesIO(file.read()),
            separator="\t",
            infer_schema=False,
            columns=None if columns is None else ["window_start", *columns],
        )
    except (pl.exceptions.PolarsError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no table"
        raise DataError(f"{file.name} is damaged: {reason}") from None
    if "window_start" not in text.columns:
        raise DataError(f"{file.name} has no column window_start", "the features of one day")
    names = [name for name in text.columns if name not in ("window_start", "window_end")]
    starts = text["window_start"].str.to_datetime(_ISO, time_unit="us", strict=False)
    if starts.null_count():
        row = int(starts.is_null().arg_max() or 0)
        raise DataError(
            f"{file.name}, row {row}: window_start {text['window_start'][row]!r}",
            "a time such as 2019-06-01T00:00:00.000Z",
        )
    text = text.with_columns(pl.col(names).replace("", None))
    values = text.with_columns(pl.col(names).cast(pl.Float64, strict=False))
    for name in names:
        bad = (values[name].is_null() & text[name].is_not_null()) | values[name].is_infinite()
        if bad.any():
            row = int(bad.arg_max() or 0)
            raise DataError(
                f"{file.name}, row {row}, column {name!r}: {str(text[name][row])[:40]!r}",
                "a finite number, or nothing where the value is missing",
            )
    return values.select(starts.cast(pl.Int64).alias("window_start"), *names)


def read_datapool(
    path: Path | str,
    *,
    query: str | None = None,
    window: str | None = None,
    time_range: str | None = None,
    exclude: Iterable[str] = (),
) -> pd.DataFrame:
    """Read the columns of a selection query from a datapool as a frame.

    Parameters
    ----------
    path
        A folder or a zip.
    query
        The selection query; `mods.config.DEFAULT_QUERY` by default.
    window
        The window's name; by default `w01h-s10m` where the pool has it, else its only one.
    time_range, exclude
        Which part to take and which to make missing.

    Returns
    -------
    pandas.DataFrame
        `(windows, columns)`, float64, missing as NaN, a complete grid from the
        first window to the last, indexed by `window_start` in UTC.

    Raises
    ------
    NotFoundError, DataError, QueryError, RangeError
        Where there is no pool, no such protocol, column or window, or no data in range.
    """
    wanted = parse_query(query or config.DEFAULT_QUERY)
    files = day_files(path)
    if not files:
        raise DataError(
            f"{str(path)!r} holds no features",
            "files such as conn/2019/06/01/w01h-s10m.tsv",
            "Make them with 'mods features'.",
        )
    chosen = _choose_window(files, window)
    files = [file for file in files if file.window == chosen.name]
    _check_protocols(files, wanted)
    files = [file for file in files if file.protocol in wanted.protocols]
    in_range = _in_range(files, time_range)
    frame = _grid(in_range, wanted, chosen)
    frame.attrs["window"] = chosen.name
    return select(frame, time_range, exclude)


def _choose_window(files: list[DayFile], window: str | None) -> Window:
    known = sorted({file.window for file in files})
    if window is not None:
        chosen = Window.parse(window)
        if chosen.name not in known:
            raise RangeError(
                f"the datapool has no window {window!r}", mend=did_you_mean(window, known)
            )
        return chosen
    if config.DEFAULT_WINDOW in known or len(known) == 1:
        return Window.parse(config.DEFAULT_WINDOW if config.DEFAULT_WINDOW in known else known[0])
    raise RangeError(
        "the datapool has several windows", f"one of {', '.join(known)}", "Name one of them."
    )


def _check_protocols(files: list[DayFile], wanted: SelectionQuery) -> None:
    known = sorted({file.protocol for file in files})
    for protocol in wanted.protocols:
        if protocol not in known:
            raise QueryError(
                f"the datapool has no protocol {protocol!r}", mend=did_you_mean(protocol, known)
            )


def _in_range(files: list[DayFile], time_range: str | None) -> list[DayFile]:
    if time_range is None:
        return files
    chosen = TimeRange.parse(time_range)
    first = _moment(chosen.start).date()
    last = _moment(chosen.end - 1).date()
    kept = [file for file in files if first <= file.day <= last]
    if not kept:
        days = sorted({file.day for file in files})
        raise RangeError(
            f"range {time_range!r} holds no day of the datapool",
            f"a range that overlaps <{days[0]},{days[-1]}>",
        )
    return kept


def _moment(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


def _grid(files: list[DayFile], wanted: SelectionQuery, window: Window) -> pd.DataFrame:
    slide = window.slide * MICROSECONDS
    midnight = [_midnight(file.day) for file in files]
    start = -(-min(midnight) // slide) * slide
    total = (max(midnight) + 86400 * MICROSECONDS - start - 1) // slide + 1
    values = np.full((total, len(wanted.columns)), np.nan)
    names = wanted.names
    checked: set[str] = set()
    for file in files:
        columns = wanted.of(file.protocol)
        table = _read_selected(file, columns, wanted, checked)
        places, rest = np.divmod(table["window_start"].to_numpy() - start, slide)
        if rest.any() or (len(places) and (places.min() < 0 or places.max() >= total)):
            raise DataError(
                f"{file.name} has windows that do not start on its day at multiples of "
                f"{window.slide} s"
            )
        for selected in columns:
            cells = table[selected.column].fill_null(np.nan).to_numpy()
            values[places, names.index(selected.name)] = cells / selected.divisor
    times = pd.to_datetime(start + np.arange(total) * slide, unit="us", utc=True)
    return pd.DataFrame(values, columns=names, index=pd.DatetimeIndex(times, name="window_start"))


def _midnight(day: date) -> int:
    return (day - date(1970, 1, 1)).days * 86400 * MICROSECONDS


def _read_selected(
    file: DayFile, columns: list[Selected], wanted: SelectionQuery, checked: set[str]
) -> pl.DataFrame:
    """Read a day's selected columns; the query's mistakes are told from the first header."""
    if file.protocol not in checked:
        header = file.read().split(b"\n", 1)[0].decode(errors="replace").strip().split("\t")
        wanted.check(file.protocol, header)
        checked.add(file.protocol)
    return read_day(file, dict.fromkeys(selected.column for selected in columns))


def extent(pool: Path | str) -> list[dict[str, object]]:
    """Summarise a pool: first and last day and the days missing between, by protocol and window."""
    groups: dict[tuple[str, str], list[date]] = {}
    for file in day_files(pool):
        groups.setdefault((file.protocol, file.window), []).append(file.day)
    return [
        {
            "protocol": protocol,
            "window": window,
            "first_day": days[0].isoformat(),
            "last_day": days[-1].isoformat(),
            "days": len(days),
            "missing_days": (days[-1] - days[0]).days + 1 - len(days),
        }
        for (protocol, window), days in sorted(groups.items())
    ]
