"""The content of one file of a datapool: a day's features as TSV or Parquet, and back.

In memory it is a polars frame: `window_start` (Int64, microseconds since the
epoch, UTC) and the features, null where missing.
"""

from __future__ import annotations

import io
from collections.abc import Collection
from datetime import date

import numpy as np
import polars as pl

from mods.dataset.day_files import DayFile
from mods.errors import DataError
from mods.timerange import MICROSECONDS, Window

__all__ = ["MISSING", "TIMES", "body_of", "parse_day", "parse_joined", "render", "schema_of"]

TIMES = ("window_start", "window_end")
#: How a missing value is written; an empty cell means the same.
MISSING = '""'
_READ = "%Y-%m-%dT%H:%M:%S%.fZ"
_WRITE = "%Y-%m-%dT%H:%M:%S%.3fZ"
_DAY = 86400 * MICROSECONDS


def schema_of(data: bytes, file: DayFile) -> list[str]:
    """Return the columns' names, times included; raise `DataError` where it is no such table."""
    if file.kind == "parquet":
        try:
            names = list(pl.read_parquet_schema(io.BytesIO(data)))
        except (pl.exceptions.PolarsError, OSError, ValueError) as error:
            raise _damaged(file, _reason(error)) from None
    else:
        try:
            names = data.split(b"\n", 1)[0].removesuffix(b"\r").decode("utf-8-sig").split("\t")
        except UnicodeDecodeError:
            raise _damaged(file, "it is not UTF-8 text") from None
    if not data or names == [""]:
        raise _damaged(file, "it is empty")
    if "window_start" not in names:
        raise DataError(f"{file.name} has no column 'window_start'", "the features of one day")
    if len(set(names)) < len(names) or "" in names:
        raise _damaged(file, "its columns' names are not distinct")
    return names


def body_of(data: bytes) -> bytes:
    """Return the rows of a TSV without the header line, each with its line end."""
    body = data.partition(b"\n")[2]
    return body if not body or body.endswith(b"\n") else body + b"\n"


def parse_joined(
    files: list[DayFile], bodies: list[bytes], header: list[str], columns: Collection[str]
) -> pl.DataFrame | None:
    """Read many days of one protocol, window and header at once, as `parse_day` does each.

    Returns None where anything is wrong with any of them: which one, and what,
    is for `parse_day` to say.  Parsing once is some ten times as fast.
    """
    rows = [body.count(b"\n") for body in bodies]
    text = b"".join(bodies)
    # A line too long fails in the parser, so equal counts mean that none is too short either.
    if text.count(b"\t") != sum(rows) * (len(header) - 1):
        return None
    times = [name for name in TIMES if name in header]
    if not text:
        return pl.DataFrame(schema={"window_start": pl.Int64, **dict.fromkeys(columns, pl.Float64)})
    try:
        cells = pl.read_csv(
            "\t".join(header).encode() + b"\n" + text,
            separator="\t",
            infer_schema=False,
            columns=[*times, *columns],
        )
        # One query for all: to begin one costs more than a day's cells.
        table = cells.select(
            pl.col(times).str.to_datetime(_READ, time_unit="us").cast(pl.Int64),
            pl.col(columns).str.strip_chars().replace("", None).cast(pl.Float64),
        )
    except (pl.exceptions.PolarsError, ValueError):
        return None
    finite = [np.isfinite(table[name].to_numpy()).sum() for name in columns]
    if (
        len(table) != sum(rows)
        or any(table[name].null_count() for name in times)
        or finite != [len(table) - table[name].null_count() for name in columns]
    ):
        return None
    midnights = np.repeat([_midnight(file.day) for file in files], rows)
    if _off(table, midnights, Window.parse(files[0].window)):
        return None
    return pl.DataFrame([table["window_start"], *(table[name] for name in columns)])


def parse_day(data: bytes, file: DayFile, columns: Collection[str] | None = None) -> pl.DataFrame:
    """Read one day's features, strictly.

    Parameters
    ----------
    data
        The stored bytes.
    file
        What they are said to be.
    columns
        The features to keep; all by default.

    Returns
    -------
    polars.DataFrame
        `(windows, 1 + columns)`: `window_start`, and the features as Int64
        where all are whole numbers, else as Float64.

    Raises
    ------
    DataError
        Where it is no table of that day; names the line, column and value.
    """
    names = schema_of(data, file)
    features = [name for name in names if name not in TIMES]
    keep = features if columns is None else [name for name in features if name in columns]
    if file.kind == "parquet":
        table = _from_parquet(data, file, names, keep)
    else:
        table = _from_text(data, file, names, keep)
    _check_times(table, file)
    return table.select("window_start", *keep)


def _from_parquet(data: bytes, file: DayFile, names: list[str], keep: list[str]) -> pl.DataFrame:
    times = [name for name in TIMES if name in names]
    try:
        table = pl.read_parquet(io.BytesIO(data), columns=[*times, *keep])
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise _damaged(file, _reason(error)) from None
    for name in times:
        if table.schema[name].base_type() != pl.Datetime:
            raise DataError(f"{file.name} holds {table.schema[name]} as {name!r}", "times")
        if table[name].null_count():
            raise DataError(f"{file.name} has a row without {name}", "a time for each row")
    for name in keep:
        if not (table.schema[name].is_numeric() or table.schema[name] == pl.Null):
            raise DataError(f"{file.name} holds {table.schema[name]} as {name!r}", "numbers")
        if table.schema[name].is_float() and table[name].is_infinite().any():
            raise DataError(f"{file.name} has an infinite value of {name!r}", "finite numbers")
    return table.with_columns(
        *(pl.col(name).dt.epoch("us").cast(pl.Int64) for name in times),
        *(pl.col(n).fill_nan(None) for n in keep if table.schema[n].is_float()),
    )


def _from_text(data: bytes, file: DayFile, names: list[str], keep: list[str]) -> pl.DataFrame:
    rows: list[list[str]] = []
    try:
        lines = body_of(data).decode().replace("\r\n", "\n").split("\n")[:-1]
    except UnicodeDecodeError:
        raise _damaged(file, "it is not UTF-8 text") from None
    for number, line in enumerate(lines, 2):
        cells = [_unquoted(cell.strip()) for cell in line.split("\t")]
        if len(cells) != len(names):
            raise DataError(
                f"{file.name}, line {number} has {len(cells)} field{'s' * (len(cells) != 1)}",
                f"{len(names)} fields",
            )
        rows.append(cells)
    text = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")
    columns = [_times(text[name], file) for name in TIMES if name in names]
    columns += [_numbers(text[name], file) for name in keep]
    return pl.DataFrame(columns)


def _unquoted(cell: str) -> str:
    return cell[1:-1] if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def _times(text: pl.Series, file: DayFile) -> pl.Series:
    times = text.str.to_datetime(_READ, time_unit="us", strict=False)
    if times.null_count():
        row = int(times.is_null().arg_max() or 0)
        raise DataError(
            f"{file.name}, line {row + 2}: {text.name} {text[row][:40]!r}",
            "a time such as 2019-06-01T00:00:00.000Z",
        )
    return times.cast(pl.Int64)


def _numbers(text: pl.Series, file: DayFile) -> pl.Series:
    text = text.replace("", None)
    whole = text.cast(pl.Int64, strict=False)
    if whole.null_count() == text.null_count():
        return whole
    values = text.cast(pl.Float64, strict=False)
    bad = (values.is_null() & text.is_not_null()) | ~values.is_finite().fill_null(True)
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise DataError(
            f"{file.name}, line {row + 2}, column {text.name!r}: {str(text[row])[:40]!r}",
            "a finite number, or nothing where the value is missing",
        )
    return values


def _check_times(table: pl.DataFrame, file: DayFile) -> None:
    midnight = np.full(len(table), _midnight(file.day))
    faults = _off(table, midnight, Window.parse(file.window))
    if faults:
        row, fault, expected = faults
        start = pl.from_epoch(table["window_start"].slice(row, 1), "us").dt.strftime(_WRITE)
        raise DataError(f"{file.name}, line {row + 2}: window_start {start[0]} {fault}", expected)


def _midnight(day: date) -> int:
    return (day - date(1970, 1, 1)).days * _DAY


def _off(table: pl.DataFrame, midnights: np.ndarray, window: Window) -> tuple[int, str, str] | None:
    """Return the first row whose times are no window of its day, with fault and expectation."""
    starts = table["window_start"].to_numpy()
    slide, length = window.slide * MICROSECONDS, window.length * MICROSECONDS
    checks = [
        (
            (starts < midnights) | (starts >= midnights + _DAY),
            "is on another day",
            "the windows that start on the day in the file's name",
        ),
        (starts % slide != 0, "starts no window", f"multiples of {window.slide} s"),
        (_repeated(starts), "is there twice", "each window once"),
    ]
    if "window_end" in table.columns:
        wrong = table["window_end"].to_numpy() - starts != length
        checks.append((wrong, "has another end", f"windows of {window.length} s"))
    for off, fault, expected in checks:
        if off.any():
            return int(off.argmax()), fault, expected
    return None


def _repeated(starts: np.ndarray) -> np.ndarray:
    """Return which starts are there more than once: `(rows,)`, bool."""
    if (np.diff(starts) > 0).all():
        return np.zeros(len(starts), dtype=bool)
    _, places, counts = np.unique(starts, return_inverse=True, return_counts=True)
    repeated: np.ndarray = counts[places] > 1
    return repeated


def render(features: pl.DataFrame, window: Window, kind: str) -> bytes:
    """Return the bytes of a day's features; the inverse of `parse_day`.

    Times are written as 2019-06-01T00:00:00.000Z, whole numbers as such, others
    in the fewest digits that give the same number, missing as `""`: a day of
    a datapool that was read is written byte for byte as it was.
    """
    begin = pl.from_epoch("window_start", "us")
    end = pl.from_epoch(pl.col("window_start") + window.length * MICROSECONDS, "us")
    buffer = io.BytesIO()
    if kind == "parquet":
        features.select(
            begin.dt.replace_time_zone("UTC").alias("window_start"),
            end.dt.replace_time_zone("UTC").alias("window_end"),
            pl.exclude(TIMES),
        ).write_parquet(buffer, compression="zstd")
    else:
        features.select(
            begin.dt.strftime(_WRITE).alias("window_start"),
            end.dt.strftime(_WRITE).alias("window_end"),
            pl.exclude(TIMES),
        ).write_csv(buffer, separator="\t", quote_style="never", null_value=MISSING)
    return buffer.getvalue()


def _damaged(file: DayFile, reason: str) -> DataError:
    return DataError(f"{file.name} is damaged: {reason}", "the features of one day")


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
