"""The stage as one call: Zeek logs in, a datapool of windowed features out.

`python -m mods.dataset.make_dataset` is `mods features`.
"""

from __future__ import annotations

import math
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mods import config
from mods.dataset.built import Built, days_reached, days_to_build
from mods.dataset.direction import Hosts
from mods.dataset.engines import Facts, open_facts
from mods.dataset.feature_files import Layout, place, write_features
from mods.dataset.filters import Rules
from mods.dataset.hadoop import HadoopFile, is_address
from mods.dataset.manifest import Manifest
from mods.dataset.observed import known_windows
from mods.dataset.plan import Counts, DaysTouched, Plan
from mods.dataset.protocols import Protocol, chosen_protocols
from mods.dataset.summary import Summary, check, warn_of_windows, write_rejects
from mods.dataset.windows import all_sums, window_table
from mods.dataset.zeek import Log, Logs, drop_twins, find_logs
from mods.errors import ConfigError, DataError
from mods.timerange import TimeRange, Window

__all__ = ["Summary", "make_dataset"]

#: The days whose windows are made at a time: bounds the memory, saves a round for each day.
_DAYS = 8
_EPOCH = date(1970, 1, 1)


def make_dataset(
    logs: Iterable[Path | str],
    out: Path | str,
    *,
    windows: Sequence[str] = (config.DEFAULT_WINDOW,),
    local_nets: Iterable[str] | None = None,
    protocols: Iterable[str] = (),
    time_range: str | None = None,
    own_fields: bool = False,
    allow: Iterable[str] = (),
    never: Iterable[str] = (),
    engine: str = "polars",
    master: str | None = None,
    layout: Layout = "tree",
    force: bool = False,
    progress: bool = True,
    max_windows: int | None = None,
) -> Summary:
    """Make a datapool of Zeek logs.

    Days that were made before, with these options and of logs that have not changed since,
    are left as they are.

    Parameters
    ----------
    logs
        Files and directories; with Spark also addresses on a Hadoop file system, such as
        `hdfs://namenode:8020/zeek`. A directory is taken as all that the sensor logged: a protocol
        without any log in it was quiet. Single files stand for themselves only.
    out
        The datapool's directory; days made before are replaced where they are made again. With
        Spark also an address: Parquet there, `<protocol>/<window>/day=<YYYY-MM-DD>`, whose days
        are those of these logs alone.
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
    allow, never
        Addresses, CIDRs and `:port`: take only records with such an end, or none of them.
    engine
        `polars`, `duckdb` or `spark`: the numbers are the same.
    master
        The Spark cluster, for example `spark://host:7077`.
    layout
        How the datapool is stored: `tree`, `parquet`, `zip-day` or `zip-month`.
    force
        Build every day of the logs again.
    progress
        Whether to show progress on stderr, where that is a terminal.
    max_windows
        Refuse to make more windows than these of one name; by default there is no bound.

    Returns
    -------
    Summary
        Counts of files, rows, rejects, windows, and the files written.

    Raises
    ------
    DataError, NotFoundError
        Where there is no log, or no record in any, or writing fails, or there are more windows
        than `max_windows`.
    RangeError, ConfigError
        Where a window, range, network or engine does not parse or is not there.
    """
    begin = time.monotonic()
    every, names = list(logs), list(protocols)
    addresses = [path for path in every if isinstance(path, str) and is_address(path)]
    given = [Path(path) for path in every if path not in addresses]
    chosen = tuple(sorted({Window.parse(name) for name in windows}))
    plan = Plan(
        protocols=chosen_protocols(names),
        windows=chosen,
        slot=math.gcd(*(window.slide for window in chosen)),
        hosts=Hosts.of(config.local_nets(local_nets)),
        time_range=None if time_range is None else TimeRange.parse(time_range),
        own_fields=own_fields,
        rules=Rules.parse(allow, never),
    )
    target = str(out) if isinstance(out, str) and is_address(out) else None
    _check_addresses(addresses, target, engine, layout)
    found = find_logs(given) if given or not addresses else Logs()
    with _writing(out) as place, open_facts(engine, plan, place, master) as facts:
        built = Built.read(place, _options(plan, layout), forget=force)
        found.logs += facts.find(addresses)
        drop_twins(found, given)
        new = built.changed(found.logs)
        summary = Summary(place, facts.counts, found, unchanged=len(found.logs) - len(new))
        with _progress(facts, progress) as read:
            dirty = built.take(new, read(new), facts.minutes)
            directory = any(path.is_dir() for path in given) or bool(addresses)
            made = _made(plan, built, everything=bool(names) or directory, counts=facts.counts)
            stored = partial(_stored, place, plan, made, layout)
            gone = built.gone_days(facts.exists)
            days, unmade = _days(built, plan, dirty, gone, stored)
            _check_windows(chosen, len(days), max_windows)
            needed = {day + n for day in days for n in range(days_reached(plan.windows) + 1)}
            again = built.touching(needed, new, facts.exists)
            read(again)
        summary.rejects_file = write_rejects(place, facts.counts, [*new, *again])
        facts.finish()
        summary.protocols = [protocol.name for protocol in made]
        summary.days = [_EPOCH + timedelta(days=day) for day in days]
        check(summary, plan, gone=unmade, anything=bool(built.days))
        _write_windows(place, summary, facts, built, made, layout)
        if target is not None:
            facts.deliver(place, made, target)
            summary.out = HadoopFile(target)
        elif new or days:
            built.write()
    warn_of_windows(summary)
    summary.seconds = time.monotonic() - begin
    return summary


def _check_addresses(logs: Sequence[str], target: str | None, engine: str, layout: Layout) -> None:
    """Refuse addresses on a Hadoop file system where they can be of no use."""
    addresses = [*logs, target] if target else logs
    if addresses and engine != "spark":
        raise ConfigError(
            f"the address {addresses[0]!r} with the engine {engine!r}",
            "a path",
            "Add --engine spark, which reads and writes on any Hadoop file system.",
        )
    if target and layout not in ("tree", "parquet"):
        raise ConfigError(
            f"the layout {layout!r} at the address {target!r}", "Parquet partitioned by day"
        )


def _check_windows(windows: Sequence[Window], days: int, most: int | None) -> None:
    shortest = min(windows, key=lambda window: window.slide)
    total = days * shortest.per_day
    if most is not None and total > most:
        raise DataError(
            f"records on {days:,} days make {total:,} windows of {shortest.name}",
            f"at most {most:,}",
            "Choose a window with a longer slide, or leave days out.",
        )


@contextmanager
def _writing(out: Path | str) -> Iterator[Path]:
    """Give the folder to write in; say what one that cannot be written to, or a full disk, means.

    What goes to an address on a Hadoop file system is made in a temporary folder.
    """
    try:
        if isinstance(out, str) and is_address(out):
            with tempfile.TemporaryDirectory(prefix="mods-") as folder:
                yield Path(folder)
            return
        place = Path(out)
        place.mkdir(parents=True, exist_ok=True)
        _clear(place)
        yield place
    except OSError as error:
        raise DataError(
            f"cannot write to {str(out)!r}: {error.strerror or error}",
            mend="Check the folder's permissions and the space left on the disk.",
        ) from error


def _clear(pool: Path) -> None:
    """Remove what runs that were killed left behind, a day ago or longer."""
    for folder in pool.glob(".facts.*.partial"):
        with suppress(OSError):  # another run removes it too, or it is not ours
            if time.time() - folder.stat().st_mtime > 86400:
                shutil.rmtree(folder)


def _options(plan: Plan, layout: Layout) -> dict[str, Any]:
    """Return all that makes one datapool's numbers differ from another's."""
    rules = plan.rules or Rules()
    hosts = [h.networks if h else () for h in (plan.hosts, rules.allow_hosts, rules.never_hosts)]
    return {
        "windows": [window.name for window in plan.windows],
        "protocols": [protocol.name for protocol in plan.protocols],
        "networks": [[str(network) for network in networks] for networks in hosts],
        "ports": [rules.allow_ports, rules.never_ports],
        "range": plan.time_range.text if plan.time_range else None,
        "own": plan.own_fields,
        "layout": layout,
    }


def _made(plan: Plan, built: Built, everything: bool, counts: Counts) -> list[Protocol]:
    """Return the protocols to write: all that were asked for, or those with any record."""
    seen = {p.name for p in plan.protocols if everything or counts.rows[p.name]}
    built.protocols = sorted(seen.union(built.protocols))
    return [p for p in plan.protocols if p.name in built.protocols]


def _stored(out: Path, plan: Plan, protocols: Sequence[Protocol], layout: Layout, day: int) -> bool:
    when = _EPOCH + timedelta(days=day)
    return all(
        place(out, protocol.name, when, window.name, layout).exists()
        for protocol in protocols
        for window in plan.windows
    )


def _days(
    built: Built, plan: Plan, dirty: set[int], gone: set[int], stored: Callable[[int], bool]
) -> tuple[list[int], list[date]]:
    """Return the days to build, and those that should be, but of which a log is gone."""
    wanted = days_to_build(dirty, plan.windows) & built.days
    wanted |= {day for day in built.days if not stored(day)}
    reach = days_reached(plan.windows)
    unmade = {day - n for day in gone for n in range(reach + 1)} & wanted
    return sorted(wanted - unmade), [_EPOCH + timedelta(days=day) for day in sorted(unmade & dirty)]


def _write_windows(
    pool: Path,
    summary: Summary,
    facts: Facts,
    built: Built,
    protocols: Sequence[Protocol],
    layout: Layout,
) -> None:
    plan = facts.plan
    manifest = Manifest.load(pool)
    spans = np.array(built.spans, dtype=np.int64).reshape(-1, 2)
    numbers = [(day - _EPOCH).days for day in summary.days]
    for window in plan.windows:
        total = known_total = 0
        for first, last in _runs(numbers):
            starts = _starts(first, last, window)
            if not starts:
                continue
            known = known_windows(spans, window, starts)
            total += len(starts)
            known_total += int(known.sum())
            for protocol in protocols:
                table = _table(facts, protocol, window, starts, known)
                summary.written += write_features(
                    pool, protocol.name, window, table, layout=layout, manifest=manifest
                )
        summary.windows[window.name] = (total, known_total)
    if summary.written:
        manifest.save()


def _table(
    facts: Facts, protocol: Protocol, window: Window, starts: range, known: pl.Series
) -> pl.DataFrame:
    slot = facts.plan.slot
    per_slide = window.slide // slot
    first, stop = starts.start * per_slide, (starts.stop + window.slots - 1) * per_slide
    sums = facts.sums(protocol, first, stop)
    if sums is None:
        sums = _no_sums(protocol)
    changes = facts.changes(protocol, window, first, stop)
    return window_table(sums, changes, protocol, window, slot, starts, known)


def _no_sums(protocol: Protocol) -> pl.DataFrame:
    return pl.DataFrame(schema=dict.fromkeys(("slot", "direction", *all_sums(protocol)), pl.Int64))


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


Read = Callable[[Sequence[Log]], DaysTouched]


@contextmanager
def _progress(facts: Facts, wanted: bool) -> Iterator[Read]:
    """Give what reads logs and shows bytes, time left and rows a second on a terminal's stderr."""
    from tqdm import tqdm

    begin = time.monotonic()
    with tqdm(
        total=0, unit="B", unit_scale=True, desc="reading", disable=None if wanted else True
    ) as bar:

        def advance(count: int) -> None:
            bar.update(count)
            seconds = max(time.monotonic() - begin, 1e-9)
            bar.set_postfix_str(f"{facts.rows / seconds:,.0f} rows/s", refresh=False)

        def read(logs: Sequence[Log]) -> DaysTouched:
            bar.total = (bar.total or 0) + sum(log.size for log in logs)
            return facts.read(logs, advance)

        yield read


if __name__ == "__main__":
    from mods.cli import main

    sys.exit(main(["features", *sys.argv[1:]]))
