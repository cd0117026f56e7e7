"""What the readers hand on: records of one protocol, typed, unset as null.

==============  ===========  ==========================================
Zeek's type     column       unit
==============  ===========  ==========================================
time            Int64        microseconds since the epoch, UTC, rounded
interval        Int64        microseconds, rounded
count, port     Int64        as they are
bool            Boolean
others          String       `(empty)` is the empty text
==============  ===========  ==========================================

Columns are named as the fields, dots written as underscores.  Every record has
its time `ts`.  Whole microseconds make sums exact on every engine, in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import polars as pl

from mods.dataset.protocols import FIELDS

__all__ = [
    "LIMITS",
    "Block",
    "Reject",
    "Rejects",
    "empty_records",
    "epoch_text",
    "raw_type",
    "typed",
    "typed_from_text",
]

#: The values that a field of a type can have; beyond them a line is no record.  A time is after
#: the epoch and before the year 10000, an interval shorter than 31 years, a count below 2^50 (a
#: pebibyte), so that no sum of a window can pass 64 bits.
LIMITS = {
    "time": (1, 253_402_300_800_000_000),
    "interval": (-1_000_000_000_000_000, 1_000_000_000_000_000),
    "count": (0, 1 << 50),
    "port": (0, 65535),
}
_COLUMN = {
    "time": pl.Int64,
    "interval": pl.Int64,
    "count": pl.Int64,
    "port": pl.Int64,
    "bool": pl.Boolean,
}
_RAW = {"time": pl.Float64, "interval": pl.Float64, "count": pl.Int64, "port": pl.Int64}
_TRUE, _FALSE = ("T", "true"), ("F", "false")


@dataclass(frozen=True)
class Reject:
    """A line that is no record: its number in the file (from 1), why, and its beginning."""

    line: int
    reason: str
    text: str


class Rejects:
    r"""The lines of a block that are no records: all counted, the first ones kept.

    Examples
    --------
    >>> rejects = Rejects()
    >>> rejects.add(7, "3 fields where the header names 21", b"1\t2\xff")
    >>> rejects.count, rejects.kept
    (1, [Reject(line=7, reason='3 fields where the header names 21', text='1\\t2\\xff')])
    """

    #: How many are kept of a block, so that a file of nothing else needs no memory.
    MOST = 1000

    def __init__(self) -> None:
        self.count = 0
        self.kept: list[Reject] = []

    def add(self, line: int, reason: str, text: bytes) -> None:
        """Count a line, and keep its beginning as printable text."""
        self.count += 1
        if len(self.kept) < self.MOST:
            plain = text[:200].decode("utf-8", "backslashreplace")
            printable = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in plain)
            self.kept.append(Reject(line, reason, printable))


@dataclass
class Block:
    """Some records of one protocol out of one file, and the lines that were none."""

    protocol: str
    records: pl.DataFrame
    rejects: Rejects = field(default_factory=Rejects)


def empty_records(fields: Iterable[str]) -> pl.DataFrame:
    """Return a frame of these columns and no record."""
    return pl.DataFrame(schema={f: _COLUMN.get(FIELDS[f], pl.String) for f in fields})


def raw_type(name: str) -> type[pl.DataType]:
    """Return the type in which a fast reader parses a field before `typed` sees it."""
    return _RAW.get(FIELDS[name], pl.String)


def typed(raw: pl.DataFrame, fields: Iterable[str], empty: str | None) -> pl.DataFrame | None:
    """Turn columns of raw types into records; None where any value is out of bounds.

    Parameters
    ----------
    raw
        Columns by field name, each of `raw_type` (a bool may be Boolean already); others are
        ignored, and those that lack are null.
    fields
        The columns wanted.
    empty
        The text that stands for an empty string, for example `(empty)`.
    """
    wanted = list(fields)
    checks = [pl.col("ts").is_null().any().alias("ts")]
    columns = []
    for name in wanted:
        kind = FIELDS[name]
        if name not in raw.columns:
            columns.append(pl.lit(None, _COLUMN.get(kind, pl.String)).alias(name))
            continue
        value = pl.col(name)
        if kind in ("time", "interval"):
            low, high = LIMITS[kind]
            # NaN and the infinities lie in no interval; null is unset
            inside = value.is_between(low / 1e6, high / 1e6, closed="left")
            checks.append((~inside).any().alias(f"bad_{name}"))
            checks.append(value.is_nan().any().alias(f"nan_{name}"))
            value = (value * 1e6 + 0.5).floor().cast(pl.Int64, strict=False)
        elif kind in LIMITS:
            low, high = LIMITS[kind]
            checks.append((~value.is_between(low, high)).any().alias(f"bad_{name}"))
        elif kind == "bool" and raw.schema[name] != pl.Boolean:
            checks.append((~value.is_in(("T", "F"))).any().alias(f"bad_{name}"))
            value = value == "T"
        elif kind == "string" and empty is not None:
            value = pl.when(value == empty).then(pl.lit("")).otherwise(value)
        columns.append(value.alias(name))
    if any(raw.select(checks).row(0)):
        return None
    return raw.select(columns)


def typed_from_text(
    text: pl.DataFrame, fields: Iterable[str], empty: str | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Turn columns of text into records, value by value.

    Parameters
    ----------
    text
        String columns by field name, null where unset, beside `line` (Int64), the line number.
    fields, empty
        As for `typed`.

    Returns
    -------
    tuple
        The records of the lines that fit, and of the others `line` and `reason`.
    """
    wanted = list(fields)
    columns, complaints = [], []
    for name in wanted:
        kind = FIELDS[name]
        if name not in text.columns:
            columns.append(pl.lit(None, _COLUMN.get(kind, pl.String)).alias(name))
            if name == "ts":
                complaints.append(pl.lit("ts is unset, no time"))
            continue
        if kind == "time":
            text = text.with_columns(epoch_text(text[name]))
        source = pl.col(name)
        source = pl.when(source == "").then(None).otherwise(source) if kind != "string" else source
        value = _from_text(source, kind, empty)
        columns.append(value.alias(name))
        wrong = value.is_null() & (source.is_not_null() | pl.lit(name == "ts"))
        what = pl.format(
            f"{name.replace('id_', 'id.')} is {{}}, no {kind}", source.fill_null("unset")
        )
        complaints.append(pl.when(wrong).then(what))
    checked = text.select(
        *columns,
        line=pl.col("line"),
        reason=pl.concat_str(complaints, separator="; ", ignore_nulls=True),
    )
    bad = checked.filter(pl.col("reason") != "").select("line", "reason")
    return checked.filter(pl.col("reason") == "").select(wanted), bad


def _from_text(value: pl.Expr, kind: str, empty: str | None) -> pl.Expr:
    if kind in ("time", "interval"):
        low, high = LIMITS[kind]
        micro = (value.cast(pl.Float64, strict=False) * 1e6 + 0.5).floor()
        # a float outside of the limits may not be cast at all
        return pl.when(micro.is_between(low, high, closed="left")).then(micro).cast(pl.Int64)
    if kind in LIMITS:
        low, high = LIMITS[kind]
        # JSON writers may put 242.0 for 242
        number = value.str.strip_suffix(".0").str.strip_chars().cast(pl.Int64, strict=False)
        return pl.when(number.is_between(low, high)).then(number)
    if kind == "bool":
        return pl.when(value.is_in(_TRUE)).then(True).when(value.is_in(_FALSE)).then(False)
    if kind == "string" and empty is not None:
        return pl.when(value == empty).then(pl.lit("")).otherwise(value)
    return value


def epoch_text(times: pl.Series) -> pl.Series:
    """Turn ISO 8601 times into seconds since the epoch, as text; leave the rest as it is."""
    if not times.str.contains("-", literal=True).any():
        return times
    return pl.Series(times.name, list(_iso(times)), dtype=pl.String)


def _iso(times: Iterable[str | None]) -> Iterator[str | None]:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    for text in times:
        try:
            moment = datetime.fromisoformat(text or "")
        except ValueError:
            yield text
            continue
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        micro = (moment - epoch) // timedelta(microseconds=1)
        yield f"{micro // 1_000_000}.{micro % 1_000_000:06d}" if micro >= 0 else text
