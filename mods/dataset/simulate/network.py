"""A simulated network: its traffic, one day at a time, as record tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import numpy as np
import polars as pl
from numpy.random import Generator
from numpy.typing import NDArray

from mods.dataset.simulate.conn import conn_records
from mods.dataset.simulate.dns import dns_records
from mods.dataset.simulate.flows import DAY, MINUTE, Flows, draw_flows
from mods.dataset.simulate.http import http_records
from mods.dataset.simulate.incidents import Effect, SimulatedIncident, apply_effects, plan_incidents
from mods.dataset.simulate.names import Names
from mods.dataset.simulate.rhythm import MINUTES, Job, rhythm, wander
from mods.dataset.simulate.schemas import PROTOCOLS
from mods.dataset.simulate.services import mean_bytes
from mods.dataset.simulate.sip import sip_records
from mods.dataset.simulate.site import Site
from mods.dataset.simulate.spread import Spread, spread
from mods.dataset.simulate.ssh import ssh_records
from mods.dataset.simulate.ssl import ssl_records
from mods.dataset.simulate.streams import Stream, site_streams

__all__ = ["Network"]

_SLOT = 10  # minutes over which a burst lasts
_PART = 300_000  # records made at a time, about
_PART_HOURS = (1, 2, 3, 4, 6, 8, 12, 24)
_EPOCH = date(1970, 1, 1)

Array = NDArray[np.float64]


class Network:
    """A network with its hosts, habits and incidents, drawn by a seed.

    Parameters
    ----------
    start
        The first day (UTC).
    seed
        What everything is drawn from; another seed is another network.
    rate
        Records a day over all logs, in the mean over a week, before growth and incidents.

    Examples
    --------
    >>> from datetime import date
    >>> records = Network(date(2024, 3, 4), seed=1, rate=2000).records(0)
    >>> records["ssh"].columns[:3]
    ['ts', 'uid', 'id.orig_h']
    """

    def __init__(self, start: date, *, seed: int = 0, rate: float = 80_000) -> None:
        self.start = start
        self.seed = seed
        self.rate = rate
        scale = min(max(rate / 100_000, 0.05), 8.0)
        self.site = Site(scale)
        self.names = Names.of(self.site, seed, scale)
        self.streams, self.start_of_work = site_streams(self.site, seed, rate)
        self.effects: tuple[Effect, ...] = ()

    def midnight(self, day: int) -> int:
        """Return when a day of the simulation begins, microseconds since the epoch."""
        return ((self.start - _EPOCH).days + day) * DAY

    def plan(self, days: int, kinds: Sequence[str]) -> None:
        """Draw the incidents of the first `days` days; `kinds` from `incidents.KINDS`."""
        self.effects = plan_incidents(self, days, kinds)

    @property
    def incidents(self) -> list[SimulatedIncident]:
        """The labels, in the order of time."""
        return [effect.incident for effect in self.effects]

    def usual_rates(self, day: int) -> Array:
        """Return connections a minute as expected without noise: `(streams, 1440)`."""
        first = self.midnight(day) // MINUTE
        minutes = np.arange(first, first + MINUTES)
        weekday = (self.start.weekday() + day) % 7
        habits = {
            kind: rhythm(kind, weekday, self.start_of_work)
            for kind in {s.rhythm for s in self.streams if isinstance(s.rhythm, str)}
        }
        curves = [
            habits[s.rhythm] if isinstance(s.rhythm, str) else s.rhythm.curve(minutes)
            for s in self.streams
        ]
        flows = [s.flows / MINUTES * np.exp(s.growth * day) for s in self.streams]
        rates: Array = np.array(curves) * np.array(flows)[:, None]
        return rates

    def usual(
        self, direction: str, start: int, end: int, *, log: str = "", sized: bool = False
    ) -> float:
        """Return how many connections are usual in a time, or the bytes that they send.

        Parameters
        ----------
        direction
            `in`, `out` or `internal`.
        start, end
            Microseconds since the epoch.
        log
            Only connections that get records in this log.
        sized
            Count the originators' bytes instead of connections.
        """
        chosen = [s.direction == direction and log in ("", s.kind.log) for s in self.streams]
        sizes = np.array([mean_bytes(s.kind) if sized else 1.0 for s in self.streams])
        total = 0.0
        for day in range(
            (start - self.midnight(0)) // DAY, (end - 1 - self.midnight(0)) // DAY + 1
        ):
            first = self.midnight(day) + np.arange(MINUTES) * MINUTE
            inside = (np.minimum(first + MINUTE, end) - np.maximum(first, start)).clip(0) / MINUTE
            total += float((self.usual_rates(day) @ inside * sizes)[chosen].sum())
        return total

    def records(self, day: int) -> dict[str, pl.DataFrame]:
        """Return the record tables of one day (0 is the first), by protocol, sorted by `ts`."""
        parts = list(self.parts(day))
        return {name: pl.concat([part[name] for part in parts]) for name in PROTOCOLS}

    def parts(self, day: int) -> Iterator[dict[str, pl.DataFrame]]:
        """Yield the records of one day in one or several parts, so that memory stays bounded."""
        rates = self.usual_rates(day) * _wandering(self.streams, self.seed, day)
        # A part is whole hours, so that an hour's log comes from one part.
        hours = max(h for h in _PART_HOURS if h * self.rate <= 24 * _PART or h == 1)
        for hour in range(0, 24, hours):
            rng = np.random.default_rng([self.seed, 10, day, hour])
            yield self._part(rng, rates, self.midnight(day), 60 * hour, 60 * (hour + hours))

    def _part(
        self, rng: Generator, rates: Array, midnight: int, first: int, last: int
    ) -> dict[str, pl.DataFrame]:
        """Return the records of the minutes from `first` to `last` of a day."""
        start, end = midnight + first * MINUTE, midnight + last * MINUTE
        rates = rates[:, first:last] * _bursts(rng, self.streams, last - first)
        ts, stream = _times(rng, self.streams, rates, start)
        effects = [e for e in self.effects if e.incident.start < end and e.incident.end > start]
        streams, ts, stream, refused = apply_effects(
            rng, self.streams, effects, ts, stream, (start, end)
        )
        flows = draw_flows(rng, streams, ts, stream, refused)
        conn = conn_records(rng, self.site, streams, flows)
        tables = {"conn": conn}
        for protocol in PROTOCOLS[1:]:
            own = spread(rng, protocol, conn, flows, end)
            tables[protocol] = self._log(rng, protocol, streams, flows, own)
        return {name: _seen(table, effects) for name, table in tables.items()}

    def _log(
        self, rng: Generator, protocol: str, streams: Sequence[Stream], flows: Flows, own: Spread
    ) -> pl.DataFrame:
        if protocol == "ssh":
            return ssh_records(rng, streams, flows, own)
        if protocol == "sip":
            return sip_records(rng, streams, flows, own)
        named = {"dns": dns_records, "http": http_records, "ssl": ssl_records}
        return named[protocol](rng, self.names, streams, flows, own)


def _times(
    rng: Generator, streams: Sequence[Stream], rates: Array, start: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw when connections begin and of which stream each is."""
    counts = rng.poisson(rates)
    place = np.repeat(np.arange(counts.size), counts.ravel())
    stream, minute = np.divmod(place, rates.shape[1])
    # Jobs begin at full minutes: most of their connections come early in one.
    job = np.array([isinstance(s.rhythm, Job) for s in streams])[stream]
    part = rng.random(len(place))
    part = np.where(job, part**2, part)
    ts: NDArray[np.int64] = start + minute * MINUTE + (part * MINUTE).astype(np.int64)
    return ts, stream


def _seen(table: pl.DataFrame, effects: Sequence[Effect]) -> pl.DataFrame:
    """Leave out what falls into a time in which the sensor was silent."""
    for effect in effects:
        if effect.silent:
            ts = pl.col("ts").dt.epoch("us")
            table = table.filter((ts < effect.incident.start) | (ts >= effect.incident.end))
    return table


def _wandering(streams: Sequence[Stream], seed: int, day: int) -> NDArray[np.float64]:
    sigma = np.array([s.wander for s in streams])[:, None]
    factors: NDArray[np.float64] = np.exp(sigma * wander(seed, day, len(streams)) - sigma**2 / 2)
    return factors


def _bursts(rng: Generator, streams: Sequence[Stream], minutes: int) -> Array:
    burst = np.maximum([s.burst for s in streams], 1e-6)[:, None]
    slots = rng.gamma(1 / burst, burst, (len(streams), minutes // _SLOT))
    return np.repeat(slots, _SLOT, axis=1)
