"""Reading Zeek logs, whatever their dialect: which files are logs, and their records.

A file is what its content says: TSV by its header, JSON lines, Parquet; plain,
gzip or zstd.  Only where the content does not tell the protocol (JSON without
`_path`, Parquet, a TSV without `#path`) does the name, which may be any rotation
name: `conn.log`, `conn.03:00:00-04:00:00.log.gz`, `conn.2020_01_16_10.log`.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mods.dataset.hadoop import LogFile
from mods.dataset.protocols import PROTOCOLS
from mods.dataset.records import Block, Rejects, empty_records
from mods.dataset.streams import BLOCK, Lines
from mods.dataset.zeek_json import JsonReader
from mods.dataset.zeek_parquet import read_parquet
from mods.dataset.zeek_tsv import Header, TsvReader
from mods.errors import DataError, NotFoundError

__all__ = ["Log", "Logs", "ReadLog", "drop_twins", "find_logs", "recognise"]

_NAME = re.compile(rf"({'|'.join(PROTOCOLS)})(?=[._]|-\d|$)")
#: `unknown` is a file on a Hadoop file system that is not opened yet.
Format = Literal["tsv", "json", "parquet", "unknown"]


@dataclass(frozen=True)
class Log:
    """A file with records: its protocol ("" in a stream of many), bytes and time of change (ns)."""

    path: LogFile
    format: Format
    protocol: str
    size: int
    changed: int


@dataclass
class Logs:
    """What was found: logs to read, and files left alone, with the reason.

    `others` are no logs that have features; `unreadable` are files and directories that a
    person may want to look at.
    """

    logs: list[Log] = field(default_factory=list)
    others: list[tuple[LogFile, str]] = field(default_factory=list)
    unreadable: list[tuple[LogFile, str]] = field(default_factory=list)


def find_logs(paths: Iterable[Path | str]) -> Logs:
    """Find the logs of the protocols that have features, in files and whole directories.

    Directories are searched at any depth, through links, each directory and file once;
    hidden ones are passed over.

    Raises
    ------
    NotFoundError
        Where a path does not exist.
    DataError
        Where a file that was named cannot be read or is no log of a protocol that has
        features, or where all together hold none.
    """
    found = Logs()
    given = [Path(path) for path in paths]
    seen: set[tuple[int, int]] = set()
    for path in given:
        if not path.exists():
            raise NotFoundError(
                f"no file or directory {str(path)!r}", "Zeek logs", "Check the path."
            )
        for file in _files(path, seen, found):
            _look(file, found)
        if path.is_file():
            for other, reason in (*found.others, *found.unreadable):
                if other == path:
                    raise DataError(
                        f"{str(path)!r} cannot be used: {reason}",
                        f"a Zeek log of {', '.join(PROTOCOLS)}, as TSV, JSON or Parquet",
                    )
    if not found.logs:
        raise DataError(
            f"no Zeek logs in {', '.join(repr(str(path)) for path in given) or 'nothing'}",
            f"logs of {', '.join(PROTOCOLS)}, as TSV, JSON or Parquet",
            "Name Zeek's log directory or single log files.",
        )
    drop_twins(found, given)
    found.logs.sort(key=lambda log: str(log.path))
    return found


def drop_twins(found: Logs, given: Iterable[Path] = ()) -> None:
    """Leave out a packed log beside which the same lies unpacked: its packing is not finished."""
    names, named = {str(log.path) for log in found.logs}, {str(path) for path in given}
    for log in list(found.logs):
        name = str(log.path)
        plain = name.removesuffix(".gz").removesuffix(".zst")
        if plain != name and plain in names and name not in named:
            found.logs.remove(log)
            reason = f"{plain.rpartition('/')[2]} lies unpacked beside it"
            found.unreadable.append((log.path, reason))


def _files(path: Path, seen: set[tuple[int, int]], found: Logs) -> Iterator[Path]:
    """Yield the files under a path, each once, however links lead there."""
    try:
        status = path.stat()
        key = (status.st_dev, status.st_ino)
        if key in seen:
            return
        seen.add(key)
        entries = sorted(os.listdir(path)) if path.is_dir() else []  # noqa: PTH208
    except OSError as error:
        found.unreadable.append((path, error.strerror or str(error)))
        return
    if path.is_file():
        yield path
    for name in entries:
        if not name.startswith("."):
            yield from _files(path / name, seen, found)


def _look(path: Path, found: Logs) -> None:
    try:
        log = recognise(path)
    except OSError as error:
        found.unreadable.append((path, error.strerror or str(error)))
        return
    if isinstance(log, str):
        found.others.append((path, log))
    else:
        found.logs.append(log)


def recognise(path: Path) -> Log | str:
    """Return the log that a file is, or why it is none."""
    status = path.stat()

    def log(form: Format, protocol: str) -> Log:
        return Log(path, form, protocol, status.st_size, status.st_mtime_ns)

    match = _NAME.match(path.name)
    named = match[1] if match else ""
    start = _start(path)
    if start.startswith(b"PAR1"):
        return log("parquet", named) if named else "Parquet whose name is no protocol's"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"{"):
        protocol = _json_path(text)
        if protocol is not None:
            return log("json", "")
        return log("json", named) if named else "JSON whose name is no protocol's"
    if text.startswith(b"#"):
        header = Header()
        for line in text.split(b"\n"):
            if not line.startswith(b"#"):
                break
            header.take(line)
        if header.path in PROTOCOLS:
            return log("tsv", header.path)
        if header.path:
            return f"a log of {header.path!r}, which has no features"
    if not text:
        return "an empty file" if not status.st_size else "nothing but blanks"
    return log("tsv", named) if named else "no Zeek log"


def _json_path(text: bytes) -> str | None:
    try:
        entry = json.loads(text.split(b"\n", 1)[0])
    except (ValueError, RecursionError):
        # a first line that is damaged or longer than what was read
        return "" if b'"_path"' in text else None
    return str(entry["_path"]) if isinstance(entry, dict) and "_path" in entry else None


def _start(path: Path, size: int = 1 << 16) -> bytes:
    """Return the first bytes of what a file holds, unpacked; b"" where it does not unpack."""
    with path.open("rb") as file:
        start = file.read(size)
    if start.startswith(b"\x1f\x8b"):
        try:
            return zlib.decompressobj(wbits=31).decompress(start, size)
        except zlib.error:
            return b"?"
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        return next(iter(Lines(path)), b"?")[:size]
    return start


class ReadLog:
    """Reads one log, once, block by block.

    Parameters
    ----------
    log
        A log that `find_logs` found.
    wanted
        For each protocol the fields to read.
    progress
        Called with the number of bytes read from the disk.

    Attributes
    ----------
    damage
        What is wrong with the file as a whole, "" where nothing is; known at the end.
    lacking
        Pairs (protocol, field) that no header named; known at the end.
    """

    def __init__(
        self,
        log: Log,
        wanted: Mapping[str, tuple[str, ...]],
        progress: Callable[[int], object] = lambda _n: None,
    ) -> None:
        self.log = log
        self.damage = ""
        self.lacking: set[tuple[str, str]] = set()
        self._wanted = wanted
        self._progress = progress

    @property
    def _file(self) -> Path:
        path = self.log.path
        assert isinstance(path, Path), "a file on a Hadoop file system is copied before"
        return path

    def __iter__(self) -> Iterator[Block]:
        """Yield blocks of records, each of one protocol."""
        if self.log.format == "parquet":
            yield from self._parquet()
            return
        reader: TsvReader | JsonReader
        if self.log.format == "json":
            reader = JsonReader(self._wanted, self.log.protocol)
        else:
            reader = TsvReader(self._wanted, self.log.protocol)
        lines = Lines(self._file, self._progress)
        number = 1
        for block in lines:
            yield from reader.read(block, number)
            number += block.count(b"\n")
        self.damage, self.lacking = lines.damage, reader.lacking
        if lines.too_long:
            rejects = Rejects()
            for line, text in lines.too_long:
                rejects.add(line, f"a line longer than {BLOCK >> 20} MiB", text)
            protocol = self.log.protocol or next(iter(self._wanted))
            yield Block(protocol, empty_records(self._wanted.get(protocol, ())), rejects)

    def _parquet(self) -> Iterator[Block]:
        fields = self._wanted.get(self.log.protocol, ())
        try:
            yield from read_parquet(self._file, self.log.protocol, fields, self._progress)
        except OSError as error:
            self.damage = str(error)
