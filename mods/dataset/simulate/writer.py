"""Record tables as text, as Zeek's ASCII writer has it: TSV with its header, or JSON lines."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

import polars as pl

from mods.dataset.simulate.schemas import FIELDS

__all__ = ["WRITERS", "JsonWriter", "TsvWriter", "Writer", "log_name"]


class Writer(Protocol):
    """What turns records into the text of a log; times in microseconds since the epoch."""

    def header(self, protocol: str, opened: int) -> bytes:
        """Return what stands before the records."""

    def lines(self, records: pl.DataFrame, protocol: str) -> bytes:
        """Return the records, one a line."""

    def footer(self, closed: int) -> bytes:
        """Return what stands after the records."""


class TsvWriter:
    r"""Tab-separated values: six decimals, `-` for unset, `(empty)` for an empty set.

    Strings must hold no tabs, line ends or, in sets, commas; Zeek would escape them.

    Examples
    --------
    >>> TsvWriter().footer(3_600_000_000)
    b'#close\t1970-01-01-01-00-00\n'
    """

    def header(self, protocol: str, opened: int) -> bytes:
        """Return the eight lines that tell the dialect, the fields and their types."""
        fields = FIELDS[protocol]
        lines = (
            "#separator \\x09",
            "#set_separator\t,",
            "#empty_field\t(empty)",
            "#unset_field\t-",
            f"#path\t{protocol}",
            f"#open\t{_stamp(opened)}",
            "#fields\t" + "\t".join(name for name, _ in fields),
            "#types\t" + "\t".join(zeek for _, zeek in fields),
        )
        return ("\n".join(lines) + "\n").encode()

    def lines(self, records: pl.DataFrame, protocol: str) -> bytes:
        """Return the records, one a line."""
        ready = _in_seconds(records).select(
            _tsv_column(name, zeek) for name, zeek in FIELDS[protocol]
        )
        text = ready.write_csv(
            None,
            include_header=False,
            separator="\t",
            null_value="-",
            float_precision=6,
            quote_style="never",
        )
        return text.encode()

    def footer(self, closed: int) -> bytes:
        """Return the line that tells when the log was closed."""
        return f"#close\t{_stamp(closed)}\n".encode()


class JsonWriter:
    """JSON lines: unset fields are left out, times are seconds since the epoch.

    Strings in sets must hold no quotes, and no string a backslash; simulated ones do not.
    """

    def header(self, protocol: str, opened: int) -> bytes:
        """Return nothing: a JSON log has no header."""
        return b""

    def lines(self, records: pl.DataFrame, protocol: str) -> bytes:
        """Return the records, one a line."""
        pieces = [pl.lit("{")]
        for name, zeek in FIELDS[protocol]:
            unset = records[name].null_count()
            if unset == len(records):
                continue
            member = _json_member(records[name], zeek)
            if len(pieces) == 1:
                member[0] = pl.lit(f'"{name}":')
            if unset:
                member = [pl.concat_str(member).fill_null("")]
            pieces += member
        # One concatenation of everything copies the text once.
        whole = pl.concat_str([*pieces, pl.lit("}\n")])
        lines = _in_seconds(records).select(whole).to_series().rechunk()
        array = lines.to_arrow(compat_level=pl.CompatLevel.oldest())
        # The texts of all records lie one after the other in Arrow's third buffer.
        texts: bytes = array.buffers()[2].to_pybytes()
        return texts

    def footer(self, closed: int) -> bytes:
        """Return nothing."""
        return b""


#: Formats by name.
WRITERS: dict[str, type[TsvWriter] | type[JsonWriter]] = {"tsv": TsvWriter, "json": JsonWriter}


_NUMBERS = ("time", "interval", "count", "port")


def log_name(protocol: str, start: int, end: int, suffix: str) -> str:
    """Return the name that Zeek gives a rotated log; times in microseconds since the epoch.

    Examples
    --------
    >>> log_name("conn", 82_800_000_000, 86_400_000_000, ".log.gz")
    'conn.23:00:00-00:00:00.log.gz'
    """
    first, last = (datetime.fromtimestamp(t / 1e6, UTC).strftime("%H:%M:%S") for t in (start, end))
    return f"{protocol}.{first}-{last}{suffix}"


def _in_seconds(records: pl.DataFrame) -> pl.DataFrame:
    # Polars divides by a number as it multiplies by its reciprocal, which is one digit off.
    seconds = records["ts"].dt.epoch("us").to_numpy() / 1e6
    return records.with_columns(ts=pl.Series(seconds))


def _tsv_column(name: str, zeek: str) -> pl.Expr:
    column = pl.col(name)
    if zeek == "bool":
        return _either(column, "T", "F").alias(name)
    if zeek == "vector[interval]":
        # Simulated times to live are whole seconds.
        column = column.list.eval(pl.format("{}.000000", pl.element().cast(pl.Int64)))
    if zeek.startswith(("set[", "vector[")):
        joined = column.list.join(",")
        return pl.when(column.list.len() == 0).then(pl.lit("(empty)")).otherwise(joined).alias(name)
    return column


def _json_member(values: pl.Series, zeek: str) -> list[pl.Expr]:
    """Return `,"name":value` in pieces of text; missing where the value is unset."""
    column = pl.col(values.name)
    before, after = f',"{values.name}":', ""
    if zeek == "bool":
        value = _either(column, "true", "false")
    elif zeek.startswith(("set[", "vector[")):
        inner = zeek[zeek.index("[") + 1 : -1]
        if inner in _NUMBERS:
            value = column.cast(pl.List(pl.String)).list.join(",")
            before, after = before + "[", "]"
        else:
            joined = column.list.join('","')
            value = pl.when(column.list.len() > 0).then(pl.format('["{}"]', joined))
            value = value.when(column.list.len() == 0).then(pl.lit("[]"))
    elif zeek in _NUMBERS:
        value = column.cast(pl.String)
    else:
        value = column
        before, after = before + '"', '"'
        if values.str.contains('"', literal=True).any():
            value = column.str.replace_all('"', '\\"', literal=True)
    return [pl.lit(before), value, pl.lit(after)] if after else [pl.lit(before), value]


def _either(column: pl.Expr, true: str, false: str) -> pl.Expr:
    return pl.when(column).then(pl.lit(true)).when(~column).then(pl.lit(false))


def _stamp(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).strftime("%Y-%m-%d-%H-%M-%S")
