"""What the engines share: where the facts of the logs are made, one interface over each.

Every engine takes the same records (`mods.dataset.records`) through the same
expressions (`mods.dataset.windows`).  Polars (`mods.dataset.engine_polars`) does so
some blocks at a time, as the logs are read, and keeps the facts; DuckDB
(`mods.dataset.engine_duckdb`) and Spark (`mods.dataset.engine_spark`) keep the
records, and make the facts of them all.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import narwhals as nw
import polars as pl

from mods.dataset.direction import Hosts
from mods.dataset.hadoop import is_address
from mods.dataset.observed import DAY
from mods.dataset.plan import MOST_REJECTS, Counts, DaysTouched, Plan
from mods.dataset.protocols import Protocol
from mods.dataset.records import Block, Reject
from mods.dataset.windows import (
    Lazy,
    directed,
    key_changes,
    observed_minutes,
    slot_keys,
    slot_sums,
)
from mods.dataset.zeek import Log, ReadLog
from mods.errors import ConfigError
from mods.timerange import Window

__all__ = [
    "MINUTES",
    "CollectedFacts",
    "Facts",
    "collected",
    "days_of",
    "in_range",
    "lazy",
    "marked",
    "note",
    "read_blocks",
]

MINUTES = {"minute": pl.Int64, "first": pl.Int64, "last": pl.Int64}


class Facts(ABC):
    """The facts of some logs.

    Attributes
    ----------
    plan
        What is to be made.
    counts
        What became of the logs.
    rows
        Records taken so far, of all protocols.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.counts = Counts()
        self.rows = 0

    def find(self, addresses: Sequence[str]) -> list[Log]:
        """Return the logs at addresses on a Hadoop file system; only Spark has any."""
        return []

    def deliver(self, pool: Path, protocols: Sequence[Protocol], address: str) -> None:
        """Bring the features of a datapool to an address on a Hadoop file system.

        Raises
        ------
        ConfigError
            Where the engine writes to none.
        """
        raise ConfigError(f"the address {address!r} with this engine", "a path")

    def exists(self, name: str) -> bool:
        """Tell whether a log, by its absolute path or address, is still there."""
        return not is_address(name) and Path(name).exists()

    @abstractmethod
    def read(self, logs: Sequence[Log], progress: Callable[[int], object]) -> DaysTouched:
        """Read logs, some more at each call; return the days that the records of each touch.

        Days are counted from the epoch; `progress` is called with bytes read from the disk.
        """

    def finish(self) -> None:
        """Make the facts, once all logs are read."""
        return

    @property
    @abstractmethod
    def minutes(self) -> pl.DataFrame:
        """`minute, first, last` of all records in the range, of whatever protocol."""

    @abstractmethod
    def sums(self, protocol: Protocol, first: int, stop: int) -> pl.DataFrame | None:
        """Return `slot_sums`, at least of slots in `[first, stop)`; None where there are none."""

    @abstractmethod
    def changes(
        self, protocol: Protocol, window: Window, first: int, stop: int
    ) -> pl.DataFrame | None:
        """Return `key_changes`, at least of slots in `[first, stop)`; None where there are none."""

    def close(self) -> None:
        """Give back what the engine holds."""
        return

    def __enter__(self) -> Self:
        """Return the facts, which are closed when they are left."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the facts."""
        self.close()


class CollectedFacts(Facts):
    """The facts that another engine makes of all records at once."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._sums: dict[str, pl.DataFrame] = {}
        self._changes: dict[tuple[str, Window], pl.DataFrame] = {}

    @abstractmethod
    def _times(self) -> Lazy | None:
        """Return the `ts` of all records read so far, None where there are none."""

    @abstractmethod
    def _relation(self, protocol: str) -> Lazy:
        """Return the records of a protocol read so far."""

    @abstractmethod
    def _keep(self, relation: Lazy, name: str) -> Lazy:
        """Store a relation under a name in the engine, so that it is computed once."""

    @property
    def minutes(self) -> pl.DataFrame:
        """`minute, first, last` of all records in the range, of whatever protocol."""
        times = self._times()
        if times is None:
            return pl.DataFrame(schema=MINUTES)
        return _whole(collected(observed_minutes(in_range(times, self.plan))))

    def sums(self, protocol: Protocol, first: int, stop: int) -> pl.DataFrame | None:
        """Return `slot_sums` of slots in `[first, stop)`; None where there are none."""
        sums = self._sums.get(protocol.name)
        return None if sums is None else sums.filter(pl.col("slot").is_between(first, stop - 1))

    def changes(
        self, protocol: Protocol, window: Window, first: int, stop: int
    ) -> pl.DataFrame | None:
        """Return `key_changes` of all slots; None where there are none."""
        return self._changes.get((protocol.name, window))

    def finish(self) -> None:
        """Make the facts of all records."""
        for name, rows in self.counts.rows.items():
            if rows and self.plan.time_range is not None:
                inside = _height(in_range(self._relation(name), self.plan))
                self.counts.out_of_range[name] = rows - inside
        for protocol in self.plan.protocols:
            if self.counts.rows[protocol.name]:
                self._take(in_range(self._relation(protocol.name), self.plan), protocol)

    def _take(self, records: Lazy, protocol: Protocol) -> None:
        name, counts = protocol.name, self.counts
        hidden = self.plan.hidden(self._grouped_hosts(records)) if self.plan.hidden_sets else {}
        taken = self._keep(marked(records, self.plan, hidden), f"taken_{name}")
        height = counts.rows[name] - counts.out_of_range[name]
        if self.plan.rules is not None:
            counts.left_out[name] = height - _height(taken)
        sums = self._sums[name] = _whole(collected(slot_sums(taken, protocol)))
        counts.outside[name] = height - counts.left_out[name] - int(sums["records"].sum())
        keys = slot_keys(taken, protocol)
        if keys is None:
            return
        kept = self._keep(keys, f"keys_{name}")
        for window in self.plan.windows:
            changes = collected(key_changes(kept, window, self.plan.slot))
            self._changes[name, window] = _whole(changes)

    def _grouped_hosts(self, records: Lazy) -> list[str]:
        ends = [records.select(host=nw.col(end)) for end in ("id_orig_h", "id_resp_h")]
        both = nw.concat(ends).filter(nw.col("host").str.contains(":")).unique()
        return collected(both)["host"].to_list()


def in_range(records: Lazy, plan: Plan) -> Lazy:
    """Return the records in the plan's time range."""
    chosen = plan.time_range
    if chosen is None:
        return records
    return records.filter((nw.col("ts") >= chosen.start) & (nw.col("ts") < chosen.end))


def marked(records: Lazy, plan: Plan, hidden: Mapping[Hosts, Sequence[str]]) -> Lazy:
    """Return the records that the rules let through, with `slot` and `direction`."""
    if plan.rules is not None:
        records = records.filter(plan.rules.taken(hidden))
    return directed(records, plan.hosts, plan.slot, hidden, plan.own_fields)


def days_of(records: pl.DataFrame, plan: Plan) -> set[int]:
    """Return the days that records in the plan's range touch."""
    if records.is_empty():  # of an unknown protocol, without a single column
        return set()
    if plan.time_range is not None:
        records = collected(in_range(lazy(records.select("ts")), plan))
    times = records["ts"]
    if times.is_empty():
        return set()
    first, last = int(times.min()) // DAY, int(times.max()) // DAY  # type: ignore[arg-type]
    return {first} if first == last else set((times // DAY).unique().to_list())


def read_blocks(
    logs: Sequence[Log],
    plan: Plan,
    counts: Counts,
    add: Callable[[Block], object],
    progress: Callable[[int], object],
) -> DaysTouched:
    """Read logs, several at a time, give their blocks to `add`, and count files and damage.

    Returns the days that the records of each log touch.
    """
    lock = threading.Lock()
    days: DaysTouched = {log.path: set() for log in logs}

    def read(log: Log) -> None:
        reading = ReadLog(log, plan.wanted, progress)
        rows: Counter[str] = Counter()
        kept: list[Reject] = []
        for block in reading:
            add(block)
            days[log.path] |= days_of(block.records, plan)
            rows[block.protocol] += block.records.height
            kept += block.rejects.kept[: MOST_REJECTS - len(kept)]
        with lock:
            note(counts, reading, rows, kept)

    # more threads than cores gain nothing, and each holds a block
    with ThreadPoolExecutor(min(4, cpu_count() or 1)) as pool:
        pending = [pool.submit(read, log) for log in logs]
        try:
            for future in pending:
                future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return days


def note(counts: Counts, reading: ReadLog, rows: Mapping[str, int], kept: list[Reject]) -> None:
    """Count one file that was read to its end."""
    log = reading.log
    for protocol in rows or {log.protocol or "unknown": 0}:
        counts.files[protocol] += 1
    if reading.damage:
        counts.damaged.append((log.path, reading.damage, sum(rows.values())))
    for pair in reading.lacking:
        counts.lacking.setdefault(pair, log.path)
    room = MOST_REJECTS - len(counts.kept_rejects)
    counts.kept_rejects += [(log.path, reject) for reject in kept[:room]]


def _height(records: Lazy) -> int:
    return int(collected(records.select(nw.len())).item())


def _whole(facts: pl.DataFrame) -> pl.DataFrame:
    # an engine's counts may come in other widths
    return facts.with_columns(pl.all().cast(pl.Int64))


def lazy(frame: pl.DataFrame) -> nw.LazyFrame[Any]:
    """Hand a Polars frame to an expression."""
    return nw.from_native(frame.lazy())


def collected(frame: nw.LazyFrame[Any]) -> pl.DataFrame:
    """Compute an expression, as a Polars frame."""
    return frame.collect(backend="polars").to_native()  # type: ignore[no-any-return]
