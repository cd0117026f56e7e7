"""The stage as one call: Zeek logs in, a datapool of windowed features out."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from mods import config
from mods.dataset.direction import Hosts
from mods.dataset.engines import Counts, Plan, PolarsFacts, read_with_polars
from mods.dataset.facts import FactStore
from mods.dataset.feature_files import write_features
from mods.dataset.observed import known_windows, observed_spans, touched_days
from mods.dataset.protocols import PROTOCOLS, Protocol, chosen_protocols
from mods.dataset.windows import sum_columns, window_table
from mods.dataset.zeek import Logs, find_logs
from mods.errors import DataError, ModsWarning
from mods.files import write_aside
from mods.timerange import TimeRange, Window

__all__ = ["Summary", "make_dataset"]

#: The days whose windows are made at a time: bounds the memory, saves a round for each day.
_DAYS = 8
#: Days between two records that speak of a clock that jumped.
_JUMP = 31
_EPOCH = date(1970, 1, 1)


@dataclass
class Summary:
    """What was read and what was made of it."""

    out: Path
    counts: Counts
    logs: Logs
    protocols: list[str]
    days: list[date] = field(default_factory=list)
    #: by window name: windows written, and how many of them are known
    windows: dict[str, tuple[int, int]] = field(default_factory=dict)
    written: list[Path] = field(default_factory=list)
    rejects_file: Path | None = None
    seconds: float = 0.0

    @property
    def document(self) -> dict[str, Any]:
        """The summary as a JSON document."""
        counts = self.counts
        names = sorted({*self.protocols, *counts.files, *counts.rows, *counts.rejects})
        return {
            "out": str(self.out),
            "protocols": {
                name: {
                    "files": counts.files[name],
                    "rows": counts.rows[name],
                    "rejects": counts.rejects[name],
                    "out_of_range": counts.out_of_range[name],
                    "outside": counts.outside[name],
                    "written": name in self.protocols,
                }
                for name in names
            },
            "days": [day.isoformat() for day in self.days],
            "windows": {
                name: {"written": total, "known": known, "missing": total - known}
                for name, (total, known) in self.windows.items()
            },
            "files_written": len(self.written),
            "rejects_file": None if self.rejects_file is None else str(self.rejects_file),
            "damaged": [
                {"file": str(path), "damage": what, "rows_saved": rows}
                for path, what, rows in counts.damaged
            ],
            "not_used": [
                {"file": str(path), "reason": reason}
                for path, reason in (*self.logs.unreadable, *self.logs.others)
            ],
            "seconds": round(self.seconds, 3),
        }

    @property
    def text(self) -> str:
        """The summary as a table for people."""
        document = self.document
        rows = [("protocol", "files", "rows", "rejects", "out of range", "outside hosts only")]
        rows += [
            (name, *(f"{n[k]:,}" for k in ("files", "rows", "rejects", "out_of_range", "outside")))
            for name, n in document["protocols"].items()
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                c.ljust(w) if i == 0 else c.rjust(w)
                for i, (c, w) in enumerate(zip(r, widths, strict=True))
            )
            for r in rows
        ]
        for name, (total, known) in self.windows.items():
            lines.append(
                f"{name}: {total:,} windows on {len(self.days)} days, {total - known:,} missing"
            )
        not_used = len(self.logs.others) + len(self.logs.unreadable)
        if not_used:
            lines.append(f"{not_used} other files not used (--json names them)")
        if self.rejects_file is not None:
            lines.append(f"lines that are no records: {self.rejects_file}")
        total_rows = sum(self.counts.rows.values())
        lines.append(
            f"{total_rows:,} rows in {self.seconds:.1f} s "
            f"({total_rows / max(self.seconds, 1e-9):,.0f} a second); "
            f"{len(self.written)} files in {self.out}"
        )
        return "\n".join(lines)


def make_dataset(
    logs: Iterable[Path | str],
    out: Path | str,
    *,
    windows: Sequence[str] = (config.DEFAULT_WINDOW,),
    local_nets: Iterable[str] | None = None,
    protocols: Iterable[str] = (),
    time_range: str | None = None,
    own_fields: bool = False,
    progress: bool = True,
) -> Summary:
    """Make a datapool of Zeek logs.

    Parameters
    ----------
    logs
        Files and directories. A directory is taken as all that the sensor logged: a protocol
        without any log in it was quiet. Single files stand for themselves only.
    out
        The datapool's directory; days made before are replaced where they are made again.
    windows
        Names of windows, all made in one pass over the logs.
    local_nets
        CIDRs; by default those of `mods.config.local_nets`.
    protocols
        Which ones to make; by default all.
    time_range
        Take only records in this range.
    own_fields
        Whether Zeek's `local_orig` and `local_resp` go before the networks where a record has them.
    progress
        Whether to show progress on stderr, where that is a terminal.

    Returns
    -------
    Summary
        Counts of files, rows, rejects, windows, and the files written.

    Raises
    ------
    DataError, NotFoundError
        Where there is no log, or no record in any.
    RangeError, ConfigError
        Where a window, range or network does not parse.
    """
    begin = time.monotonic()
    given = [Path(path) for path in logs]
    out = Path(out)
    chosen = tuple(dict.fromkeys(Window.parse(name) for name in windows))
    names = list(protocols)
    plan = Plan(
        protocols=chosen_protocols(names),
        windows=chosen,
        slot=math.gcd(*(window.slide for window in chosen)),
        hosts=Hosts.of(config.local_nets(local_nets)),
        time_range=None if time_range is None else TimeRange.parse(time_range),
        own_fields=own_fields,
    )
    found = find_logs(given)
    _warn_unreadable(found)
    with FactStore(plan.slot, out) as store:
        facts = PolarsFacts(plan, store)
        with _progress(sum(log.size for log in found.logs), facts, progress) as advance:
            read_with_polars(found.logs, facts, PROTOCOLS, advance)
        counts = facts.counts
        made = [p for p in plan.protocols if names or _directory(given) or counts.rows[p.name]]
        summary = Summary(out, counts, found, [p.name for p in made])
        summary.rejects_file = _write_rejects(out, counts)
        _warn(summary, plan)
        _write_windows(summary, facts, plan, made)
    summary.seconds = time.monotonic() - begin
    return summary


def _directory(given: Iterable[Path]) -> bool:
    return any(path.is_dir() for path in given)


def _write_windows(
    summary: Summary, facts: PolarsFacts, plan: Plan, protocols: Sequence[Protocol]
) -> None:
    minutes = facts.minutes
    spans = observed_spans(minutes)
    summary.days = touched_days(minutes)
    _warn_of_days(summary.days)
    for window in plan.windows:
        total = known_total = 0
        for first, last in _runs([(day - _EPOCH).days for day in summary.days]):
            starts = _starts(first, last, window)
            if not starts:
                continue
            known = known_windows(spans, window, starts)
            total += len(starts)
            known_total += int(known.sum())
            for protocol in protocols:
                table = _table(facts, plan, protocol, window, starts, known)
                summary.written += write_features(summary.out, protocol.name, window, table)
        summary.windows[window.name] = (total, known_total)


def _table(
    facts: PolarsFacts,
    plan: Plan,
    protocol: Protocol,
    window: Window,
    starts: range,
    known: pl.Series,
) -> pl.DataFrame:
    per_slide = window.slide // plan.slot
    first, stop = starts.start * per_slide, (starts.stop + window.slots - 1) * per_slide
    sums = facts.sums(protocol, first, stop)
    if sums is None:
        sums = _no_sums(protocol)
    changes = facts.changes(protocol, window, first, stop)
    return window_table(sums, changes, protocol, window, plan.slot, starts, known)


def _no_sums(protocol: Protocol) -> pl.DataFrame:
    names = dict.fromkeys(c for columns in sum_columns(protocol).values() for c in columns)
    return pl.DataFrame(schema=dict.fromkeys(("slot", "direction", *names), pl.Int64))


def _starts(first: int, last: int, window: Window) -> range:
    """Return the windows that start on the days from `first` to `last`, in slides since the epoch.

    >>> _starts(1, 1, Window.parse("w01h-s10m"))
    range(144, 288)
    """
    return range(-(-first * 86400 // window.slide), -(-(last + 1) * 86400 // window.slide))


def _runs(days: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and last of days that follow each other, some at a time.

    >>> list(_runs([1, 2, 3, 7, *range(10, 20)]))
    [(1, 3), (7, 7), (10, 17), (18, 19)]
    """
    if not days:
        return
    first = last = days[0]
    for day in days[1:]:
        if day != last + 1 or day - first >= _DAYS:
            yield first, last
            first = day
        last = day
    yield first, last


def _write_rejects(out: Path, counts: Counts) -> Path | None:
    """Keep the lines that are no records aside, with their reasons, as `rejects.tsv`."""
    path = out / "rejects.tsv"
    if not counts.kept_rejects:
        path.unlink(missing_ok=True)
        return None
    rows = [
        (str(file), reject.line, reject.reason, reject.text)
        for file, reject in sorted(counts.kept_rejects, key=lambda r: (str(r[0]), r[1].line))
    ]
    frame = pl.DataFrame(rows, schema=["file", "line", "reason", "text"], orient="row")
    with write_aside(path) as partial:
        frame.write_csv(partial, separator="\t", quote_style="never")
    return path


def _warn_unreadable(found: Logs) -> None:
    for path, reason in found.unreadable:
        warnings.warn(f"{path}: cannot be read ({reason}); left out", ModsWarning, stacklevel=3)


def _warn(summary: Summary, plan: Plan) -> None:
    """Tell what a person should know before trusting the numbers; raise where there are none."""
    counts = summary.counts

    def warn(text: str) -> None:
        warnings.warn(text, ModsWarning, stacklevel=4)

    for path, damage, rows in sorted(counts.damaged):
        warn(f"{path}: {damage}; the {rows:,} rows before the damage are used")
    for (protocol, name), path in sorted(counts.lacking.items()):
        warn(
            f"{path}: no field {name.replace('id_', 'id.')!r} in this log of {protocol}; "
            "features of it count nothing there"
        )
    rejected = sum(counts.rejects.values())
    if rejected:
        warn(f"{rejected:,} lines are no records; {summary.rejects_file} keeps them with reasons")
    rows = sum(counts.rows.values())
    kept = rows - sum(counts.out_of_range.values())
    if not kept:
        raise DataError(
            f"no record in {len(summary.logs.logs)} logs"
            + (f" lies in the range {plan.time_range.text}" if plan.time_range and rows else ""),
            "at least one",
            "Look at the counts of rejected lines, or widen the range."
            if rejected or rows
            else "The logs hold headers only.",
        )
    directed = [p.name for p in plan.protocols if counts.rows[p.name] > counts.out_of_range[p.name]]
    seen = sum(counts.rows[n] - counts.out_of_range[n] for n in directed)
    if seen and seen == sum(counts.outside[n] for n in directed):
        nets = ", ".join(map(str, plan.hosts.networks))
        warn(f"none of the hosts is local (to {nets}), so every feature is 0; set --local-net")


def _warn_of_days(days: Sequence[date]) -> None:
    for before, after in pairwise(days):
        if (after - before).days > _JUMP:
            warnings.warn(
                f"the records jump from {before} to {after}: did a clock? "
                f"Leave some out with a range such as '<{after},{days[-1]}>'",
                ModsWarning,
                stacklevel=4,
            )


@contextmanager
def _progress(size: int, facts: PolarsFacts, wanted: bool) -> Iterator[Callable[[int], object]]:
    """Show bytes read of all, time left and rows a second, where stderr is a terminal."""
    from tqdm import tqdm

    begin = time.monotonic()
    with tqdm(
        total=size, unit="B", unit_scale=True, desc="reading", disable=None if wanted else True
    ) as bar:

        def advance(count: int) -> None:
            bar.update(count)
            rows = facts.rows
            bar.set_postfix_str(
                f"{rows / max(time.monotonic() - begin, 1e-9):,.0f} rows/s", refresh=False
            )

        yield advance
