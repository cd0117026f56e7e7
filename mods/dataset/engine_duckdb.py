"""The DuckDB engine: records in tables of a database file, facts by SQL that narwhals writes.

Its records may be more than the memory holds, distinct values included.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import narwhals as nw

from mods.dataset.engine import CollectedFacts, read_blocks
from mods.dataset.plan import DaysTouched, Plan
from mods.dataset.records import Block, empty_records
from mods.dataset.windows import Lazy
from mods.dataset.zeek import Log
from mods.errors import ConfigError

__all__ = ["DuckDBFacts"]


class DuckDBFacts(CollectedFacts):
    """The facts that DuckDB makes of the records.

    Parameters
    ----------
    plan
        What is to be made.
    folder
        Where the database is kept meanwhile.

    Raises
    ------
    ConfigError
        Where DuckDB is not installed.
    """

    def __init__(self, plan: Plan, folder: Path) -> None:
        super().__init__(plan)
        try:
            import duckdb
        except ImportError:
            raise ConfigError(
                "the engine 'duckdb' is not installed",
                mend="Install it with: pip install duckdb",
            ) from None
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = tempfile.TemporaryDirectory(dir=folder, prefix=".facts.", suffix=".partial")
        self._base: Any = duckdb.connect(str(Path(self._folder.name, "records.duckdb")))
        self._base.execute("set preserve_insertion_order = false; set memory_limit = '1GB'")
        for name, fields in plan.wanted.items():
            self._base.register("block", empty_records(fields).to_arrow())
            self._base.execute(f"create table records_{name} as select * from block")  # noqa: S608  # nosec B608
        self._lock = threading.Lock()

    def read(self, logs: Sequence[Log], progress: Callable[[int], object]) -> DaysTouched:
        """Read logs into the database."""
        return read_blocks(logs, self.plan, self.counts, self._add, progress)

    def close(self) -> None:
        """Close the database and remove its file."""
        self._base.close()
        self._folder.cleanup()

    def _add(self, block: Block) -> None:
        """Take a block of records; from any thread."""
        with self._lock:
            self.rows += block.records.height
            self.counts.rows[block.protocol] += block.records.height
            self.counts.rejects[block.protocol] += block.rejects.count
            if block.records.height:
                self._base.register("block", block.records.to_arrow())
                self._base.execute(
                    f"insert into records_{block.protocol} select * from block"  # noqa: S608  # nosec B608
                )

    def _times(self) -> Lazy | None:
        parts = [self._relation(name).select("ts") for name in self.plan.wanted]
        return nw.concat(parts)

    def _relation(self, protocol: str) -> Lazy:
        relation: Lazy = nw.from_native(self._base.table(f"records_{protocol}"))
        return relation

    def _keep(self, relation: Lazy, name: str) -> Lazy:
        relation.to_native().create(name)
        kept: Lazy = nw.from_native(self._base.table(name))
        return kept
