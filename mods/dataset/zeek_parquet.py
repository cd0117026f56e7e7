"""Zeek's records in Parquet, as exporters store them: fields as columns, types as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from mods.dataset.protocols import FIELDS
from mods.dataset.records import Block, Rejects, raw_type, typed, typed_from_text

__all__ = ["read_parquet"]

_ROWS = 200_000


def read_parquet(
    path: Path,
    protocol: str,
    fields: tuple[str, ...],
    progress: Callable[[int], object] = lambda _n: None,
) -> Iterator[Block]:
    """Yield the records of a file, some 200,000 at a time; raise `OSError` where it is damaged."""
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        names = {n.replace(".", "_"): n for n in reversed(file.schema_arrow.names)}
        columns = [names[name] for name in fields if name in names]
        line = 1
        size = path.stat().st_size
        for batch in file.iter_batches(_ROWS, columns=columns):
            frame = pl.DataFrame(pl.from_arrow(batch))
            frame = frame.rename({c: c.replace(".", "_") for c in frame.columns})
            yield _block(frame, protocol, fields, line)
            line += frame.height
            progress(round(size * frame.height / max(1, file.metadata.num_rows)))
    except pyarrow.ArrowException as error:
        raise OSError(f"no sound Parquet file ({error})") from error


def _block(frame: pl.DataFrame, protocol: str, fields: tuple[str, ...], line: int) -> Block:
    plain = frame.select(_plain(frame[name]) for name in frame.columns)
    raw = _raw(plain)
    records = None if raw is None else typed(raw, fields, empty=None)
    if records is not None:
        return Block(protocol, records)
    text = plain.select(_text(plain[name]) for name in plain.columns)
    numbers = pl.int_range(line, line + frame.height, eager=True).alias("line")
    records, bad = typed_from_text(text.with_columns(numbers), fields, empty=None)
    rejects = Rejects()
    for number, reason in bad.iter_rows():
        rejects.add(number, reason, str(plain.row(number - line)).encode())
    return Block(protocol, records, rejects)


def _plain(column: pl.Series) -> pl.Series:
    """Bring times and durations to seconds; leave every other column as it is."""
    if column.dtype == pl.Datetime:
        return column.dt.epoch("us") / 1e6
    if column.dtype == pl.Duration:
        return column.dt.total_microseconds() / 1e6
    return column


def _raw(plain: pl.DataFrame) -> pl.DataFrame | None:
    """Bring each column to its field's raw type; None where a value does not allow it."""
    try:
        return plain.select(
            plain[name]
            if FIELDS[name] == "bool" and plain.schema[name] == pl.Boolean
            else plain[name].cast(raw_type(name))
            for name in plain.columns
        )
    except PolarsError:
        return None


def _text(column: pl.Series) -> pl.Series:
    if column.dtype == pl.Boolean:
        return column.cast(pl.String).replace({"true": "T", "false": "F"})
    try:
        return column.cast(pl.String)
    except PolarsError:  # a list or a struct is no value of any of our fields
        return pl.Series(column.name, [None if v is None else str(v) for v in column], pl.String)
