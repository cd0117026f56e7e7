"""Drawing a day's connections: when, between whom, and how each one went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mods.dataset.simulate.services import DRAWS, SERVICES, STATES, state_draws
from mods.dataset.simulate.site import Pool
from mods.dataset.simulate.streams import DIRECTIONS, Stream

__all__ = ["DAY", "MINUTE", "Flows", "draw_flows"]

MINUTE = 60_000_000  # microseconds
DAY = 1440 * MINUTE

_SERVICE_NAMES = tuple(SERVICES)
_STATE_DRAWS = np.stack([state_draws(service) for service in SERVICES.values()])
_KINDS = list(SERVICES.values())
_SECONDS = np.array([kind.seconds for kind in _KINDS])
_ORIG = np.array([kind.orig for kind in _KINDS])
_RESP = np.array([kind.resp for kind in _KINDS])
_PORT = np.array([kind.port for kind in _KINDS])
_IS_ICMP = np.array([kind.proto == "icmp" for kind in _KINDS])
_IS_TCP = np.array([kind.proto == "tcp" for kind in _KINDS])
_ANSWERED = np.array([state not in ("S0", "REJ", "RSTOS0") for state in STATES])

# Ports that scanners try, the first ones most often.
_SCANNED = np.array(
    [23, 22, 445, 3389, 80, 8080, 2323, 5555, 1433, 3306, 6379, 8443, 21, 5900, 9200, 27017]
)
_LONGEST = 6 * 3600.0  # seconds; a connection that lasts longer is cut there
_LARGEST = 2e11  # bytes


@dataclass(frozen=True)
class Flows:
    """Connections in the order of time, one array a property, each `(flows,)`.

    `ts` in microseconds since the epoch; `stream` the row in the streams they
    were drawn from; `kind` the row in `SERVICES`; `orig` and `resp` rows in
    `Site.addresses`; `state` a code of `STATES`; `seconds`, `orig_bytes` and
    `resp_bytes` are NaN or -1 where Zeek leaves them unset; `answered` tells
    whether both sides spoke.
    """

    ts: NDArray[np.int64]
    stream: NDArray[np.int64]
    kind: NDArray[np.int64]
    orig: NDArray[np.int64]
    resp: NDArray[np.int64]
    orig_port: NDArray[np.int64]
    resp_port: NDArray[np.int64]
    state: NDArray[np.uint8]
    answered: NDArray[np.bool_]
    seconds: NDArray[np.float64]
    orig_bytes: NDArray[np.int64]
    resp_bytes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ts)


def draw_flows(
    rng: Generator,
    streams: Sequence[Stream],
    ts: NDArray[np.int64],
    stream: NDArray[np.int64],
    refused: NDArray[np.bool_],
) -> Flows:
    """Draw everything about connections of which the times and streams are known.

    Parameters
    ----------
    rng
        Where chance comes from.
    streams
        The streams.
    ts
        `(flows,)`, microseconds since the epoch, in any order.
    stream
        `(flows,)`, row in `streams`.
    refused
        `(flows,)`: whether the service is down and nothing answers.
    """
    order = np.argsort(ts, kind="stable")
    ts, stream, refused = ts[order], stream[order], refused[order]
    count = len(ts)
    kind = np.array([_SERVICE_NAMES.index(s.service) for s in streams], dtype=np.int64)[stream]
    v6 = rng.random(count) < np.array([s.v6 for s in streams])[stream]
    orig = _hosts(rng, [s.orig for s in streams], stream, v6)
    resp = _hosts(rng, [s.resp for s in streams], stream, v6)
    state = _STATE_DRAWS[kind, rng.integers(DRAWS, size=count)]
    state = np.where(refused, _unanswered(rng, _IS_TCP[kind]), state).astype(np.uint8)
    answered = _ANSWERED[state]
    seconds = _lognormal(rng, _SECONDS, kind)
    weight = np.array([s.weight for s in streams])[stream]
    # A longer connection tends to carry more: part of the sizes' spread is shared.
    shared = rng.standard_normal(count)
    orig_bytes = _lognormal(rng, _ORIG, kind, shared) * weight
    resp_bytes = _lognormal(rng, _RESP, kind, shared)
    seconds, orig_seen, resp_seen = _as_seen(state, seconds, orig_bytes, resp_bytes)
    ports = _ports(rng, kind)
    return Flows(
        ts, stream, kind, orig, resp, *ports, state, answered, seconds, orig_seen, resp_seen
    )


def _hosts(
    rng: Generator, pools: list[Pool], stream: NDArray[np.int64], v6: NDArray[np.bool_]
) -> NDArray[np.int64]:
    first = np.array([[p.first, p.first_v6] for p in pools])
    size = np.array([[p.size, p.size_v6] for p in pools])
    skew = np.array([p.skew for p in pools])
    which = v6.astype(np.int64)
    place = rng.random(len(stream)) ** skew[stream]
    chosen: NDArray[np.int64] = first[stream, which] + (size[stream, which] * place).astype(int)
    return chosen


def _unanswered(rng: Generator, tcp: NDArray[np.bool_]) -> NDArray[np.uint8]:
    silent, refused = STATES.index("S0"), STATES.index("REJ")
    return np.where(tcp & (rng.random(len(tcp)) < 0.7), refused, silent).astype(np.uint8)


def _lognormal(
    rng: Generator,
    parameters: NDArray[np.float64],
    kind: NDArray[np.int64],
    shared: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    normal = rng.standard_normal(len(kind), dtype=np.float32)
    if shared is not None:
        normal = 0.6 * shared + 0.8 * normal
    values: NDArray[np.float64] = parameters[kind, 0] * np.exp(parameters[kind, 1] * normal)
    return values


def _as_seen(
    state: NDArray[np.uint8],
    seconds: NDArray[np.float64],
    orig_bytes: NDArray[np.float64],
    resp_bytes: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return duration and bytes as Zeek logs them in each state; NaN and -1 are unset."""
    answered = _ANSWERED[state]
    silent = state == STATES.index("S0")
    seconds = np.where(answered, np.minimum(seconds, _LONGEST), seconds % 0.2)
    seconds = np.where(silent, np.nan, np.maximum(np.round(seconds, 6), 1e-6))
    sizes = [
        np.where(silent, -1, np.where(answered, np.minimum(size, _LARGEST), 0)).astype(np.int64)
        for size in (orig_bytes, resp_bytes)
    ]
    return seconds, sizes[0], sizes[1]


def _ports(rng: Generator, kind: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    count = len(kind)
    icmp = _IS_ICMP[kind]
    orig = np.where(icmp, 8, rng.integers(32768, 61000, size=count))
    orig = np.where(_PORT[kind] == 123, 123, orig)
    own = rng.random(count)
    scanned = np.where(
        own < 0.8,
        _SCANNED[(len(_SCANNED) * (own / 0.8) ** 1.7).astype(int) % len(_SCANNED)],
        rng.integers(1, 65536, size=count),
    )
    return orig, np.where((_PORT[kind] == 0) & ~icmp, scanned, _PORT[kind])


def direction_codes(streams: Sequence[Stream]) -> NDArray[np.int64]:
    """Return each stream's direction as its place in `DIRECTIONS`: `(streams,)`."""
    return np.array([DIRECTIONS.index(stream.direction) for stream in streams])
