"""Simulating a network into a directory of Zeek logs."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mods.dataset.simulate.incidents import KINDS, SimulatedIncident
from mods.dataset.simulate.log_files import ROTATIONS, LogFiles
from mods.dataset.simulate.network import Network
from mods.dataset.simulate.schemas import PROTOCOLS
from mods.dataset.simulate.writer import WRITERS
from mods.errors import DataError, ModsError, RangeError, did_you_mean
from mods.files import write_aside

__all__ = ["SimulationSummary", "simulate"]

_MARK = ".simulation.json"
_INCIDENTS = "incidents.tsv"
_COLUMNS = ("start", "end", "kind", "columns", "direction", "host", "strength", "text")
_MOST_DAYS = 3660


@dataclass(frozen=True)
class SimulationSummary:
    """What a simulation has written.

    Attributes
    ----------
    out
        The directory.
    records
        Number of records by protocol.
    incidents
        Number of labelled incidents.
    files
        Number of logs.
    seconds
        How long it took.
    reused
        Whether the same simulation was there already and nothing was done.
    """

    out: str
    days: int
    records: dict[str, int]
    incidents: int
    files: int
    seconds: float
    reused: bool = False

    @property
    def document(self) -> dict[str, Any]:
        """The summary as one JSON document."""
        return asdict(self)


def simulate(
    out: Path | str,
    *,
    days: int = 21,
    start: str = "2024-03-04",
    seed: int = 0,
    rate: float = 80_000,
    log_format: str = "tsv",
    compressed: bool = False,
    rotate: str = "hour",
    incidents: Sequence[str] = KINDS,
    force: bool = False,
    progress: bool = False,
) -> SimulationSummary:
    """Write the Zeek logs of a simulated network, and its incidents' labels.

    The same arguments make the same bytes.  A run that was killed is repeated by
    calling again; one that is complete is left as it is.

    Parameters
    ----------
    out
        A directory, new or empty, or that of an earlier simulation.
    days
        How many days.
    start
        The first one, `YYYY-MM-DD` (UTC).
    seed
        Another seed is another network with other habits.
    rate
        Records a day over all logs, in the mean over a week, before growth and incidents.
    log_format
        `tsv` or `json`.
    compressed
        Whether to compress the logs by gzip.
    rotate
        `hour` or `day` (logs in a directory a day), or `none` (one file a log).
    incidents
        Kinds of incidents (`mods.dataset.simulate.KINDS`), none for quiet traffic.
    force
        Replace an earlier simulation that was made with other arguments.
    progress
        Whether to show progress on stderr, where that is a terminal.

    Raises
    ------
    RangeError
        For a number or a day out of range.
    DataError
        Where the directory holds something else, or cannot be written.
    ModsError
        For an unknown format, rotation or kind of incident.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     summary = simulate(folder, days=1, rate=1000)
    ...     sorted(summary.records)
    ['conn', 'dns', 'http', 'sip', 'ssh', 'ssl']
    """
    began = time.perf_counter()
    out = Path(out)
    first = _checked(days, start, seed, rate, log_format, rotate, incidents)
    arguments = {
        "days": days, "start": first.isoformat(), "seed": seed, "rate": rate,
        "format": log_format, "gzip": compressed, "rotate": rotate, "incidents": list(incidents),
    }  # fmt: skip
    known = _prepare(out, arguments, force)
    if known is not None:
        return SimulationSummary(**{**known, "out": str(out), "seconds": 0.0, "reused": True})
    network = Network(first, seed=seed, rate=rate)
    network.plan(days, incidents)
    try:
        records, files = _write(out, network, days, log_format, compressed, rotate, progress)
    except OSError as error:
        raise DataError(
            f"cannot write to {str(out)!r}: {error.strerror or error}",
            mend="Check the folder's permissions and the space left on the disk.",
        ) from error
    _write_incidents(out / _INCIDENTS, network.incidents)
    seconds = time.perf_counter() - began
    summary = SimulationSummary(
        str(out), days, records, len(network.incidents), files, round(seconds, 3)
    )
    _mark(out, arguments, summary)
    return summary


def _write(
    out: Path,
    network: Network,
    days: int,
    log_format: str,
    compressed: bool,
    rotate: str,
    progress: bool,
) -> tuple[dict[str, int], int]:
    records = dict.fromkeys(PROTOCOLS, 0)
    span = (network.midnight(0), network.midnight(days))
    hidden = None if progress else True  # None hides it where stderr is no terminal
    shown = tqdm(range(days), unit="day", desc="simulate", file=sys.stderr, disable=hidden)
    with LogFiles(out, rotate, log_format, compressed, span) as logs:
        for day in shown:
            for tables in network.parts(day):
                for protocol, table in tables.items():
                    logs.write(protocol, table)
                    records[protocol] += len(table)
            logs.end_of_day()
    return records, logs.files


def _write_incidents(path: Path, incidents: Sequence[SimulatedIncident]) -> None:
    lines = ["\t".join(_COLUMNS)]
    for incident in incidents:
        row = {**asdict(incident), "start": _iso(incident.start), "end": _iso(incident.end)}
        lines.append("\t".join(str(row[name]) for name in _COLUMNS))
    with write_aside(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _prepare(out: Path, arguments: dict[str, Any], force: bool) -> dict[str, Any] | None:
    """Make the directory ready; return the summary where the same is already there."""
    mark = out / _MARK
    if mark.is_file():
        try:
            earlier = json.loads(mark.read_text(encoding="utf-8"))
            same, summary = earlier["arguments"] == arguments, earlier["summary"]
        except (ValueError, KeyError, OSError) as error:
            raise DataError(
                f"{str(mark)!r} does not tell what {str(out)!r} holds ({error})",
                mend="Remove the directory, or choose another one.",
            ) from error
        if same and summary is not None and not force:
            return dict(summary)
        if not same and summary is not None and not force:
            raise DataError(
                f"{str(out)!r} holds a simulation that was made with other arguments",
                mend="Choose another directory, or replace it with --force.",
            )
        _remove(out, earlier["arguments"])
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(
            f"{str(out)!r} is not empty and was not made by a simulation",
            "a new or empty directory",
            "Choose another one; what is there is left as it is.",
        )
    _mark(out, arguments, None)
    return None


def _remove(out: Path, arguments: dict[str, Any]) -> None:
    """Remove what an earlier simulation with these arguments has written, and nothing else."""
    first = date.fromisoformat(arguments["start"])
    for day in range(int(arguments["days"])):
        shutil.rmtree(out / (first + timedelta(days=day)).isoformat(), ignore_errors=True)
    for protocol in PROTOCOLS:
        for suffix in (".log", ".log.gz"):
            (out / f"{protocol}{suffix}").unlink(missing_ok=True)
    (out / _INCIDENTS).unlink(missing_ok=True)


def _mark(out: Path, arguments: dict[str, Any], summary: SimulationSummary | None) -> None:
    """Note what the directory holds; without a summary, that it is not complete."""
    document = {"arguments": arguments, "summary": summary.document if summary else None}
    with write_aside(out / _MARK) as partial:
        partial.write_text(json.dumps(document) + "\n", encoding="utf-8")


def _checked(
    days: int,
    start: str,
    seed: int,
    rate: float,
    log_format: str,
    rotate: str,
    incidents: Sequence[str],
) -> date:
    if not 1 <= days <= _MOST_DAYS:
        raise RangeError(f"{days} days", f"1 to {_MOST_DAYS}")
    if not 10 <= rate <= 1e9:
        raise RangeError(f"a rate of {rate:g} records a day", "10 to 1e9")
    if seed < 0:
        raise RangeError(f"seed {seed}", "0 or more")
    choices: tuple[tuple[str, str, Iterable[str]], ...] = (
        ("format", log_format, WRITERS),
        ("rotation", rotate, ROTATIONS),
        *(("kind of incident", kind, KINDS) for kind in incidents),
    )
    for what, value, known in choices:
        if value not in list(known):
            raise ModsError(f"unknown {what} {value!r}", mend=did_you_mean(value, known))
    try:
        first = date.fromisoformat(start)
        first + timedelta(days=days)
    except (ValueError, OverflowError):
        raise RangeError(f"start {start!r}", "a day such as 2024-03-04") from None
    if first < date(1970, 1, 1):
        raise RangeError(f"start {start!r}", "a day since 1970-01-01")
    return first


def _iso(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
