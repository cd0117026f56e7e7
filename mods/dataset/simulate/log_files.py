"""The files of a simulation: rotated as Zeek does, plain or compressed, complete or not there."""

from __future__ import annotations

import gzip
import shutil
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np
import polars as pl

from mods.dataset.simulate.flows import DAY, MINUTE
from mods.dataset.simulate.writer import WRITERS, Writer, log_name

__all__ = ["ROTATIONS", "LogFiles"]

#: Microseconds from one rotation to the next, 0 for none.
ROTATIONS = {"hour": 60 * MINUTE, "day": DAY, "none": 0}


class LogFiles:
    """Writes records into rotated logs, in the order of time.

    Files come into being in a hidden folder, and a day's folder (or, without
    rotation, each log) is moved to its place when it is complete.

    Parameters
    ----------
    out
        The directory.
    rotate
        A key of `ROTATIONS`.
    log_format
        A key of `WRITERS`.
    compressed
        Whether to compress by gzip.
    span
        Start and end of the simulation, microseconds since the epoch.
    """

    def __init__(
        self, out: Path, rotate: str, log_format: str, compressed: bool, span: tuple[int, int]
    ) -> None:
        self.out = out
        self.partial = out / ".partial"
        self.rotation = ROTATIONS[rotate]
        self.writer: Writer = WRITERS[log_format]()
        self.compressed = compressed
        self.span = span
        self.files = 0
        self._open: dict[str, tuple[int, int, IO[bytes]]] = {}

    def __enter__(self) -> Self:
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.end_of_day()
            self._finish()
        else:
            for _, _, file in self._open.values():
                file.close()
        shutil.rmtree(self.partial, ignore_errors=True)

    def write(self, protocol: str, table: pl.DataFrame) -> None:
        """Write records that are not earlier than those written before."""
        if table.is_empty():
            return
        lines = memoryview(self.writer.lines(table, protocol))
        ts = table["ts"].dt.epoch("us").to_numpy()
        edges = self._edges(int(ts[0]), int(ts[-1]))
        ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == ord("\n")) + 1
        places = np.concatenate([[0], ends])[np.searchsorted(ts, edges)].tolist()
        for first, last, begin, end in zip(edges, edges[1:], places, places[1:], strict=False):
            if end > begin:
                self._file(protocol, first, last).write(lines[begin:end])

    def end_of_day(self) -> None:
        """Close the day's files and move its folder to its place, where logs are rotated."""
        if not self.rotation:
            return
        self._finish()
        for folder in sorted(self.partial.iterdir()):
            shutil.rmtree(self.out / folder.name, ignore_errors=True)
            folder.replace(self.out / folder.name)

    def _edges(self, first: int, last: int) -> list[int]:
        if not self.rotation:
            return list(self.span)
        begin = first - first % self.rotation
        return list(range(begin, last + self.rotation + 1, self.rotation))

    def _file(self, protocol: str, first: int, last: int) -> IO[bytes]:
        known = self._open.get(protocol)
        if known is not None and known[0] == first:
            return known[2]
        self._close(protocol)
        suffix = ".log.gz" if self.compressed else ".log"
        path = self.partial / f"{protocol}{suffix}"
        if self.rotation:
            day = datetime.fromtimestamp(first / 1e6, UTC).date().isoformat()
            path = self.partial / day / log_name(protocol, first, last, suffix)
            path.parent.mkdir(exist_ok=True)
        file: IO[bytes] = path.open("wb")
        if self.compressed:
            file = _Compressed(file)  # type: ignore[assignment]
        file.write(self.writer.header(protocol, first))
        self._open[protocol] = (first, last, file)
        self.files += 1
        return file

    def _close(self, protocol: str) -> None:
        known = self._open.pop(protocol, None)
        if known is not None:
            known[2].write(self.writer.footer(known[1]))
            known[2].close()

    def _finish(self) -> None:
        for protocol in list(self._open):
            self._close(protocol)
        if not self.rotation:
            for path in sorted(self.partial.iterdir()):
                path.replace(self.out / path.name)


class _Compressed(gzip.GzipFile):
    """A gzip file that closes the file below it, and whose bytes tell neither name nor time."""

    def __init__(self, raw: IO[bytes]) -> None:
        super().__init__("", "wb", compresslevel=1, fileobj=raw, mtime=0)
        self._raw = raw

    def close(self) -> None:
        super().close()
        self._raw.close()
