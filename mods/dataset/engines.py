"""The engines: where the facts of the logs come from, one interface over each.

An engine reads the logs and keeps what `mods.dataset.windows` makes of them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from os import cpu_count
from pathlib import Path
from typing import Any

import narwhals as nw
import polars as pl

from mods.dataset.direction import Hosts
from mods.dataset.facts import FactStore
from mods.dataset.protocols import Protocol
from mods.dataset.records import Block, Reject
from mods.dataset.windows import (
    directed,
    key_changes,
    observed_minutes,
    slot_keys,
    slot_sums,
)
from mods.dataset.zeek import Log, ReadLog
from mods.timerange import TimeRange, Window

__all__ = ["Counts", "Plan", "PolarsFacts", "read_with_polars"]

_BARE = ("ts", "id_orig_h", "id_resp_h")


@dataclass(frozen=True)
class Plan:
    """What is to be made of the logs.

    `slot` is in seconds and divides every window's slide; `own_fields` says that Zeek's
    `local_orig` and `local_resp` are taken where a record has them.
    """

    protocols: tuple[Protocol, ...]
    windows: tuple[Window, ...]
    slot: int
    hosts: Hosts
    time_range: TimeRange | None = None
    own_fields: bool = False

    def wanted(self, known: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return the fields to read of each protocol; of those not asked for, the time alone."""
        own = ("local_orig", "local_resp") if self.own_fields else ()
        fields = dict.fromkeys(known, _BARE)
        return fields | {p.name: (*p.fields, *own) for p in self.protocols}


@dataclass
class Counts:
    """What became of the logs, for the summary.

    `rows` and the others count by protocol; `damaged` and `lacking` are messages by file.
    """

    files: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    rejects: Counter[str] = field(default_factory=Counter)
    out_of_range: Counter[str] = field(default_factory=Counter)
    outside: Counter[str] = field(default_factory=Counter)
    damaged: list[tuple[Path, str, int]] = field(default_factory=list)
    lacking: dict[tuple[str, str], Path] = field(default_factory=dict)
    kept_rejects: list[tuple[Path, Reject]] = field(default_factory=list)


#: Rejected lines that are kept of one run; all are counted.
MOST_REJECTS = 100_000


class PolarsFacts:
    """The facts that Polars makes of blocks of records, as they are read."""

    def __init__(self, plan: Plan, store: FactStore) -> None:
        self.plan = plan
        self.counts = Counts()
        #: Records taken so far, of all protocols.
        self.rows = 0
        self._store = store
        self._protocols = {p.name: p for p in plan.protocols}
        self._minutes: list[pl.DataFrame] = []
        self._lock = threading.Lock()

    @property
    def minutes(self) -> pl.DataFrame:
        """Return `minute, first, last` of all records, of whatever protocol."""
        schema = {"minute": pl.Int64, "first": pl.Int64, "last": pl.Int64}
        with self._lock:
            merged = _merge_minutes(pl.concat([pl.DataFrame(schema=schema), *self._minutes]))
            self._minutes = [merged]
        return merged

    def sums(self, protocol: Protocol, first: int, stop: int) -> pl.DataFrame | None:
        """Return `slot_sums` of the slots in `[first, stop)`, None where there is no record."""
        return self._store.read("sums", protocol.name, first, stop)

    def changes(
        self, protocol: Protocol, window: Window, first: int, stop: int
    ) -> pl.DataFrame | None:
        """Return `key_changes` of the slots in `[first, stop)`, None where there is no key."""
        keys = self._store.read("keys", protocol.name, first, stop)
        if keys is None:
            return None
        return _polars(key_changes(_lazy(keys), window, self.plan.slot))

    def add(self, block: Block) -> None:
        """Take a block of records; from any thread."""
        name, records = block.protocol, block.records
        chosen = self.plan.time_range
        inside = records
        if chosen is not None:
            inside = records.filter(pl.col("ts").is_between(chosen.start, chosen.end - 1))
        outside = 0
        if inside.height:
            minutes = _polars(observed_minutes(_lazy(inside)))
            outside = self._facts(inside, name) if name in self._protocols else 0
        with self._lock:
            self.rows += records.height
            self.counts.rows[name] += records.height
            self.counts.out_of_range[name] += records.height - inside.height
            self.counts.outside[name] += outside
            self.counts.rejects[name] += block.rejects.count
            if inside.height:
                self._minutes.append(minutes)
                if len(self._minutes) > 500:
                    self._minutes = [_merge_minutes(pl.concat(self._minutes))]

    def _facts(self, records: pl.DataFrame, name: str) -> int:
        """Add the facts of records; return how many have no direction."""
        plan, protocol = self.plan, self._protocols[name]
        hidden = _hidden(records, plan.hosts)
        marked = _polars(directed(_lazy(records), plan.hosts, plan.slot, hidden, plan.own_fields))
        self._store.add("sums", name, _polars(slot_sums(_lazy(marked), protocol)))
        keys = slot_keys(_lazy(marked), protocol)
        if keys is not None:
            self._store.add("keys", name, _polars(keys))
        return marked["direction"].null_count()


def read_with_polars(
    logs: Sequence[Log],
    facts: PolarsFacts,
    known: Iterable[str],
    progress: Callable[[int], object],
) -> None:
    """Read the logs, several at a time, and give their records to `facts`."""
    wanted = facts.plan.wanted(known)

    def read(log: Log) -> None:
        reading = ReadLog(log, wanted, progress)
        rows: Counter[str] = Counter()
        kept: list[Reject] = []
        for block in reading:
            facts.add(block)
            rows[block.protocol] += block.records.height
            kept += block.rejects.kept[: MOST_REJECTS - len(kept)]
        _note(facts.counts, log, reading, rows, kept)

    # more threads than cores gain nothing, and each holds a block
    with ThreadPoolExecutor(min(4, cpu_count() or 1)) as pool:
        pending = [pool.submit(read, log) for log in logs]
        try:
            for future in pending:
                future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


_NOTING = threading.Lock()


def _note(
    counts: Counts, log: Log, reading: ReadLog, rows: Mapping[str, int], kept: list[Reject]
) -> None:
    with _NOTING:
        for protocol in rows or {log.protocol or "unknown": 0}:
            counts.files[protocol] += 1
        if reading.damage:
            counts.damaged.append((log.path, reading.damage, sum(rows.values())))
        for pair in reading.lacking:
            counts.lacking.setdefault(pair, log.path)
        room = MOST_REJECTS - len(counts.kept_rejects)
        counts.kept_rejects += [(log.path, reject) for reject in kept[:room]]


def _hidden(records: pl.DataFrame, hosts: Hosts) -> list[str]:
    """Return the distinct hosts that only `Hosts.contains` can tell to be local."""
    if not hosts.hidden:
        return []
    both = pl.concat([records["id_orig_h"], records["id_resp_h"]]).drop_nulls().unique()
    with_groups = both.filter(both.str.contains(":", literal=True))
    return [host for host in with_groups if hosts.contains(host)]


def _merge_minutes(minutes: pl.DataFrame) -> pl.DataFrame:
    return minutes.group_by("minute").agg(pl.col("first").min(), pl.col("last").max())


def _lazy(frame: pl.DataFrame) -> nw.LazyFrame[Any]:
    return nw.from_native(frame.lazy())


def _polars(frame: nw.LazyFrame[Any]) -> pl.DataFrame:
    return frame.collect(backend="polars").to_native()  # type: ignore[no-any-return]
