"""A simulated network: its traffic, one day at a time, as record tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import polars as pl
from numpy.random import Generator
from numpy.typing import NDArray

from mods.dataset.simulate.conn import conn_records
from mods.dataset.simulate.dns import dns_records
from mods.dataset.simulate.flows import DAY, MINUTE, draw_flows
from mods.dataset.simulate.names import Names
from mods.dataset.simulate.rhythm import MINUTES, Job, rhythm, wander
from mods.dataset.simulate.site import Site
from mods.dataset.simulate.spread import spread
from mods.dataset.simulate.ssh import ssh_records
from mods.dataset.simulate.streams import Stream, site_streams

__all__ = ["Network"]

_SLOT = 10  # minutes over which a burst lasts
_EPOCH = date(1970, 1, 1)


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

    def midnight(self, day: int) -> int:
        """Return when a day of the simulation begins, microseconds since the epoch."""
        return ((self.start - _EPOCH).days + day) * DAY

    def usual_rates(self, day: int) -> NDArray[np.float64]:
        """Return connections a minute as expected without noise: `(streams, 1440)`."""
        first = self.midnight(day) // MINUTE
        minutes = np.arange(first, first + MINUTES)
        weekday = (self.start.weekday() + day) % 7
        curves = []
        for stream in self.streams:
            if isinstance(stream.rhythm, Job):
                curve = stream.rhythm.curve(minutes)
            else:
                curve = rhythm(stream.rhythm, weekday, self.start_of_work)
            curves.append(curve * (stream.flows / MINUTES * np.exp(stream.growth * day)))
        return np.array(curves)

    def records(self, day: int) -> dict[str, pl.DataFrame]:
        """Return the record tables of one day (0 is the first), by protocol, sorted by `ts`."""
        rng = np.random.default_rng([self.seed, 10, day])
        ts, stream = self._times(rng, day)
        flows = draw_flows(rng, self.streams, ts, stream)
        conn = conn_records(rng, self.site, self.streams, flows)
        end = self.midnight(day + 1)
        dns = spread(rng, "dns", conn, flows, end)
        ssh = spread(rng, "ssh", conn, flows, end)
        return {
            "conn": conn,
            "dns": dns_records(rng, self.names, self.streams, flows, dns),
            "ssh": ssh_records(rng, self.streams, flows, ssh),
        }

    def _times(self, rng: Generator, day: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        rates = self.usual_rates(day) * self._noise(rng, day)
        counts = rng.poisson(rates)
        place = np.repeat(np.arange(counts.size), counts.ravel())
        stream, minute = np.divmod(place, MINUTES)
        # Jobs begin at full minutes: most of their connections come early in one.
        job = np.array([isinstance(s.rhythm, Job) for s in self.streams])[stream]
        part = rng.random(len(place))
        part = np.where(job, part**2, part)
        ts = self.midnight(day) + minute * MINUTE + (part * MINUTE).astype(np.int64)
        return ts, stream

    def _noise(self, rng: Generator, day: int) -> NDArray[np.float64]:
        """Return factors around 1: slow wandering, and bursts of a slot."""
        return _wandering(self.streams, self.seed, day) * _bursts(rng, self.streams)


def _wandering(streams: Sequence[Stream], seed: int, day: int) -> NDArray[np.float64]:
    sigma = np.array([s.wander for s in streams])[:, None]
    factors: NDArray[np.float64] = np.exp(sigma * wander(seed, day, len(streams)) - sigma**2 / 2)
    return factors


def _bursts(rng: Generator, streams: Sequence[Stream]) -> NDArray[np.float64]:
    burst = np.maximum([s.burst for s in streams], 1e-6)[:, None]
    slots = rng.gamma(1 / burst, burst, (len(streams), MINUTES // _SLOT))
    return np.repeat(slots, _SLOT, axis=1)
