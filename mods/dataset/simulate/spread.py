"""From connections to the records of a protocol's log: one or several a connection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.random import Generator
from numpy.typing import NDArray

from mods.dataset.simulate.conn import pick
from mods.dataset.simulate.flows import Flows
from mods.dataset.simulate.schemas import FIELDS, PROTOCOLS
from mods.dataset.simulate.services import SERVICES

__all__ = ["Spread", "spread"]

_KINDS = list(SERVICES.values())
_RECORDS = np.array([kind.records for kind in _KINDS])
_UDP = np.array([kind.proto == "udp" for kind in _KINDS])
_LOGGED = {name: np.array([kind.log == name for kind in _KINDS]) for name in PROTOCOLS}
_SHARED = ("proto", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p")


@dataclass(frozen=True)
class Spread:
    """The records of one log, in the order of time.

    Attributes
    ----------
    conn
        The connection log.
    flow
        Row in `conn` (and in the day's flows) of each record: `(records,)`.
    depth
        Number of the record in its connection, from 1: `(records,)`.
    ts
        Microseconds since the epoch: `(records,)`.
    seconds
        The connection's duration, 0 where there is none: `(records,)`.
    """

    conn: pl.DataFrame
    flow: NDArray[np.int64]
    depth: NDArray[np.int64]
    ts: NDArray[np.int64]
    seconds: NDArray[np.float64]

    def connection(self, protocol: str) -> dict[str, pl.Series]:
        """Return time, uid, hosts and ports, and what else a log takes from the connection."""
        taken = [name for name, _ in FIELDS[protocol] if name in _SHARED]
        columns = {name: pick(self.conn[name], self.flow) for name in taken}
        columns["ts"] = pl.Series(self.ts).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        return columns

    def share_of_duration(self, rng: Generator) -> NDArray[np.float64]:
        """Return seconds from a request to its answer, a part of the connection's duration."""
        part = self.seconds * (0.2 + 0.7 * rng.random(len(self.flow)))
        return np.maximum(np.round(part, 6), 1e-6)


def spread(rng: Generator, protocol: str, conn: pl.DataFrame, flows: Flows, end: int) -> Spread:
    """Draw the records of a protocol's log from the day's connections.

    A connection of which nothing was answered leaves no record, but for
    questions over UDP (DNS, SIP), which are one.  Times lie in the connection,
    before `end`.
    """
    kinds = _LOGGED[protocol][flows.kind]
    rows = np.flatnonzero(kinds & (flows.answered | _UDP[flows.kind]))
    count = 1 + rng.poisson(_RECORDS[flows.kind[rows]] - 1)
    flow = np.repeat(rows, count)
    depth = np.arange(len(flow)) - np.repeat(np.cumsum(count) - count, count) + 1
    seconds = np.nan_to_num(flows.seconds[flow])
    offset = seconds * (depth - 1 + 0.5 * rng.random(len(flow))) / np.repeat(count, count)
    ts = np.minimum(flows.ts[flow] + (offset * 1e6).astype(np.int64), end - 1)
    order = np.argsort(ts, kind="stable")
    return Spread(conn, flow[order], depth[order], ts[order], seconds[order])
