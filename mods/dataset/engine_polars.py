"""The default engine: Polars makes the facts as the logs are read, some blocks at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import polars as pl

from mods.dataset.engine import MINUTES, Facts, collected, in_range, lazy, marked, read_blocks
from mods.dataset.facts import FactStore
from mods.dataset.plan import DaysTouched, Plan
from mods.dataset.protocols import Protocol
from mods.dataset.records import Block
from mods.dataset.windows import key_changes, observed_minutes, slot_keys, slot_sums
from mods.dataset.zeek import Log
from mods.timerange import Window

__all__ = ["PolarsFacts"]

#: Records, and blocks of them, of a protocol that are taken together: an hour's log of a small
#: sensor has a few hundred, and the expressions cost some milliseconds each, however few.
_TOGETHER, _FRAMES = 1 << 16, 256


class PolarsFacts(Facts):
    """The facts that Polars makes of blocks of records, as they are read.

    Parameters
    ----------
    plan
        What is to be made.
    folder
        Where facts are kept meanwhile that are too many for the memory.
    """

    def __init__(self, plan: Plan, folder: Path) -> None:
        super().__init__(plan)
        self._store = FactStore(plan.slot, folder)
        self._protocols = {p.name: p for p in plan.protocols}
        self._minutes: list[pl.DataFrame] = []
        self._waiting: dict[str, list[pl.DataFrame]] = {}
        self._lock = threading.Lock()

    @property
    def minutes(self) -> pl.DataFrame:
        """`minute, first, last` of all records in the range, of whatever protocol."""
        with self._lock:
            merged = _merge_minutes(pl.concat([pl.DataFrame(schema=MINUTES), *self._minutes]))
            self._minutes = [merged]
        return merged

    def sums(self, protocol: Protocol, first: int, stop: int) -> pl.DataFrame | None:
        """Return `slot_sums` of slots in `[first, stop)`; None where there are none."""
        return self._store.read("sums", protocol.name, first, stop)

    def changes(
        self, protocol: Protocol, window: Window, first: int, stop: int
    ) -> pl.DataFrame | None:
        """Return `key_changes` of slots in `[first, stop)`; None where there are none."""
        keys = self._store.read("keys", protocol.name, first, stop)
        return None if keys is None else collected(key_changes(lazy(keys), window, self.plan.slot))

    def read(self, logs: Sequence[Log], progress: Callable[[int], object]) -> DaysTouched:
        """Read logs and add their facts."""
        days = read_blocks(logs, self.plan, self.counts, self._add, progress)
        for name in list(self._waiting):
            self._take(name, self._waiting.pop(name))
        return days

    def close(self) -> None:
        """Remove what went to disk."""
        self._store.close()

    def _add(self, block: Block) -> None:
        """Take a block of records; from any thread."""
        name, records = block.protocol, block.records
        full = None
        with self._lock:
            self.rows += records.height
            self.counts.rows[name] += records.height
            self.counts.rejects[name] += block.rejects.count
            waiting = self._waiting.setdefault(name, [])
            waiting.append(records)
            if len(waiting) == _FRAMES or sum(frame.height for frame in waiting) >= _TOGETHER:
                full = self._waiting.pop(name)
        if full is not None:
            self._take(name, full)

    def _take(self, name: str, frames: list[pl.DataFrame]) -> None:
        """Add the facts of records of a protocol; from any thread."""
        records = pl.concat(frames)
        inside = records
        if self.plan.time_range is not None and records.height:
            inside = collected(in_range(lazy(records), self.plan))
        left_out = outside = 0
        minutes = None
        if inside.height:
            minutes = collected(observed_minutes(lazy(inside)))
            if name in self._protocols:
                left_out, outside = self._take_inside(inside, self._protocols[name])
        counts = self.counts
        with self._lock:
            counts.out_of_range[name] += records.height - inside.height
            counts.left_out[name] += left_out
            counts.outside[name] += outside
            if minutes is not None:
                self._minutes.append(minutes)
                if len(self._minutes) > 500:
                    self._minutes = [_merge_minutes(pl.concat(self._minutes))]

    def _take_inside(self, records: pl.DataFrame, protocol: Protocol) -> tuple[int, int]:
        """Add the facts of records; return how many are left out, and have no direction."""
        hidden = self.plan.hidden(_grouped_hosts(records)) if self.plan.hidden_sets else {}
        taken = collected(marked(lazy(records), self.plan, hidden))
        self._store.add("sums", protocol.name, collected(slot_sums(lazy(taken), protocol)))
        keys = slot_keys(lazy(taken), protocol)
        if keys is not None:
            self._store.add("keys", protocol.name, collected(keys))
        return records.height - taken.height, taken["direction"].null_count()


def _grouped_hosts(records: pl.DataFrame) -> Iterable[str]:
    """Return the distinct IPv6 hosts."""
    both = pl.concat([records["id_orig_h"], records["id_resp_h"]]).drop_nulls().unique()
    return both.filter(both.str.contains(":", literal=True))


def _merge_minutes(minutes: pl.DataFrame) -> pl.DataFrame:
    return minutes.group_by("minute").agg(pl.col("first").min(), pl.col("last").max())
