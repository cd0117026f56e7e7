"""What was read and what was made of it: the summary, the warnings, the lines kept aside."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

from mods.dataset.built import name_of
from mods.dataset.hadoop import LogFile
from mods.dataset.plan import Counts, Plan
from mods.dataset.zeek import Log, Logs
from mods.errors import DataError, ModsWarning
from mods.files import write_aside

__all__ = ["Summary", "check", "warn_of_windows", "write_rejects"]

#: Days between two records that speak of a clock that jumped.
_JUMP = 31
_REJECTS = "file\tline\treason\ttext"
_TITLES = (
    ("files", "files"),
    ("rows", "rows"),
    ("rejects", "rejects"),
    ("out_of_range", "out of range"),
    ("left_out", "left out"),
    ("outside", "outside hosts only"),
)


@dataclass
class Summary:
    """What was read and what was made of it."""

    out: LogFile
    counts: Counts
    logs: Logs
    protocols: list[str] = field(default_factory=list)
    #: logs that have not changed since they were read before
    unchanged: int = 0
    #: the days that were built
    days: list[date] = field(default_factory=list)
    #: by window name: windows written, and how many of them are known
    windows: dict[str, tuple[int, int]] = field(default_factory=dict)
    written: list[Path] = field(default_factory=list)
    rejects_file: Path | None = None
    seconds: float = 0.0

    @property
    def not_used(self) -> list[tuple[LogFile, str]]:
        """Files that are no logs or cannot be read, and why."""
        return [*self.logs.unreadable, *self.logs.others, *self.counts.others]

    @property
    def document(self) -> dict[str, Any]:
        """The summary as a JSON document."""
        counts = self.counts
        names = sorted({*self.protocols, *counts.files, *counts.rows, *counts.rejects})
        return {
            "out": str(self.out),
            "protocols": {
                name: {
                    **{key: getattr(counts, key)[name] for key, _title in _TITLES},
                    "written": name in self.protocols,
                }
                for name in names
            },
            "days": [day.isoformat() for day in self.days],
            "windows": {
                name: {"written": total, "known": known, "missing": total - known}
                for name, (total, known) in self.windows.items()
            },
            "unchanged_logs": self.unchanged,
            "files_written": len(set(self.written)),
            "rejects_file": None if self.rejects_file is None else str(self.rejects_file),
            "damaged": [
                {"file": str(path), "damage": what, "rows_saved": rows}
                for path, what, rows in counts.damaged
            ],
            "not_used": [{"file": str(path), "reason": reason} for path, reason in self.not_used],
            "seconds": round(self.seconds, 3),
        }

    @property
    def text(self) -> str:
        """The summary as a table for people."""
        lines = self._table()
        for name, (total, known) in self.windows.items():
            lines.append(
                f"{name}: {total:,} windows on {len(self.days)} days, {total - known:,} missing"
            )
        if self.unchanged:
            lines.append(f"{self.unchanged} logs have not changed since they were read")
        if self.not_used:
            lines.append(f"{len(self.not_used)} other files not used (--json names them)")
        if self.rejects_file is not None:
            lines.append(f"lines that are no records: {self.rejects_file}")
        rows = sum(self.counts.rows.values())
        lines.append(
            f"{rows:,} rows in {self.seconds:.1f} s "
            f"({rows / max(self.seconds, 1e-9):,.0f} a second); "
            f"{len(set(self.written))} files written in {self.out}"
        )
        return "\n".join(lines)

    def _table(self) -> list[str]:
        rows = [("protocol", *(title for _key, title in _TITLES))]
        for name, numbers in self.document["protocols"].items():
            rows.append((name, *(f"{numbers[key]:,}" for key, _title in _TITLES)))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = []
        for row in rows:
            cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
            lines.append("  ".join([row[0].ljust(widths[0]), *cells[1:]]))
        return lines


def write_rejects(out: Path, counts: Counts, read: Iterable[Log]) -> Path | None:
    """Keep the lines that are no records aside, with their reasons, as `rejects.tsv`.

    What the file tells of logs that were not `read` this time stays.
    """
    path = out / "rejects.tsv"
    again = {name_of(log.path) for log in read}
    head, *before = path.read_text().splitlines() if path.is_file() else [_REJECTS]
    rows = [row for row in before if row.split("\t", 1)[0] not in again]
    for file, reject in sorted(counts.kept_rejects, key=lambda kept: (str(kept[0]), kept[1].line)):
        rows.append(f"{name_of(file)}\t{reject.line}\t{reject.reason}\t{reject.text}")
    if not rows:
        path.unlink(missing_ok=True)
        return None
    if rows != before:
        with write_aside(path) as partial:
            partial.write_text("\n".join([head, *rows, ""]))
    return path


def check(summary: Summary, plan: Plan, gone: Sequence[date], anything: bool) -> None:
    """Tell what a person should know before trusting the numbers.

    Parameters
    ----------
    summary, plan
        What was read, and what was to be made.
    gone
        Days with new records that are not built again, for want of their other logs.
    anything
        Whether there is any record, now or from before.

    Raises
    ------
    DataError
        Where there is none.
    """
    counts, found = summary.counts, summary.logs
    for path, reason in found.unreadable:
        _warn(f"{path}: left out ({reason})")
    for path, damage, rows in sorted(counts.damaged, key=str):
        _warn(f"{path}: {damage}; the {rows:,} rows before the damage are used")
    for (protocol, name), path in sorted(counts.lacking.items()):
        _warn(
            f"{path}: no field {name.replace('id_', 'id.')!r} in this log of {protocol}; "
            "features of it count nothing there"
        )
    rejected = sum(counts.rejects.values())
    if rejected:
        _warn(f"{rejected:,} lines are no records; {summary.rejects_file} keeps them with reasons")
    for day in gone:
        _warn(
            f"{day} stays as it is: it has new records, but logs that it was made of are gone; "
            "--force builds it of what is left"
        )
    rows = sum(counts.rows.values())
    if not anything:
        where = f" lies in the range {plan.time_range.text}" if plan.time_range and rows else ""
        raise DataError(
            f"no record in {len(found.logs)} logs{where}",
            "at least one",
            "Look at the rejected lines, or widen the range."
            if rejected or rows
            else "The logs hold headers only.",
        )
    _warn_of_directions(counts, plan)


def warn_of_windows(summary: Summary) -> None:
    """Tell of clocks that jumped, and of windows that are too long for the logs."""
    for before, after in pairwise(summary.days):
        if (after - before).days > _JUMP:
            _warn(
                f"the records jump from {before} to {after}: did a clock? Leave some out with "
                f"--range, for example '<{after},{summary.days[-1]}>'"
            )
    for name, (total, known) in summary.windows.items():
        if total and not known:
            _warn(
                f"no window of {name} is complete: nowhere do the logs reach over a whole one; "
                "use a shorter window, or more logs"
            )


def _warn(text: str) -> None:
    # the level of whoever called make_dataset
    warnings.warn(text, ModsWarning, stacklevel=4)


def _warn_of_directions(counts: Counts, plan: Plan) -> None:
    names = [p.name for p in plan.protocols]
    seen = Counter({n: counts.rows[n] - counts.out_of_range[n] - counts.left_out[n] for n in names})
    total = sum(seen.values())
    if total and total == sum(counts.outside[n] for n in names):
        nets = ", ".join(map(str, plan.hosts.networks))
        _warn(f"none of the hosts is local (to {nets}), so every count is 0; set --local-net")
