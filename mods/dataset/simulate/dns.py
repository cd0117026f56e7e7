"""The DNS log: one or two questions a connection, with repeating names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.random import Generator
from numpy.typing import NDArray

from mods.dataset.simulate.conn import complete, pick, random_text
from mods.dataset.simulate.flows import Flows
from mods.dataset.simulate.names import GROUPS, Names
from mods.dataset.simulate.spread import Spread
from mods.dataset.simulate.streams import DIRECTIONS, Stream

__all__ = ["dns_records"]

# type name and number, and share among questions for names of the web and the site
_TYPES = (("A", 1), ("AAAA", 28), ("HTTPS", 65), ("MX", 15), ("TXT", 16), ("PTR", 12))
_SHARES = np.cumsum([0.62, 0.22, 0.1, 0.03, 0.03])
_TYPE_NAME = pl.Series([name for name, _ in _TYPES])
_TYPE_NUMBER = pl.Series([number for _, number in _TYPES])
_PTR = 5
_CODES = pl.Series(["NOERROR", "SERVFAIL", "NXDOMAIN", "REFUSED"])
_CODE_NUMBERS = pl.Series([0, 2, 3, 5])
_REFUSED = 3
_TUNNEL = GROUPS.index("tunnel")


def dns_records(
    rng: Generator, names: Names, streams: Sequence[Stream], flows: Flows, spread: Spread
) -> pl.DataFrame:
    """Return the DNS log of a day.

    `spread` tells the connection of each record; see `Spread`.
    """
    flow = spread.flow
    count = len(flow)
    stream = flows.stream[flow]
    direction = np.array([DIRECTIONS.index(s.direction) for s in streams])[stream]
    group = np.array([GROUPS.index(s.names) for s in streams])[stream]
    answered = flows.answered[flow]
    question = np.searchsorted(_SHARES[:-1], rng.random(count), side="right")
    question = np.where(group == GROUPS.index("reverse"), _PTR, question)
    question = np.where(group == _TUNNEL, 4, question)
    name = _names_asked(rng, names, group)
    code = _codes(rng, direction, group)
    authoritative = (direction != 2) & (code != _REFUSED)
    found = answered & (code == 0) & (group != _TUNNEL) & (question != _PTR)
    answers = _answers(names, np.where(found, name, -1), question)
    lifetime = _lifetimes(names, np.where(found, name, -1), answers)
    return complete(
        "dns",
        {
            **spread.connection("dns"),
            "trans_id": pl.Series(rng.integers(1, 65536, size=count)),
            "rtt": pl.Series(np.where(answered, spread.share_of_duration(rng), np.nan)).fill_nan(
                None
            ),
            "query": _queries(rng, names, name, group == _TUNNEL),
            "qclass": pl.Series(np.ones(count, np.int64)),
            "qclass_name": pl.Series(["C_INTERNET"]).new_from_index(0, count),
            "qtype": pick(_TYPE_NUMBER, question),
            "qtype_name": pick(_TYPE_NAME, question),
            "rcode": pick(_CODE_NUMBERS, np.where(answered, code, -1)),
            "rcode_name": pick(_CODES, np.where(answered, code, -1)),
            "AA": pl.Series(answered & authoritative),
            "TC": pl.Series(answered & (rng.random(count) < 0.004)),
            "RD": pl.Series((direction == 2) | (rng.random(count) < 0.06)),
            "RA": pl.Series(answered & (direction == 2)),
            "Z": pl.Series(np.zeros(count, np.int64)),
            "answers": answers,
            "TTLs": lifetime,
            "rejected": pl.Series(answered & (code == _REFUSED)),
        },
    )


def _names_asked(rng: Generator, names: Names, group: NDArray[np.int64]) -> NDArray[np.int64]:
    known = np.minimum(group, len(names.first) - 1)
    place = rng.random(len(group)) ** names.skew[known]
    rows: NDArray[np.int64] = names.first[known] + (names.size[known] * place).astype(int)
    return rows


def _queries(
    rng: Generator, names: Names, name: NDArray[np.int64], tunnel: NDArray[np.bool_]
) -> pl.Series:
    queries = pick(names.names, name)
    if not tunnel.any():
        return queries
    hidden = (random_text(rng, int(tunnel.sum()), 48).str.to_lowercase()) + ".drop.example"
    return queries.scatter(np.flatnonzero(tunnel), hidden)


def _codes(
    rng: Generator, direction: NDArray[np.int64], group: NDArray[np.int64]
) -> NDArray[np.int64]:
    chance = rng.random(len(direction))
    code = np.where(chance < 0.05, 2, np.where(chance < 0.055, 1, 0))
    # From outside, only the site's own names are answered.
    foreign = (direction == 0) & (group != GROUPS.index("site"))
    return np.where(foreign | ((direction == 0) & (chance > 0.99)), _REFUSED, code)


def _answers(names: Names, name: NDArray[np.int64], question: NDArray[np.int64]) -> pl.Series:
    four = pick(names.answers, np.where(question == 0, name, -1))
    six = pick(names.answers_v6, np.where(question == 1, name, -1))
    return pl.select(pl.coalesce(four, six)).to_series()


def _lifetimes(names: Names, name: NDArray[np.int64], answers: pl.Series) -> pl.Series:
    lifetime = pick(pl.Series(names.lifetime.astype(float)), name)
    frame = pl.DataFrame({"answers": answers, "lifetime": lifetime})
    return frame.select(pl.col("lifetime").repeat_by(pl.col("answers").list.len())).to_series()
