"""What a datapool was built of, so that only what changed is built again.

A datapool belongs to one sensor.  For each set of options (windows, networks,
...) it keeps a hidden file with the logs it was made of, their size and time of
change, the days that their records touch, and the spans in which the sensor was
observing.  A log that is new or has changed makes its days *dirty*; those days
are built again from all logs that touch them, whether named this time or before.
A day of which a log is gone stays as it is: what is left would not make it whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import polars as pl

from mods.dataset.hadoop import HadoopFile, LogFile, is_address
from mods.dataset.observed import DAY, QUIET, observed_spans
from mods.dataset.zeek import Log
from mods.files import write_aside
from mods.timerange import MICROSECONDS, Window

__all__ = ["Built", "BuiltLog", "days_reached", "days_to_build"]

#: Raised where the features' definitions change, so that old days are built again.
_VERSION = 1


@dataclass(frozen=True)
class BuiltLog:
    """A log as it was when it was read; days count from the epoch."""

    format: str
    protocol: str
    size: int
    changed: int
    days: tuple[int, ...]


@dataclass
class Built:
    """What a datapool was built of, with one set of options."""

    path: Path
    logs: dict[str, BuiltLog] = field(default_factory=dict)
    spans: list[tuple[int, int]] = field(default_factory=list)
    protocols: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, pool: Path, options: dict[str, Any], forget: bool = False) -> Self:
        """Read what a datapool was built of; nothing where it was not, or the file is damaged."""
        key = json.dumps(options | {"version": _VERSION}, sort_keys=True)
        path = pool / f".built-{hashlib.sha256(key.encode()).hexdigest()[:12]}.json"
        if forget:
            return cls(path)
        try:
            stored = json.loads(path.read_text())
            logs = {
                name: BuiltLog(**{**log, "days": tuple(log["days"])})
                for name, log in stored["logs"].items()
            }
            spans = [(int(first), int(last)) for first, last in stored["spans"]]
            return cls(path, logs, spans, list(stored["protocols"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls(path)

    def write(self) -> None:
        """Store it."""
        document = {
            "logs": {name: asdict(log) for name, log in sorted(self.logs.items())},
            "spans": self.spans,
            "protocols": self.protocols,
        }
        with write_aside(self.path) as partial:
            partial.write_text(json.dumps(document))

    def changed(self, logs: Iterable[Log]) -> list[Log]:
        """Return the logs that are new, or not as they were."""
        return [log for log in logs if not self._same(log)]

    def take(
        self, logs: Iterable[Log], days: Mapping[LogFile, Collection[int]], minutes: pl.DataFrame
    ) -> set[int]:
        """Remember logs, the days and times of their records; return the days they change."""
        dirty: set[int] = set()
        for log in logs:
            name = name_of(log.path)
            touched = tuple(sorted(days[log.path]))
            dirty.update(touched, self.logs[name].days if name in self.logs else ())
            self.logs[name] = BuiltLog(log.format, log.protocol, log.size, log.changed, touched)
        before = pl.DataFrame(self.spans, schema=["first", "last"], orient="row")
        before = before.cast({"first": pl.Int64, "last": pl.Int64})
        spans = observed_spans(pl.concat([before, minutes.select("first", "last")]))
        self.spans = [(first, last) for first, last in spans.tolist()]
        return dirty

    def _same(self, log: Log) -> bool:
        known = self.logs.get(name_of(log.path))
        return known is not None and (known.size, known.changed) == (log.size, log.changed)

    def gone_days(self, exists: Callable[[str], bool]) -> set[int]:
        """Return the days of logs that are no longer there."""
        gone = (log for name, log in self.logs.items() if not exists(name))
        return {day for log in gone for day in log.days}

    def touching(
        self, days: Collection[int], besides: Iterable[Log], exists: Callable[[str], bool]
    ) -> list[Log]:
        """Return the logs, still there, whose records touch any of the days, besides some."""
        # by name: the same log may be given by another path, relative or through a link
        read, chosen = {name_of(log.path) for log in besides}, set(days)
        return [
            Log(_file(name), log.format, log.protocol, log.size, log.changed)  # type: ignore[arg-type]
            for name, log in self.logs.items()
            if name not in read and chosen.intersection(log.days) and exists(name)
        ]

    @property
    def days(self) -> set[int]:
        """All days that records touch."""
        return {day for log in self.logs.values() for day in log.days}


def name_of(path: LogFile) -> str:
    """Return the name under which a log is remembered, wherever the command runs."""
    return str(path.resolve() if isinstance(path, Path) else path)


def _file(name: str) -> LogFile:
    return HadoopFile(name) if is_address(name) else Path(name)


def days_to_build(dirty: Collection[int], windows: Collection[Window]) -> set[int]:
    """Return the days with a window that records of the dirty days, or their lack, can change.

    >>> sorted(days_to_build([10], [Window.parse("w01h-s10m")]))
    [9, 10, 11]
    """
    return {day + n for day in dirty for n in range(-days_reached(windows), 2)}


def days_reached(windows: Collection[Window]) -> int:
    """Return how many days before its own a record can change a window (or make it known)."""
    longest = max(window.length for window in windows) * MICROSECONDS
    return -(-(longest + QUIET) // DAY)
