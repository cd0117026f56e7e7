"""Logs on a Hadoop file system (HDFS, S3, ...), by their address, read through Spark."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs

from mods.errors import DataError, NotFoundError

__all__ = [
    "HadoopFile",
    "LogFile",
    "copy_there",
    "exists",
    "is_address",
    "list_files",
    "write_by_day",
]

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def is_address(path: object) -> bool:
    """Tell an address on a Hadoop file system from a path.

    >>> is_address("hdfs://namenode:8020/zeek"), is_address("file:/zeek"), is_address("C:/zeek")
    (True, True, False)
    """
    return isinstance(path, str) and _ADDRESS.match(path) is not None


@dataclass(frozen=True, order=True)
class HadoopFile:
    """A file on a Hadoop file system; it takes a path's place in a log.

    >>> HadoopFile("hdfs://namenode:8020/zeek/conn.log.gz").name
    'conn.log.gz'
    """

    address: str

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self.address.rpartition("/")[2]

    def __str__(self) -> str:
        """Return the address."""
        return self.address


#: Where a log lies.
LogFile = Path | HadoopFile


def list_files(session: Any, addresses: Iterable[str]) -> list[tuple[HadoopFile, int, int]]:
    """Return the files at addresses, at any depth: each with its bytes and time of change (ns).

    Hidden ones, which begin with `.` or `_`, are passed over, as Spark does.

    Raises
    ------
    NotFoundError
        Where there is nothing at an address, or its file system is not to be reached.
    """
    found: dict[str, tuple[HadoopFile, int, int]] = {}
    for address in addresses:
        reader = session.read.format("binaryFile").option("recursiveFileLookup", "true")
        try:
            # Spark reads no content where it is not asked for
            listed = reader.load(address).selectExpr(
                "path", "length", "unix_micros(modificationTime)"
            )
            rows = listed.collect()
        except Exception as error:
            raise NotFoundError(
                f"cannot list {address!r}: {_told(error)}",
                "a directory or file on a Hadoop file system",
                "Check the address, and that Spark's workers reach it.",
            ) from error
        for path, length, changed in rows:
            found[path] = (HadoopFile(path), int(length), int(changed) * 1000)
    return sorted(found.values())


def exists(session: Any, address: str) -> bool:
    """Tell whether a file is still there."""
    jvm, context = session._jvm, session.sparkContext
    path = jvm.org.apache.hadoop.fs.Path(address)
    return bool(path.getFileSystem(context._jsc.hadoopConfiguration()).exists(path))


def write_by_day(session: Any, pool: Path, protocol: str, window: str, address: str) -> None:
    """Write the days that a datapool has of a protocol and window; other days there stay.

    Parameters
    ----------
    session
        The Spark session.
    pool
        A datapool as a tree of TSV files.
    protocol, window
        Their names.
    address
        Where `day=<YYYY-MM-DD>` partitions of Parquet come to lie, with `window_start` and
        `window_end` as timestamps and the features as doubles, missing as null.

    Raises
    ------
    DataError
        Where writing fails.
    """
    files = sorted(pool.glob(f"{protocol}/*/*/*/{window}.tsv"))
    if not files:
        return
    days = pl.concat(
        pl.read_csv(
            file, separator="\t", null_values=['""', ""], quote_char=None, infer_schema=False
        )
        for file in files
    )
    times = pl.col("window_start", "window_end")
    table = days.select(
        times.str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", time_unit="us", time_zone="UTC"),
        (~cs.by_name("window_start", "window_end")).replace("", None).cast(pl.Float64),
        day=pl.col("window_start").str.slice(0, 10),
    )
    frame = session.createDataFrame(table.to_pandas())
    writer = frame.write.mode("overwrite").option("partitionOverwriteMode", "dynamic")
    try:
        writer.partitionBy("day").parquet(address)
    except Exception as error:
        raise DataError(f"cannot write to {address!r}: {_told(error)}") from error


def copy_there(session: Any, file: Path, address: str) -> None:
    """Copy a file to an address."""
    jvm, conf = session._jvm, session.sparkContext._jsc.hadoopConfiguration()
    target = jvm.org.apache.hadoop.fs.Path(address)
    source = jvm.org.apache.hadoop.fs.Path(str(file))
    target.getFileSystem(conf).copyFromLocalFile(False, True, source, target)


def _told(error: Exception) -> str:
    return str(error).splitlines()[0][:300]
