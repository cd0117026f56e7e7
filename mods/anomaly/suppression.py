"""Rules that keep incidents quiet: known work, known jobs, what nobody wants to hear of.

A rules file is TOML; each part may be left out:

    columns = ["ssh_in"]              # incidents of these columns alone
    minimal_duration = "30m"          # incidents shorter than this
    [[maintenance]]                   # incidents that lie wholly in planned work
    start = 2019-06-01T22:00:00Z
    end = 2019-06-02T04:00:00Z
    reason = "switches are replaced"
    [[job]]                           # more than expected while a job runs
    every = "1d"
    at = "02:00"
    lasts = "1h"
    columns = ["conn_out"]
    reason = "backup"

For data without times, start and end are row numbers. Maintenance times may
overlap. What is suppressed is marked, never lost.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pandas as pd

from mods.anomaly.incidents import Incident
from mods.errors import ConfigError, NotFoundError, did_you_mean

__all__ = ["Job", "Maintenance", "Rules", "read_rules", "suppress", "suppressed_counts"]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d+)\s*([smhdw])")
#: Days are counted from a Monday, so that `every = "7d"` means Mondays.
_MONDAY = pd.Timestamp("1970-01-05", tz="UTC")


@dataclass(frozen=True)
class Maintenance:
    """Planned work: windows in `[start, end)` are expected to be strange."""

    start: Any
    end: Any
    reason: str = "maintenance"


@dataclass(frozen=True)
class Job:
    """A periodic job: `lasts` from `at` on, `every` so often (seconds, all three)."""

    every: int
    at: int
    lasts: int
    columns: tuple[str, ...] = ()
    reason: str = "job"


@dataclass(frozen=True)
class Rules:
    """What is to be kept quiet; nothing by default."""

    columns: tuple[str, ...] = ()
    minimal_seconds: int = 0
    maintenance: tuple[Maintenance, ...] = ()
    jobs: tuple[Job, ...] = ()


def read_rules(path: Path | str) -> Rules:
    """Read a rules file.

    Raises
    ------
    NotFoundError
        Where there is no such file.
    ConfigError
        Where it is no TOML, or has a rule that is not known or makes no sense.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError(f"no rules file {str(path)!r}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the rules file {str(path)!r}: {error}") from None
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"rules file {str(path)!r}: {error}", "TOML") from None
    _known(said, ("columns", "minimal_duration", "maintenance", "job"), "rule")
    return Rules(
        columns=_names(said.get("columns", [])),
        minimal_seconds=_seconds(said.get("minimal_duration", "0s"), "minimal_duration"),
        maintenance=tuple(map(_maintenance, _tables(said, "maintenance"))),
        jobs=tuple(map(_job, _tables(said, "job"))),
    )


def suppress(incidents: Iterable[Incident], rules: Rules, *, slide: int) -> list[Incident]:
    """Return the incidents, those that a rule names marked with its reason.

    Parameters
    ----------
    incidents
        In any order.
    rules
        Each incident takes the first that applies: maintenance, job, columns, duration.
    slide
        Seconds from one window to the next.
    """
    marked = []
    for incident in incidents:
        reason = _reason(incident, rules, slide)
        marked.append(incident.suppress(reason) if reason else incident)
    return marked


def suppressed_counts(incidents: Iterable[Incident]) -> dict[str, int]:
    """Return how many incidents each reason kept quiet."""
    return dict(Counter(one.suppressed for one in incidents if one.suppressed))


def _reason(incident: Incident, rules: Rules, slide: int) -> str | None:
    spans = _merged([(_as(incident, m.start), _as(incident, m.end)) for m in rules.maintenance])
    if any(start <= incident.start and incident.end < end for start, end in spans):
        return next(
            m.reason
            for m in rules.maintenance
            if _as(incident, m.start) <= incident.end and incident.start < _as(incident, m.end)
        )
    for job in rules.jobs:
        if _runs_in(incident, job):
            return job.reason
    if rules.columns and set(incident.columns) <= set(rules.columns):
        return "columns"
    if incident.windows * slide < rules.minimal_seconds:
        return "minimal_duration"
    return None


def _merged(spans: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Return the spans without overlaps, by their start."""
    merged: list[tuple[Any, Any]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _runs_in(incident: Incident, job: Job) -> bool:
    if not isinstance(incident.start, pd.Timestamp):
        raise ConfigError(
            "a rule for a periodic job needs times, and the data have none",
            "data with window_start",
            "Leave the job out of the rules, or give the data their times.",
        )
    if job.columns and not set(incident.columns) <= set(job.columns):
        return False
    if incident.kind != "departure" or incident.direction != "more":
        return False
    began = (incident.start - _MONDAY).total_seconds() - job.at
    length = (incident.end - incident.start).total_seconds()
    return bool(began % job.every + length < job.lasts)


def _as(incident: Incident, instant: Any) -> Any:
    """Return a rule's instant in the kind that the data have; complain where it is the other."""
    timed = isinstance(incident.start, pd.Timestamp)
    if timed != isinstance(instant, pd.Timestamp):
        raise ConfigError(
            f"maintenance at {instant}, but the data have {'times' if timed else 'row numbers'}",
            "the same in both",
        )
    return instant


def _maintenance(entry: dict[str, Any]) -> Maintenance:
    _known(entry, ("start", "end", "reason"), "entry of maintenance")
    start, end = (_instant(entry, name) for name in ("start", "end"))
    if isinstance(start, pd.Timestamp) != isinstance(end, pd.Timestamp):
        raise ConfigError(f"maintenance from {start} to {end}", "two times or two row numbers")
    if not start < end:
        raise ConfigError(f"maintenance from {start} to {end}", "a start before its end")
    return Maintenance(start, end, str(entry.get("reason", "maintenance")))


def _job(entry: dict[str, Any]) -> Job:
    _known(entry, ("every", "at", "lasts", "columns", "reason"), "entry of job")
    every, lasts = (_seconds(entry.get(name), f"job's {name}") for name in ("every", "lasts"))
    if not 0 < lasts <= every:
        raise ConfigError(
            f"a job that lasts {entry['lasts']} every {entry['every']}", "0 < lasts <= every"
        )
    at = entry.get("at", "00:00")
    try:
        clock = at if isinstance(at, time) else datetime.strptime(str(at), "%H:%M").time()
    except ValueError:
        raise ConfigError(f"a job at {at!r}", "a time of the day, such as '02:00'") from None
    seconds = clock.hour * 3600 + clock.minute * 60 + clock.second
    return Job(
        every, seconds, lasts, _names(entry.get("columns", [])), str(entry.get("reason", "job"))
    )


def _instant(entry: dict[str, Any], name: str) -> Any:
    value = entry.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, datetime):
        return pd.Timestamp(value if value.tzinfo else value.replace(tzinfo=UTC)).tz_convert("UTC")
    if isinstance(value, date):
        return pd.Timestamp(value, tz="UTC")
    try:
        stamp = pd.Timestamp(str(value))
        return stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    except ValueError:
        raise ConfigError(
            f"maintenance with {name} {value!r}",
            "a time, or a row number",
            "Write 2019-06-01T22:00:00Z.",
        ) from None


def _seconds(value: Any, name: str) -> int:
    match = _DURATION.fullmatch(str(value).strip())
    if match is None:
        raise ConfigError(f"{name} {value!r}", "a number and one of s m h d w, such as '30m'")
    return int(match[1]) * _UNITS[match[2]]


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ConfigError(f"columns {value!r}", "a list of column names")
    return tuple(value)


def _tables(said: dict[str, Any], name: str) -> list[dict[str, Any]]:
    entries = said.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError(f"{name} {entries!r}", f"tables that begin with [[{name}]]")
    return entries


def _known(said: dict[str, Any], names: Sequence[str], what: str) -> None:
    for name in said:
        if name not in names:
            raise ConfigError(f"{what} {name!r} is not known", "", did_you_mean(name, names))
