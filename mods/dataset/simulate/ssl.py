"""The SSL log: TLS handshakes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.random import Generator

from mods.dataset.simulate.conn import complete, fixed_text, pick
from mods.dataset.simulate.flows import Flows
from mods.dataset.simulate.names import Names
from mods.dataset.simulate.spread import Spread
from mods.dataset.simulate.streams import Stream

__all__ = ["ssl_records"]

# What is agreed on comes together; the first three are TLS 1.3.
_VERSION = pl.Series(["TLSv13", "TLSv13", "TLSv13", "TLSv12", "TLSv12"])
_CIPHER = pl.Series(
    [
        "TLS_AES_256_GCM_SHA384",
        "TLS_AES_128_GCM_SHA256",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    ]
)
_SHARES = np.cumsum([0.35, 0.3, 0.1, 0.15, 0.1])
_CURVE = pl.Series(["x25519", "x25519", "secp256r1", "x25519", "secp256r1"])
_NEXT = pl.Series(["h2", "http/1.1", None])
_HISTORY = pl.Series(["CsiI", "CsoiI", "CsxkGIi", "CsL"])
_TLS12 = 3
_ALERT = pl.Series(["handshake_failure"])
_CHAINS = 64


def _chains() -> pl.Series:
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    drawn = np.random.default_rng(1).integers(16, size=(2 * _CHAINS, 64))
    prints = fixed_text(digits[drawn]).to_list()
    return pl.Series([prints[n : n + 2] for n in range(0, len(prints), 2)])


_CHAIN = _chains()


def ssl_records(
    rng: Generator, names: Names, streams: Sequence[Stream], flows: Flows, spread: Spread
) -> pl.DataFrame:
    """Return the SSL log of a day."""
    flow = spread.flow
    count = len(flow)
    host = names.of_hosts(flows.resp[flow], flows.stream[flow], streams)
    agreed = np.searchsorted(_SHARES[:-1], rng.random(count))
    established = rng.random(count) < 0.985
    resumed = established & (rng.random(count) < 0.25)
    # In TLS 1.3 certificates are encrypted; a resumed session shows none.
    shown = established & ~resumed & (agreed >= _TLS12)
    chain = np.where(shown, flows.resp[flow] % _CHAINS, -1)
    history = np.where(shown, 2, np.where(established, rng.integers(2, size=count), 3))
    matches = pl.Series(shown)
    return complete(
        "ssl",
        {
            **spread.connection("ssl"),
            "version": pick(_VERSION, np.where(established, agreed, -1)),
            "cipher": pick(_CIPHER, np.where(established, agreed, -1)),
            "curve": pick(_CURVE, np.where(established, agreed, -1)),
            "server_name": pick(names.names, np.where(rng.random(count) < 0.97, host, -1)),
            "resumed": pl.Series(resumed),
            "last_alert": pick(_ALERT, np.where(established, -1, 0)),
            "next_protocol": pick(
                _NEXT, np.where(established, rng.choice(3, count, p=[0.6, 0.2, 0.2]), -1)
            ),
            "established": pl.Series(established),
            "ssl_history": pick(_HISTORY, history),
            "cert_chain_fps": pick(_CHAIN, chain),
            "client_cert_chain_fps": pick(
                pl.Series([[]], dtype=pl.List(pl.String)), np.where(shown, 0, -1)
            ),
            "sni_matches_cert": matches.set(~matches, None),
        },
    )
