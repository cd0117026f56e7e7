"""What a connection of each service looks like: sizes, durations, how it ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["DRAWS", "HISTORIES", "SERVICES", "STATES", "Service", "mean_bytes", "state_draws"]

#: Zeek's connection states that occur here; a state's code is its place.
STATES = ("SF", "S0", "REJ", "RSTO", "RSTR", "S1", "RSTOS0", "OTH")

#: Packet histories of each state, by transport; one is drawn for each connection.
HISTORIES: dict[tuple[str, str], tuple[str | None, ...]] = {
    ("tcp", "SF"): ("ShADadFf", "ShADadfF", "ShADdaFf", "ShADadFfR"),
    ("tcp", "S0"): ("S",),
    ("tcp", "REJ"): ("Sr",),
    ("tcp", "RSTO"): ("ShADadR", "ShADadFR", "ShADdR"),
    ("tcp", "RSTR"): ("ShADadr", "ShADadfr"),
    ("tcp", "S1"): ("ShADad", "ShADd"),
    ("tcp", "RSTOS0"): ("SR",),
    ("tcp", "OTH"): ("DadA", "^dA"),
    ("udp", "SF"): ("Dd",),
    ("udp", "S0"): ("D",),
    ("icmp", "OTH"): (None,),
}

#: Entries of a table from which states are drawn by one look-up.
DRAWS = 1024

_TCP = {"SF": 0.9, "RSTO": 0.035, "RSTR": 0.025, "S1": 0.02, "S0": 0.015, "OTH": 0.005}
_UDP = {"SF": 0.985, "S0": 0.015}
_GUESS = {"SF": 0.6, "RSTO": 0.3, "S1": 0.1}
_PROBE = {"S0": 0.74, "REJ": 0.2, "RSTOS0": 0.04, "RSTO": 0.02}


@dataclass(frozen=True)
class Service:
    """A kind of connection.

    Parameters
    ----------
    name
        As Zeek's `service` names it; "" where Zeek does not know it.
    proto
        `tcp`, `udp` or `icmp`.
    port
        The responder's; 0 where each connection has one of its own.
    seconds, orig, resp
        Duration in seconds and bytes each way: median and sigma of a lognormal.
    states
        Share of each state.
    log
        The protocol log that gets records of its own, "" where none.
    records
        Mean number of records in that log for a connection.
    """

    name: str
    proto: str
    port: int
    seconds: tuple[float, float]
    orig: tuple[float, float]
    resp: tuple[float, float]
    states: dict[str, float]
    log: str = ""
    records: float = 1.0


SERVICES: dict[str, Service] = {
    "https": Service("ssl", "tcp", 443, (1.5, 1.9), (1400, 1.1), (6500, 1.7), _TCP, "ssl"),
    "quic": Service("quic", "udp", 443, (8.0, 1.6), (5000, 1.2), (24000, 1.8), _UDP),
    "http": Service("http", "tcp", 80, (0.4, 1.7), (450, 0.7), (3500, 1.9), _TCP, "http", 1.6),
    "dns": Service("dns", "udp", 53, (0.02, 1.2), (45, 0.25), (120, 0.5), _UDP, "dns", 1.3),
    "dns_tcp": Service("dns", "tcp", 53, (0.06, 1.0), (60, 0.3), (900, 0.6), _TCP, "dns"),
    "ssh": Service("ssh", "tcp", 22, (30.0, 2.3), (4200, 1.6), (5200, 1.8), _TCP, "ssh"),
    "ssh_probe": Service("ssh", "tcp", 22, (2.2, 0.8), (1900, 0.3), (2300, 0.3), _GUESS, "ssh"),
    "sip": Service("sip", "udp", 5060, (0.2, 1.2), (600, 0.4), (650, 0.4), _UDP, "sip", 2.0),
    "sip_probe": Service(
        "sip", "udp", 5060, (0.01, 0.8), (410, 0.1), (480, 0.2), {"SF": 0.7, "S0": 0.3}, "sip", 1.0
    ),
    "smtp": Service("smtp", "tcp", 25, (2.5, 1.2), (9000, 1.9), (450, 0.5), _TCP),
    "imaps": Service("ssl", "tcp", 993, (40.0, 1.8), (1500, 1.1), (6000, 1.6), _TCP, "ssl"),
    "ntp": Service("ntp", "udp", 123, (0.03, 0.6), (48, 0.0), (48, 0.0), _UDP),
    "ping": Service("", "icmp", 0, (0.02, 0.8), (56, 0.1), (56, 0.1), {"OTH": 1.0}),
    "smb": Service("gssapi,smb", "tcp", 445, (20.0, 1.8), (6000, 1.6), (14000, 2.0), _TCP),
    "ldap": Service("", "tcp", 389, (0.3, 1.0), (700, 0.6), (1800, 0.9), _TCP),
    "kerberos": Service("krb_tcp", "tcp", 88, (0.01, 0.6), (1400, 0.4), (1500, 0.3), _TCP),
    "database": Service("", "tcp", 5432, (0.6, 1.7), (2200, 1.3), (7000, 1.8), _TCP),
    "metrics": Service(
        "http", "tcp", 9100, (0.08, 0.5), (180, 0.1), (32000, 0.2), _TCP, "http", 1.0
    ),
    "backup": Service("", "tcp", 10080, (150.0, 0.9), (9e6, 1.5), (22000, 0.9), _TCP),
    "sync": Service("ssl", "tcp", 443, (12.0, 1.1), (160000, 1.5), (9000, 1.1), _TCP, "ssl"),
    "probe": Service("", "tcp", 0, (0.1, 0.5), (40, 0.5), (60, 0.6), _PROBE),
    "syn_flood": Service(
        "", "tcp", 443, (0.5, 0.5), (0.6, 0.5), (0.6, 0.5), {"S0": 0.96, "RSTOS0": 0.04}
    ),
    "upload": Service("ssl", "tcp", 443, (180.0, 0.7), (1e7, 0.5), (60000, 0.5), _TCP, "ssl"),
    "beacon": Service("ssl", "tcp", 443, (0.8, 0.2), (620, 0.08), (880, 0.1), _TCP, "ssl"),
}


def state_draws(service: Service) -> NDArray[np.uint8]:
    """Return the table from which states are drawn: `(DRAWS,)`, codes of `STATES`."""
    shares = np.array([service.states.get(state, 0.0) for state in STATES])
    edges = np.round(np.cumsum(shares / shares.sum()) * DRAWS).astype(int)
    return np.searchsorted(edges, np.arange(DRAWS), side="right").astype(np.uint8)


def mean_bytes(service: Service) -> float:
    """Return the mean of the originator's bytes over all connections."""
    median, sigma = service.orig
    return float(median * np.exp(sigma**2 / 2))
