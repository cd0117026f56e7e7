"""Facts of slots, gathered from blocks of records in any order, within a bound of memory."""

from __future__ import annotations

import tempfile
import threading
from collections import defaultdict
from pathlib import Path
from typing import Literal

import polars as pl

__all__ = ["FactStore"]

DAY = 86400
Kind = Literal["sums", "keys"]


class FactStore:
    """Keeps the facts of slots; what passes the limit goes to disk, by day.

    So memory stays level however many days there are, and a record that comes late still
    finds its day.

    Parameters
    ----------
    slot
        Seconds of a slot.
    folder
        Where facts go to disk; a folder of its own is made in it and removed at the end.
    limit
        Bytes kept in memory.
    """

    def __init__(self, slot: int, folder: Path, limit: int = 1 << 27) -> None:
        self._slot = slot
        self._folder = folder
        self._limit = limit
        self._size = 0.0
        self._frames: dict[tuple[Kind, str], list[pl.DataFrame]] = defaultdict(list)
        self._lock = threading.Lock()
        self._spilled: tempfile.TemporaryDirectory[str] | None = None
        self._parts = 0

    def close(self) -> None:
        """Remove what went to disk."""
        if self._spilled is not None:
            self._spilled.cleanup()

    def add(self, kind: Kind, protocol: str, facts: pl.DataFrame) -> None:
        """Add facts that begin with the columns `slot, direction`; from any thread."""
        if facts.is_empty():
            return
        with self._lock:
            self._frames[kind, protocol].append(facts)
            self._size += facts.estimated_size()
            if self._size > self._limit:
                self._compact()
            if self._size > self._limit // 2:
                self._spill()

    def read(self, kind: Kind, protocol: str, first: int, stop: int) -> pl.DataFrame | None:
        """Return the facts of slots in `[first, stop)`, merged; None where there are none."""
        inside = pl.col("slot").is_between(first, stop - 1)
        with self._lock:
            frames = self._frames[kind, protocol]
            if len(frames) > 1:
                # once, and not again for each span of days that is asked for
                frames[:] = [_merge(kind, pl.concat(frames))]
            parts = list(frames)
        if self._spilled is not None:
            days = range(first * self._slot // DAY, (stop - 1) * self._slot // DAY + 1)
            for day in days:
                folder = Path(self._spilled.name, kind, protocol, str(day))
                parts += [pl.read_ipc(p) for p in sorted(folder.glob("*.arrow"))]
        found = [part for part in (p.filter(inside) for p in parts) if not part.is_empty()]
        return _merge(kind, pl.concat(found)) if found else None

    def _compact(self) -> None:
        self._size = 0
        for (kind, protocol), frames in self._frames.items():
            merged = _merge(kind, pl.concat(frames))
            self._frames[kind, protocol] = [merged]
            self._size += merged.estimated_size()

    def _spill(self) -> None:
        if self._spilled is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._spilled = tempfile.TemporaryDirectory(
                dir=self._folder, prefix=".facts.", suffix=".partial"
            )
        self._parts += 1
        for (kind, protocol), frames in self._frames.items():
            facts = pl.concat(frames).with_columns(day=pl.col("slot") * self._slot // DAY)
            by_day = facts.partition_by("day", as_dict=True, include_key=False)
            for (number,), part in by_day.items():
                folder = Path(self._spilled.name, kind, protocol, str(number))
                folder.mkdir(parents=True, exist_ok=True)
                part.write_ipc(folder / f"{self._parts}.arrow", compression="zstd")
        self._frames.clear()
        self._size = 0


def _merge(kind: Kind, facts: pl.DataFrame) -> pl.DataFrame:
    if kind == "keys":
        return facts.unique()
    return facts.group_by("slot", "direction").sum()
