"""The SIP log: telephones that register and call."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.random import Generator

from mods.dataset.simulate.conn import complete, pick, random_text
from mods.dataset.simulate.flows import Flows
from mods.dataset.simulate.spread import Spread
from mods.dataset.simulate.streams import Stream

__all__ = ["sip_records"]

_METHODS = pl.Series(["REGISTER", "INVITE", "BYE", "SUBSCRIBE", "OPTIONS"])
_SHARES = np.cumsum([0.5, 0.2, 0.15, 0.1, 0.05])
_OPTIONS = 4
_STATUS = pl.Series([200, 401, 100, 404])
_MESSAGE = pl.Series(["OK", "Unauthorized", "Trying", "Not Found"])
_AGENTS = pl.Series(
    ["Deskphone D10 2.4.1", "Deskphone D20 2.4.1", "Softphone 5.1", "Conference C1 1.9"]
)
_SCANNERS = pl.Series(["friendly-scanner", "sipcli/v1.8"])
_DOMAIN = "pbx.site.example"


def sip_records(
    rng: Generator, streams: Sequence[Stream], flows: Flows, spread: Spread
) -> pl.DataFrame:
    """Return the SIP log of a day."""
    flow = spread.flow
    count = len(flow)
    orig = flows.orig[flow]
    answered = flows.answered[flow]
    scanning = np.array([s.service == "sip_probe" for s in streams])[flows.stream[flow]]
    method = np.searchsorted(_SHARES[:-1], rng.random(count))
    method = np.where(scanning, _OPTIONS, method)
    status = np.searchsorted([0.7, 0.9, 0.97], rng.random(count))
    status = np.where(answered, np.where(scanning, 3, status), -1)
    texts = pl.DataFrame(
        {
            "method": pick(_METHODS, method),
            "own": 200 + orig % 50,
            "other": np.where(method == 0, 200 + orig % 50, 200 + rng.integers(50, size=count)),
            "call": random_text(rng, count, 24),
            "seq": 100 + spread.depth,
            "host": pick(spread.conn["id.orig_h"], flow),
            "port": flows.orig_port[flow],
        }
    ).select(
        uri=pl.format("sip:{}@" + _DOMAIN, "other"),
        sender=pl.format('"{}" <sip:{}@' + _DOMAIN + ">", "own", "own"),
        receiver=pl.format("<sip:{}@" + _DOMAIN + ">", "other"),
        call=pl.format("{}@{}", "call", "host"),
        seq=pl.format("{} {}", "seq", "method"),
        path=pl.concat_list(pl.format("SIP/2.0/UDP {}:{}", "host", "port")),
    )
    agent = np.where(scanning, len(_AGENTS) + orig % len(_SCANNERS), orig % len(_AGENTS))
    empty = pl.Series([[]], dtype=pl.List(pl.String)).new_from_index(0, count)
    body = np.where(method == 1, rng.integers(180, 420, size=count), 0)
    return complete(
        "sip",
        {
            **spread.connection("sip"),
            "trans_depth": pl.Series(spread.depth - 1),
            "method": pick(_METHODS, method),
            "uri": texts["uri"],
            "request_from": texts["sender"],
            "request_to": texts["receiver"],
            "response_from": _where(answered, texts["sender"]),
            "response_to": _where(answered, texts["receiver"]),
            "call_id": texts["call"],
            "seq": texts["seq"],
            "request_path": texts["path"],
            "response_path": pl.select(
                pl.when(pl.Series(answered)).then(texts["path"]).otherwise(empty)
            ).to_series(),
            "user_agent": pick(pl.concat([_AGENTS, _SCANNERS]), agent),
            "status_code": pick(_STATUS, status),
            "status_msg": pick(_MESSAGE, status),
            "request_body_len": pl.Series(body),
            "response_body_len": _where(answered, pl.Series(np.zeros(count, np.int64))),
        },
    )


def _where(given: np.ndarray, values: pl.Series) -> pl.Series:
    """Return the values, missing where they are not given."""
    return values.set(pl.Series(~given), None)
