"""Incidents: when they happen, what they do to the traffic, and the labels that say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mods.dataset.simulate.flows import DAY, MINUTE
from mods.dataset.simulate.services import SERVICES, mean_bytes
from mods.dataset.simulate.site import Pool
from mods.dataset.simulate.streams import Stream

if TYPE_CHECKING:
    from mods.dataset.simulate.network import Network

__all__ = ["KINDS", "Effect", "SimulatedIncident", "apply_effects", "plan_incidents"]


@dataclass(frozen=True)
class SimulatedIncident:
    """The label of an incident.

    Attributes
    ----------
    start, end
        Microseconds since the epoch, half-open.
    kind
        One of `KINDS`.
    columns
        What it touches, the most first, as in a selection query: `conn|in_count_uid;ssh|in`.
    direction
        `in`, `out`, `internal` or `all`.
    host
        The address most concerned, `-` where there is none.
    strength
        How far the first column departs during the incident, as a share of its usual level:
        1 doubles it.  For what fades or fails, the share of that service that is lost.
    text
        A sentence.
    """

    start: int
    end: int
    kind: str
    columns: str
    direction: str
    host: str
    strength: float
    text: str


@dataclass(frozen=True)
class Effect:
    """What an incident does: connections that it adds, or what happens to those there are.

    Attributes
    ----------
    incident
        Its label.
    added
        The stream that its connections belong to, None where it adds none.
    times
        When these are, microseconds since the epoch, sorted: `(connections,)`.
    touched
        Names of the streams whose connections are lost or refused.
    lost
        Share of them that is lost at the start and at the end; linear in between.
    refused
        Share of them that gets no answer.
    silent
        Whether no log sees anything.
    """

    incident: SimulatedIncident
    added: Stream | None = None
    times: NDArray[np.int64] | None = None
    touched: frozenset[str] = frozenset()
    lost: tuple[float, float] = (0.0, 0.0)
    refused: float = 0.0
    silent: bool = False


@dataclass(frozen=True)
class _Spec:
    """Strength and minutes of a kind, each a range, gross and subtle."""

    gross: tuple[float, float]
    subtle: tuple[float, float]
    gross_minutes: tuple[float, float]
    subtle_minutes: tuple[float, float]


_SPECS = {
    "scan": _Spec((2, 10), (0.5, 1.5), (10, 60), (20, 90)),
    "slow_scan": _Spec((0.5, 1.0), (0.12, 0.4), (360, 1200), (360, 1200)),
    "flood": _Spec((5, 30), (0.8, 3), (10, 90), (10, 90)),
    "brute_force": _Spec((5, 30), (0.6, 2.5), (20, 120), (120, 600)),
    "exfiltration": _Spec((5, 40), (0.6, 3), (20, 120), (120, 720)),
    "beaconing": _Spec((0.3, 0.8), (0.06, 0.25), (360, 1440), (360, 1440)),
    "fade": _Spec((0.9, 1.0), (0.4, 0.7), (240, 1440), (240, 1440)),
    "service_outage": _Spec((1.0, 1.0), (0.4, 0.7), (20, 180), (20, 180)),
    "sensor_outage": _Spec((1.0, 1.0), (1.0, 1.0), (30, 240), (10, 30)),
}

#: The kinds of incidents.
KINDS = tuple(_SPECS)

_PER_DAY = 0.5  # incidents
_QUIET = 0.25  # share of the time before the first one may happen
_LONGEST = 0.8  # of the time between one incident's turn and the next

# service that may fade or fail: pool of its hosts, columns when it fades, columns when it fails
_FAILING = {
    "web server": (
        "web",
        "http|in;ssl|in;conn|in_count_uid|in_sum_resp_bytes",
        "http|in;ssl|in;conn|in_sum_resp_bytes",
    ),
    "name server": (
        "authoritative",
        "dns|in_count_uid|in_distinct_query;conn|in_count_uid",
        "dns|in_AA_true;conn|in_sum_resp_bytes",
    ),
    "mail server": (
        "mail",
        "conn|in_sum_orig_bytes|in_count_uid;ssl|in",
        "conn|in_sum_orig_bytes;ssl|in",
    ),
}


def plan_incidents(network: Network, days: int, kinds: Sequence[str]) -> tuple[Effect, ...]:
    """Draw the incidents of the first `days` days of a network, in the order of time.

    They do not overlap, and the first quarter of the time has none.  The kinds
    take turns, so that each has its share; about every other day has one.
    """
    if not kinds:
        return ()
    rng = np.random.default_rng([network.seed, 3])
    count = max(1, round(days * _PER_DAY))
    order = [str(kind) for _ in range(-(-count // len(kinds))) for kind in rng.permutation(kinds)]
    turn = days * DAY * (1 - _QUIET) / count
    begin = network.midnight(0) + int(days * DAY * _QUIET)
    effects = []
    for number, kind in enumerate(order[:count]):
        spec = _SPECS[kind]
        subtle = bool(rng.random() < 0.5)
        minutes = rng.uniform(*(spec.subtle_minutes if subtle else spec.gross_minutes))
        length = int(min(minutes * MINUTE, turn * _LONGEST))
        strength = float(np.exp(rng.uniform(*np.log(spec.subtle if subtle else spec.gross))))
        start = begin + int(number * turn + rng.random() * (turn - length))
        start -= start % 1_000_000  # labels tell whole seconds
        end = start + max(length - length % 1_000_000, 1_000_000)
        effects.append(_Maker(network, rng, kind, start, end, round(strength, 2)).effect())
    return tuple(effects)


@dataclass(frozen=True)
class _Maker:
    """Makes one incident's effect."""

    network: Network
    rng: Generator
    kind: str
    start: int
    end: int
    strength: float

    def effect(self) -> Effect:
        makers = {
            "scan": self._scan,
            "slow_scan": self._scan,
            "flood": self._flood,
            "brute_force": self._brute_force,
            "exfiltration": self._exfiltration,
            "beaconing": self._beaconing,
            "fade": self._failing,
            "service_outage": self._failing,
            "sensor_outage": self._sensor_outage,
        }
        return makers[self.kind]()

    def _scan(self) -> Effect:
        inside = self.rng.random() < 0.3
        direction = "internal" if inside else "in"
        source = self._host("clients" if inside else "bots")
        stream = self._stream("probe", direction, source, self.network.site.pools["everything"])
        pace = "slowly " if self.kind == "slow_scan" else ""
        return self._added(
            stream,
            self._relative_times(direction),
            f"conn|{direction}_count_uid",
            self._address(source.first),
            f"{self._address(source.first)} {pace}scans the site's hosts and ports",
        )

    def _flood(self) -> Effect:
        target = self._host("web")
        pool = self.network.site.pools["bots"]
        address = self._address(target.first)
        return self._added(
            self._stream("syn_flood", "in", pool, target),
            self._relative_times("in"),
            "conn|in_count_uid",
            address,
            f"many outside hosts flood {address} with connections that never open",
        )

    def _brute_force(self) -> Effect:
        source, target = self._host("bots"), self._host("logins")
        return self._added(
            self._stream("ssh_probe", "in", source, target),
            self._relative_times("in", "ssh"),
            "ssh|in;conn|in_count_uid",
            self._address(source.first),
            f"{self._address(source.first)} guesses passwords of {self._address(target.first)}",
        )

    def _exfiltration(self) -> Effect:
        if self.rng.random() < 0.3:
            return self._tunnel()
        source, target = self._host("files"), self._host("bots")
        flows = int(self.rng.integers(6, 60))
        wanted = self.strength * self.network.usual("out", self.start, self.end, sized=True)
        weight = wanted / (flows * mean_bytes(SERVICES["upload"]))
        return self._added(
            self._stream("upload", "out", source, target, weight=weight),
            self._uniform_times(flows),
            "conn|out_sum_orig_bytes",
            self._address(source.first),
            f"{self._address(source.first)} sends about {wanted / 1e6:.0f} MB "
            f"to {self._address(target.first)}",
        )

    def _tunnel(self) -> Effect:
        source, target = self._host("clients"), self._host("name_servers")
        return self._added(
            self._stream("dns", "out", source, target, names="tunnel"),
            self._relative_times("out", "dns"),
            "dns|out_count_uid|out_distinct_query",
            self._address(source.first),
            f"{self._address(source.first)} sends data out in the names that it asks for",
        )

    def _beaconing(self) -> Effect:
        source, target = self._host("clients"), self._host("bots")
        flows = max(2, round(self.strength * self.network.usual("out", self.start, self.end)))
        period = (self.end - self.start) / flows
        jitter = self.rng.uniform(-0.05, 0.05, flows) * period
        times = self.start + ((np.arange(flows) + 0.5) * period + jitter).astype(np.int64)
        address = self._address(source.first)
        return self._added(
            self._stream("beacon", "out", source, target),
            times,
            "conn|out_count_uid;ssl|out",
            address,
            f"{address} calls {self._address(target.first)} every {period / 1e6:.0f} s",
        )

    def _failing(self) -> Effect:
        name = str(self.rng.choice(list(_FAILING)))
        pool_name, fading, failing = _FAILING[name]
        pool = self.network.site.pools[pool_name]
        touched = frozenset(s.name for s in self.network.streams if s.resp == pool)
        address = self._address(pool.first)
        if self.kind == "fade":
            text = f"the {name} {address} fades until {self.strength:.0%} of its traffic is gone"
            label = self._label(fading, "in", address, text)
            return Effect(label, touched=touched, lost=(0.0, self.strength))
        text = f"the {name} {address} answers {1 - self.strength:.0%} of its clients"
        label = self._label(failing, "in", address, text)
        return Effect(label, touched=touched, refused=self.strength)

    def _sensor_outage(self) -> Effect:
        return Effect(self._label("all", "all", "-", "the sensor writes no logs"), silent=True)

    def _added(
        self, stream: Stream, times: NDArray[np.int64], columns: str, host: str, text: str
    ) -> Effect:
        label = self._label(columns, stream.direction, host, text)
        return Effect(label, added=stream, times=times)

    def _label(self, columns: str, direction: str, host: str, text: str) -> SimulatedIncident:
        return SimulatedIncident(
            self.start, self.end, self.kind, columns, direction, host, self.strength, text
        )

    def _host(self, pool: str) -> Pool:
        known = self.network.site.pools[pool]
        return Pool(known.first + int(self.rng.integers(known.size)), 1)

    def _address(self, row: int) -> str:
        return str(self.network.site.addresses[row])

    def _stream(
        self,
        service: str,
        direction: str,
        orig: Pool,
        resp: Pool,
        *,
        names: str = "site",
        weight: float = 1.0,
    ) -> Stream:
        return Stream(self.kind, service, direction, orig, resp, 0.0, names=names, weight=weight)

    def _relative_times(self, direction: str, log: str = "") -> NDArray[np.int64]:
        usual = self.network.usual(direction, self.start, self.end, log=log)
        return self._uniform_times(max(5, round(self.strength * usual)))

    def _uniform_times(self, count: int) -> NDArray[np.int64]:
        return np.sort(self.rng.integers(self.start, self.end, size=count))


def apply_effects(
    rng: Generator,
    streams: Sequence[Stream],
    effects: Sequence[Effect],
    ts: NDArray[np.int64],
    stream: NDArray[np.int64],
    within: tuple[int, int],
) -> tuple[list[Stream], NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Add, lose and refuse connections as the incidents do.

    Parameters
    ----------
    rng
        Where chance comes from.
    streams
        The usual streams.
    effects
        The incidents that touch the time.
    ts, stream
        `(connections,)`: times in microseconds, and rows in `streams`.
    within
        Start and end of the time, microseconds since the epoch.

    Returns
    -------
    tuple
        The streams with those that were added, and for each connection its time,
        its stream, and whether it is refused.
    """
    extended = list(streams)
    refused = np.zeros(len(ts), bool)
    for effect in effects:
        if effect.silent or effect.touched:
            lost, unanswered = _losses(rng, streams, effect, ts, stream)
            refused |= unanswered
            ts, stream, refused = ts[~lost], stream[~lost], refused[~lost]
    for effect in effects:
        if effect.added is not None and effect.times is not None:
            first, last = np.searchsorted(effect.times, within)
            own = effect.times[first:last]
            ts = np.concatenate([ts, own])
            stream = np.concatenate([stream, np.full(len(own), len(extended))])
            refused = np.concatenate([refused, np.zeros(len(own), bool)])
            extended.append(effect.added)
    return extended, ts, stream, refused


def _losses(
    rng: Generator,
    streams: Sequence[Stream],
    effect: Effect,
    ts: NDArray[np.int64],
    stream: NDArray[np.int64],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which connections are lost, and which of the others are refused."""
    start, end = effect.incident.start, effect.incident.end
    inside = (ts >= start) & (ts < end)
    if effect.silent:
        return inside, np.zeros(len(ts), bool)
    touched = np.array([s.name in effect.touched for s in streams])
    inside &= touched[stream]
    progress = (ts - start) / (end - start)
    share = effect.lost[0] + (effect.lost[1] - effect.lost[0]) * progress
    lost = inside & (rng.random(len(ts)) < share)
    return lost, inside & ~lost & (rng.random(len(ts)) < effect.refused)
