"""The connection log, and what every log shares: time, uid, hosts and ports."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.random import Generator
from numpy.typing import NDArray

from mods.dataset.simulate.flows import Flows, direction_codes
from mods.dataset.simulate.schemas import FIELDS, polars_type
from mods.dataset.simulate.services import HISTORIES, SERVICES, STATES
from mods.dataset.simulate.site import Site
from mods.dataset.simulate.streams import Stream

__all__ = ["complete", "conn_records", "fixed_text", "pick", "random_text"]

_ALPHABET = np.frombuffer(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", np.uint8
)
_KINDS = list(SERVICES.values())
_PROTO = pl.Series([kind.proto for kind in _KINDS])
_SERVICE = pl.Series([kind.name or None for kind in _KINDS])
_STATE = pl.Series(STATES)
# Bytes of the headers of a packet: IP and transport, without options.
_HEADERS = np.array([{"tcp": 52, "udp": 28, "icmp": 28}[kind.proto] for kind in _KINDS])
_IS_TCP = np.array([kind.proto == "tcp" for kind in _KINDS])
_SEGMENT = 1400  # bytes of payload in a full packet
_HISTORY_ROWS = 4


def _history_table() -> pl.Series:
    """Return histories by kind, state and variant, flat."""
    rows: list[str | None] = []
    for kind in _KINDS:
        for state in STATES:
            known = HISTORIES.get((kind.proto, state), (None,))
            rows += [known[n % len(known)] for n in range(_HISTORY_ROWS)]
    return pl.Series(rows, dtype=pl.String)


_HISTORY = _history_table()


def pick(values: pl.Series, rows: NDArray[np.integer]) -> pl.Series:
    """Return `values[rows]`; a negative row gives a missing value."""
    wanted = pl.Series(rows)
    if len(rows) and rows.min() < 0:
        wanted = wanted.set(wanted < 0, None)
    return values.gather(wanted)


def random_text(rng: Generator, count: int, length: int, first: str = "") -> pl.Series:
    """Return `count` random words of letters and digits, such as Zeek's uids: `first` and more."""
    letters = _ALPHABET[rng.integers(0, len(_ALPHABET), (count, length), dtype=np.uint8)]
    letters[:, : len(first)] = np.frombuffer(first.encode(), np.uint8)
    return fixed_text(letters)


def fixed_text(letters: NDArray[np.uint8]) -> pl.Series:
    """Return rows of ASCII codes, `(count, length)`, as a column of strings."""
    count, length = letters.shape
    offsets = np.arange(0, (count + 1) * length, length, dtype=np.int64)
    buffers = pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(letters))
    series = pl.from_arrow(pa.LargeStringArray.from_buffers(count, *buffers))
    assert isinstance(series, pl.Series)
    return series


def complete(protocol: str, columns: dict[str, pl.Series]) -> pl.DataFrame:
    """Return a record table with every field of the log, those not given unset."""
    count = len(columns["ts"])
    series = []
    for name, zeek in FIELDS[protocol]:
        dtype = polars_type(zeek)
        given = columns.get(name)
        filled = pl.Series(name, [None], dtype).new_from_index(0, count) if given is None else given
        series.append(filled.cast(dtype).alias(name))
    return pl.DataFrame(series)


def conn_records(
    rng: Generator, site: Site, streams: Sequence[Stream], flows: Flows
) -> pl.DataFrame:
    """Return the connection log of a day's connections, in the order of time."""
    count = len(flows)
    kind = flows.kind
    direction = direction_codes(streams)[flows.stream]
    variant = (kind * len(STATES) + flows.state) * _HISTORY_ROWS
    packets = _packets(flows)
    sizes = [np.maximum(flows.orig_bytes, 0), np.maximum(flows.resp_bytes, 0)]
    return complete(
        "conn",
        {
            "ts": pl.Series(flows.ts).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
            "uid": random_text(rng, count, 18, "C"),
            "id.orig_h": pick(site.addresses, flows.orig),
            "id.orig_p": pl.Series(flows.orig_port),
            "id.resp_h": pick(site.addresses, flows.resp),
            "id.resp_p": pl.Series(flows.resp_port),
            "proto": pick(_PROTO, kind),
            "service": pick(_SERVICE, np.where(flows.answered, kind, -1)),
            "duration": pl.Series(flows.seconds).fill_nan(None),
            "orig_bytes": _unset_below_zero(flows.orig_bytes),
            "resp_bytes": _unset_below_zero(flows.resp_bytes),
            "conn_state": pick(_STATE, flows.state),
            "local_orig": pl.Series(direction != 0),
            "local_resp": pl.Series(direction != 1),
            "missed_bytes": pl.Series(np.zeros(count, np.int64)),
            "history": pick(_HISTORY, variant + rng.integers(_HISTORY_ROWS, size=count)),
            "orig_pkts": pl.Series(packets[0]),
            "orig_ip_bytes": pl.Series(sizes[0] + packets[0] * _HEADERS[kind]),
            "resp_pkts": pl.Series(packets[1]),
            "resp_ip_bytes": pl.Series(sizes[1] + packets[1] * _HEADERS[kind]),
        },
    )


def _packets(flows: Flows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    tcp = _IS_TCP[flows.kind]
    orig = np.maximum(flows.orig_bytes, 0)
    resp = np.maximum(flows.resp_bytes, 0)
    # TCP: what sets up and tears down, and an acknowledgement for every second segment.
    orig_packets = -(-orig // _SEGMENT) + np.where(tcp & flows.answered, 4 + resp // 2800, 0)
    resp_packets = -(-resp // _SEGMENT) + np.where(tcp & flows.answered, 3 + orig // 2800, 0)
    refused = flows.state == STATES.index("REJ")
    return np.maximum(orig_packets, 1), np.where(refused, 1, resp_packets * flows.answered)


def _unset_below_zero(values: NDArray[np.int64]) -> pl.Series:
    series = pl.Series(values)
    return series.set(series < 0, None)
