"""What is to be made of the logs, and what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from mods.dataset.direction import Hosts
from mods.dataset.filters import Rules
from mods.dataset.hadoop import LogFile
from mods.dataset.protocols import PROTOCOLS, Protocol
from mods.dataset.records import Reject
from mods.timerange import TimeRange, Window

__all__ = ["MOST_REJECTS", "Counts", "DaysTouched", "Plan"]

#: The days, counted from the epoch, that the records of each log touch.
DaysTouched = dict[LogFile, set[int]]
#: Rejected lines that are kept of one run; all are counted.
MOST_REJECTS = 100_000
#: What is read of a protocol that was not asked for: its records still say when the sensor
#: was observing.
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
    rules: Rules | None = None

    @property
    def wanted(self) -> dict[str, tuple[str, ...]]:
        """The fields to read of each protocol."""
        more: tuple[str, ...] = ("local_orig", "local_resp") if self.own_fields else ()
        more += self.rules.fields if self.rules is not None else ()
        bare = dict.fromkeys(PROTOCOLS, _BARE)
        return bare | {p.name: tuple(dict.fromkeys((*p.fields, *more))) for p in self.protocols}

    @property
    def hidden_sets(self) -> list[Hosts]:
        """The sets of hosts with networks that no pattern shows."""
        rules = self.rules.host_sets if self.rules is not None else ()
        return [hosts for hosts in (self.hosts, *rules) if hosts.hidden]

    def hidden(self, hosts: Iterable[str]) -> dict[Hosts, list[str]]:
        """Return which of some distinct IPv6 hosts lie in each of `hidden_sets`."""
        chosen = list(hosts)
        return {s: [host for host in chosen if s.contains(host)] for s in self.hidden_sets}


@dataclass
class Counts:
    """What became of the logs, for the summary.

    `rows` and the others count by protocol; `damaged` has files, their damage and the rows saved;
    `others` are files that proved to be no logs, and why.
    """

    files: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    rejects: Counter[str] = field(default_factory=Counter)
    out_of_range: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    outside: Counter[str] = field(default_factory=Counter)
    damaged: list[tuple[LogFile, str, int]] = field(default_factory=list)
    lacking: dict[tuple[str, str], LogFile] = field(default_factory=dict)
    others: list[tuple[LogFile, str]] = field(default_factory=list)
    kept_rejects: list[tuple[LogFile, Reject]] = field(default_factory=list)
