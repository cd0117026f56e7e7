"""Writing features into a datapool: a tree of TSV or Parquet files, or zips of days or months.

However it is stored, a datapool is read back the same.  Each file is written
aside and renamed, so that whatever happens while writing leaves the previous
one unharmed.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Literal, get_args

import polars as pl

from mods.dataset.archive import Archive
from mods.dataset.day_files import DayFile
from mods.dataset.day_table import TIMES, render
from mods.dataset.manifest import Manifest
from mods.errors import ConfigError, DataError, did_you_mean
from mods.files import write_aside
from mods.timerange import MICROSECONDS, Window

__all__ = ["LAYOUTS", "Layout", "place", "write_features"]

Layout = Literal["tree", "parquet", "zip-day", "zip-month"]
#: The layouts; a reader that finds one day in several takes the first of this order.
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
#: Always the same time in a zip, so that equal features make equal bytes.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def place(pool: Path, protocol: str, day: date, window: str, layout: Layout) -> DayFile:
    """Return where a layout keeps the features of a protocol, day and window.

    Examples
    --------
    >>> place(Path("pool"), "conn", date(2019, 6, 1), "w01h-s10m", "zip-month").name
    'pool/2019-06.zip: conn/2019/06/01/w01h-s10m.tsv'
    """
    kind = "parquet" if layout == "parquet" else "tsv"
    name = f"{protocol}/{day:%Y/%m/%d}/{window}.{kind}"
    if layout in ("tree", "parquet"):
        return DayFile(protocol, day, window, pool / name, None, kind)
    archive = f"{day}.zip" if layout == "zip-day" else f"{day:%Y-%m}.zip"
    return DayFile(protocol, day, window, pool / archive, name, kind)


def write_features(
    pool: Path | str,
    protocol: str,
    window: Window,
    features: pl.DataFrame,
    *,
    layout: Layout = "tree",
    manifest: Manifest | None = None,
) -> list[Path]:
    """Write features, one file a day; days that are there already are replaced.

    Parameters
    ----------
    pool
        The datapool's folder.
    protocol, window
        What the features are of.
    features
        `(windows, 1 + columns)`: `window_start` (Int64, microseconds since the
        epoch, UTC) and numeric columns in the datapool's order; null or NaN is missing.
    layout
        `tree` (a TSV file a day), `parquet` (a Parquet file a day), `zip-day` or
        `zip-month` (TSV in one zip a day or month, for all protocols and windows).
    manifest
        Takes note of what is written; the caller saves it.

    Returns
    -------
    list of Path
        The files written: those of the days, or the zips that hold them.

    Raises
    ------
    DataError
        Where the features do not fit the window or are infinite, where the
        datapool has the day already in a layout that would be read instead, or
        where writing fails; what was there before is unharmed.
    ConfigError
        Where there is no such layout.
    """
    pool = Path(pool)
    if layout not in LAYOUTS:
        raise ConfigError(f"layout {layout!r}", mend=did_you_mean(layout, LAYOUTS))
    features = _checked(features, protocol, window)
    parts: dict[DayFile, pl.DataFrame] = {}
    for (number,), part in features.partition_by("day", as_dict=True, include_key=False).items():
        day = date(1970, 1, 1) + timedelta(days=int(str(number)))
        file = place(pool, protocol, day, window.name, layout)
        _refuse_second_copy(pool, file, layout)
        parts[file] = part
    contents = {file: render(part, window, file.kind) for file, part in parts.items()}
    if layout in ("tree", "parquet"):
        for file, data in contents.items():
            with write_aside(file.path) as partial:
                partial.write_bytes(data)
    else:
        archives: dict[Path, dict[str, bytes]] = {}
        for file, data in contents.items():
            archives.setdefault(file.path, {})[file.member or ""] = data
        for path, members in archives.items():
            _write_zip(path, members)
    if manifest is not None:
        for file, part in parts.items():
            missing = part.select(pl.all_horizontal(pl.exclude("window_start").is_null()))
            known = len(part) - int(missing.to_series().sum())
            manifest.record(file, contents[file], windows=len(part), known=known)
    return list(dict.fromkeys(file.path for file in contents))


def _checked(features: pl.DataFrame, protocol: str, window: Window) -> pl.DataFrame:
    """Return the features sorted by time, NaN as null, with the day's number as `day`."""
    what = f"features of {protocol}"
    if features.schema.get("window_start") != pl.Int64 or features["window_start"].null_count():
        raise DataError(f"{what} have no sound window_start", "microseconds since the epoch, Int64")
    names = [name for name in features.columns if name not in TIMES]
    if not names:
        raise DataError(f"{what} have no column besides times", "at least one feature")
    for name in names:
        kind = features.schema[name]
        if not (kind.is_numeric() or kind == pl.Null):
            raise DataError(f"{what}: column {name!r} holds {kind}", "numbers")
        if kind.is_float() and features[name].is_infinite().any():
            raise DataError(f"{what}: column {name!r} holds infinite values", "finite numbers")
        if set(name) & set('\t\r\n"'):
            raise DataError(f"{what}: column {name!r}", "a name without tabs, line ends and quotes")
    starts = features["window_start"]
    if (starts % (window.slide * MICROSECONDS) != 0).any() or starts.is_duplicated().any():
        raise DataError(
            f"{what} have windows twice, or that do not start at multiples of {window.slide} s",
            f"each window {window.name} once",
        )
    return features.select(
        pl.col("window_start"),
        *(pl.col(n).fill_nan(None) if features.schema[n].is_float() else pl.col(n) for n in names),
        (pl.col("window_start") // (86400 * MICROSECONDS)).alias("day"),
    ).sort("window_start")


def _refuse_second_copy(pool: Path, file: DayFile, layout: Layout) -> None:
    """Raise where a reader would take another copy of the day than the one to be written."""
    for other in LAYOUTS[: LAYOUTS.index(layout)]:
        copy = place(pool, file.protocol, file.day, file.window, other)
        if copy.exists():
            raise DataError(
                f"{file.protocol} of {file.day} is in the datapool already, as {copy.name}",
                f"one copy of each day, where {layout!r} would make a second",
                f"Write with the layout {other!r}, or to another folder.",
            )


def _names(path: Path) -> frozenset[str]:
    with Archive(path) as archive:
        return frozenset(archive.names)


def _write_zip(path: Path, members: Mapping[str, bytes]) -> None:
    """Add or replace members of a zip; the zip is written as a whole, aside."""
    old = _names(path) if path.exists() else frozenset()
    with write_aside(path) as partial:
        if old and old.isdisjoint(members):
            # Nothing is replaced, so what is packed already is copied as it is.
            shutil.copyfile(path, partial)
            mode: Literal["a", "w"] = "a"
        else:
            mode = "w"
        with zipfile.ZipFile(partial, mode) as target:
            if old and mode == "w":
                with Archive(path) as source:
                    for name in source.names:
                        if name not in members:
                            _add(target, name, source.read(name))
            for name, data in members.items():
                _add(target, name, data)


def _add(target: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, _ZIP_TIME)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    target.writestr(info, data)
