"""The SSH log."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.random import Generator

from mods.dataset.simulate.conn import complete, pick
from mods.dataset.simulate.flows import Flows
from mods.dataset.simulate.spread import Spread
from mods.dataset.simulate.streams import DIRECTIONS, Stream

__all__ = ["ssh_records"]

_PEOPLE = ("SSH-2.0-OpenSSH_9.6", "SSH-2.0-OpenSSH_9.2p1", "SSH-2.0-PuTTY_Release_0.81")
_GUESSERS = ("SSH-2.0-Go", "SSH-2.0-libssh2_1.11.0", "SSH-2.0-paramiko_3.4.0")
_CLIENTS = pl.Series([*_PEOPLE, *_GUESSERS])
_CIPHERS = pl.Series(["chacha20-poly1305@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr"])
_MACS = pl.Series(["umac-64-etm@openssh.com", "hmac-sha2-256-etm@openssh.com", "hmac-sha2-256"])
_KEX = pl.Series(["curve25519-sha256", "sntrup761x25519-sha512@openssh.com"])
# Only connections that leave or enter the site carry a direction.
_DIRECTION = pl.Series(["INBOUND", "OUTBOUND", None])


def ssh_records(
    rng: Generator, streams: Sequence[Stream], flows: Flows, spread: Spread
) -> pl.DataFrame:
    """Return the SSH log of a day."""
    flow = spread.flow
    count = len(flow)
    stream = flows.stream[flow]
    guessing = np.array([s.service == "ssh_probe" for s in streams])[stream]
    success = ~guessing & (rng.random(count) < 0.96)
    attempts = np.where(guessing, rng.integers(1, 7, size=count), rng.integers(1, 3, size=count))
    direction = np.array([DIRECTIONS.index(s.direction) for s in streams])[stream]
    client = np.where(
        guessing, len(_PEOPLE) + flows.orig[flow] % len(_GUESSERS), flows.orig[flow] % len(_PEOPLE)
    )
    cipher = rng.integers(3, size=count)
    return complete(
        "ssh",
        {
            **spread.connection("ssh"),
            "version": pl.Series(np.full(count, 2)),
            "auth_success": pl.Series(success),
            "auth_attempts": pl.Series(attempts),
            "direction": pick(_DIRECTION, direction),
            "client": pick(_CLIENTS, client),
            "server": pl.Series(["SSH-2.0-OpenSSH_9.2p1"]).new_from_index(0, count),
            "cipher_alg": pick(_CIPHERS, cipher),
            "mac_alg": pick(_MACS, cipher),
            "compression_alg": pl.Series(["none"]).new_from_index(0, count),
            "kex_alg": pick(_KEX, rng.integers(2, size=count)),
            "host_key_alg": pl.Series(["ssh-ed25519"]).new_from_index(0, count),
            "host_key": pick(_HOST_KEYS, flows.resp[flow] % len(_HOST_KEYS)),
        },
    )


def _host_keys() -> pl.Series:
    pairs = np.random.default_rng(0).integers(256, size=(64, 16))
    return pl.Series([":".join(f"{byte:02x}" for byte in row) for row in pairs])


_HOST_KEYS = _host_keys()
