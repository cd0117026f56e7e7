"""Writing record tables as Zeek's ASCII writer does: TSV with its header, or JSON lines."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from mods.dataset.simulate.schemas import FIELDS

__all__ = ["log_name", "tsv_footer", "tsv_header", "tsv_lines", "write_log"]


def tsv_header(protocol: str, opened: int) -> bytes:
    """Return the header of a TSV log that was opened at `opened`, microseconds since the epoch."""
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


def tsv_footer(closed: int) -> bytes:
    """Return the last line of a TSV log."""
    return f"#close\t{_stamp(closed)}\n".encode()


def tsv_lines(records: pl.DataFrame, protocol: str) -> bytes:
    """Return the records as lines of a TSV log.

    Times and intervals have six decimals, unset is `-`, an empty set `(empty)`.
    """
    ready = records.select(_tsv_column(name, zeek) for name, zeek in FIELDS[protocol])
    text = ready.write_csv(
        None,
        include_header=False,
        separator="\t",
        null_value="-",
        quote_style="never",
        float_precision=6,
    )
    return text.encode()


def _tsv_column(name: str, zeek: str) -> pl.Expr:
    column = pl.col(name)
    if zeek == "time":
        return column.dt.epoch("us") / 1e6
    if zeek == "bool":
        return pl.when(column).then(pl.lit("T")).when(~column).then(pl.lit("F")).alias(name)
    if zeek == "vector[interval]":
        # Simulated times to live are whole seconds.
        column = column.list.eval(pl.format("{}.000000", pl.element().cast(pl.Int64)))
    if zeek.startswith(("set[", "vector[")):
        joined = column.list.join(",")
        return pl.when(column.list.len() == 0).then(pl.lit("(empty)")).otherwise(joined).alias(name)
    return column


def log_name(protocol: str, start: int, end: int, suffix: str) -> str:
    """Return the name that Zeek gives a rotated log; times in microseconds since the epoch.

    Examples
    --------
    >>> log_name("conn", 82_800_000_000, 86_400_000_000, ".log.gz")
    'conn.23:00:00-00:00:00.log.gz'
    """
    first, last = (datetime.fromtimestamp(t / 1e6, UTC).strftime("%H:%M:%S") for t in (start, end))
    return f"{protocol}.{first}-{last}{suffix}"


def write_log(path: Path, content: bytes) -> None:
    """Write a log, compressed where its name ends in `.gz`; equal content makes equal files."""
    path.write_bytes(gzip.compress(content, 1, mtime=0) if path.suffix == ".gz" else content)


def _stamp(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).strftime("%Y-%m-%d-%H-%M-%S")
