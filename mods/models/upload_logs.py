"""Uploaded Zeek logs: recognised, unpacked within limits, and turned into a datapool.

What is uploaded may be one log (TSV, JSON lines or Parquet; plain, gzip or
zstd) or a zip of them, which is then all that a sensor logged.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from mods.errors import DataError, ModsError
from mods.timerange import Window

__all__ = ["LogFeatures", "log_features"]

MEBIBYTE = 1 << 20
#: Unpacked bytes of all logs of an upload, and how many of them: a day of a large site.
MAX_BYTES, MAX_LOGS = 1024 * MEBIBYTE, 2000
#: Windows that features are made for: four years every ten minutes, a month every ten seconds.
MAX_WINDOWS = 250_000
#: Zeek's logs pack five to thirty times; a bomb does it a thousand times.
MAX_RATIO = 200
_PIECE = 1 << 18
_GZIP, _ZSTD, _ZIP, _PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK", b"PAR1"
#: A datapool's files, and zips of them: with one of these inside, a zip holds features.
_FEATURES = re.compile(r"(^|/)(w\d\d[smhd]-s\d\d[smhd]\.(tsv|parquet)|[^/]*\.zip)$", re.ASCII)
_UNSAFE = re.compile(r"[^\w.:-]", re.ASCII)


@dataclass(frozen=True)
class LogFeatures:
    """The features of uploaded logs.

    Attributes
    ----------
    pool
        The datapool that was made.
    query
        The selection query over what was uploaded.
    """

    pool: Path
    query: str


def log_features(path: Path, *, query: str | None, usual: str, window: str) -> LogFeatures | None:
    """Make a datapool beside an upload that holds Zeek logs; return None for any other.

    Parameters
    ----------
    path
        The upload.
    query
        The selection query that was asked for.
    usual
        The query for who asks for none; of it, what was uploaded is taken.
    window
        The window's name.

    Raises
    ------
    DataError
        Where the logs are too large, are damaged, hold no record or make no whole window.
    """
    logs = _logs(path)
    if logs is None:
        return None
    from mods.dataset.make_dataset import make_dataset

    out = path.parent / "features"
    name = Window.parse(window).name
    summary = make_dataset(logs, out, windows=(name,), progress=False, max_windows=MAX_WINDOWS)
    chosen = query or _held(usual, summary.protocols)
    if not summary.windows[name][1]:
        raise DataError(
            f"the logs in {path.name!r} reach over no whole window of {name}",
            "logs of some dozens of them",
            "Send more logs, or name shorter windows as window_slide, for example w01m-s10s.",
        )
    return LogFeatures(out, chosen)


def _held(usual: str, protocols: Sequence[str]) -> str:
    """Return the part of a query that some protocols can answer."""
    from mods.dataset.protocols import PROTOCOLS
    from mods.dataset.query import parse_query

    whole = parse_query(usual)
    columns = tuple(each for each in whole.columns if each.protocol in protocols)
    if not columns:
        known = PROTOCOLS[protocols[0]].columns
        records = "in_count_uid" if "in_count_uid" in known else "in"
        raise DataError(
            f"the logs are of {', '.join(protocols)}",
            f"logs of {', '.join(whole.protocols)}",
            "Say with data_select_query which features to forecast, for example "
            f"{protocols[0]}|{records}#window_start,window_end.",
        )
    return replace(whole, columns=columns).text


def _logs(path: Path) -> list[Path] | None:
    """Return the files to make features of, None where the upload holds no logs."""
    with path.open("rb") as file:
        start = file.read(4096)
    if start.startswith(_ZIP):
        return _unzipped(path)
    if start.startswith(_PARQUET):
        return [path] if _has_ts(path) else None
    if start.startswith((_GZIP, _ZSTD)):
        _check_size(path)
    elif not start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"#", b"{")):
        return None
    from mods.dataset.zeek import find_logs

    find_logs([path])
    return [path]


def _unzipped(path: Path) -> list[Path] | None:
    """Return the folder with the logs of a zip, None where it holds features."""
    from mods.dataset.archive import Archive
    from mods.dataset.zeek import find_logs

    with Archive(path) as archive:
        names = [name for name in archive.names if not name.endswith("/")]
        if not names or any(map(_FEATURES.search, names)):
            return None
        if len(names) > MAX_LOGS:
            raise _too_much(path, f"{len(names):,} files", f"at most {MAX_LOGS:,}")
        folder, total = path.parent / "logs", 0
        for number, name in enumerate(names):
            content = archive.read(name)
            total += len(content)
            if total > MAX_BYTES:
                raise _too_much(path)
            # A folder of its own for each: a member's name says its protocol, and no place.
            member = folder / str(number) / (_UNSAFE.sub("_", PurePosixPath(name).name)[-100:])
            member.parent.mkdir(parents=True)
            member.write_bytes(content)
            if content.startswith((_GZIP, _ZSTD)):
                total += _check_size(member)
    try:
        find_logs([folder])
    except ModsError:
        # Neither logs nor features: reading it as features says so.
        return None
    return [folder]


def _has_ts(path: Path) -> bool:
    """Return whether a Parquet file has Zeek's time of a record."""
    import pyarrow
    import pyarrow.parquet

    try:
        names = pyarrow.parquet.read_schema(path).names
    except (pyarrow.ArrowException, OSError):
        return False
    return "ts" in names and "window_start" not in names


def _check_size(path: Path) -> int:
    """Return how many bytes a packed file unpacks to; raise `DataError` where they are too many."""
    packed, total = path.stat().st_size, 0
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(0)
        for size in _gunzipped(file) if start.startswith(_GZIP) else _unzstd(file):
            total += size
            if total > MAX_BYTES or (total > MEBIBYTE and total > MAX_RATIO * packed):
                raise _too_much(path)
    return total


def _gunzipped(file: BinaryIO) -> Iterator[int]:
    """Yield the sizes of the pieces that a gzip unpacks to; what is damaged ends it."""
    unpack = zlib.decompressobj(wbits=31)
    packed = b""
    while packed := packed or file.read(_PIECE):
        if unpack.eof:
            packed = packed.lstrip(b"\0")
            unpack = zlib.decompressobj(wbits=31)
        try:
            yield len(unpack.decompress(packed, 4 * _PIECE))
        except zlib.error:
            return
        packed = unpack.unused_data if unpack.eof else unpack.unconsumed_tail


def _unzstd(file: BinaryIO) -> Iterator[int]:
    import pyarrow

    try:
        with pyarrow.input_stream(file, compression="zstd") as unpacked:
            while piece := unpacked.read(4 * _PIECE):
                yield len(piece)
    except OSError:
        return


def _too_much(path: Path, what: str = "", expected: str = "") -> DataError:
    return DataError(
        f"{path.name!r} holds {what or 'more than fits'}",
        expected
        or f"logs of at most {MAX_BYTES >> 20:,} MiB unpacked, packed {MAX_RATIO} times at most",
        "Send fewer days, or make a datapool with 'mods features' and send that.",
    )
