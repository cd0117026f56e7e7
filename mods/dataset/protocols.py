"""The features of each protocol, as a table: one more feature is one more line.

Each line says what the feature is of, and what an empty window means for it: a
window in which the sensor was observing and no record came is *zero* for a
count or a sum, and *missing* for an average, which has nothing to average.
(A window in which the sensor was not observing is missing for every feature,
see `mods.dataset.observed`.)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mods.errors import NotFoundError, did_you_mean

__all__ = ["DIRECTIONS", "FIELDS", "PROTOCOLS", "Feature", "Protocol", "chosen_protocols"]

#: The directions of traffic, in the order in which the columns stand; a direction's code is
#: its place here.
DIRECTIONS = ("in", "out", "internal")

Of = Literal["records", "sum", "mean", "distinct", "true", "false"]
Empty = Literal["zero", "missing"]


@dataclass(frozen=True)
class Feature:
    """One feature of a protocol, in every direction.

    Parameters
    ----------
    name
        The column's name after the direction; "" where the column is named by the direction alone.
    of
        `records`: their number; `sum`, `mean`, `distinct`: of the values of `field` over the
        records that have one; `true`, `false`: the number of records whose `field` is so.
    field
        The Zeek field, its dots written as underscores.
    empty
        What a window without a record means.
    """

    name: str
    of: Of
    field: str = ""
    empty: Empty = "zero"

    def column(self, direction: str) -> str:
        """Return the column's name in a datapool.

        Examples
        --------
        >>> PROTOCOLS["conn"].features[3].column("in"), PROTOCOLS["ssh"].features[0].column("out")
        ('in_count_uid', 'out')
        """
        return f"{direction}_{self.name}" if self.name else direction


@dataclass(frozen=True)
class Protocol:
    """A Zeek log and the features made from it, in the columns' order."""

    name: str
    features: tuple[Feature, ...]

    @property
    def columns(self) -> list[str]:
        """The datapool's feature columns: all `in`, then all `out`, then all `internal`."""
        return [f.column(direction) for direction in DIRECTIONS for f in self.features]

    @property
    def fields(self) -> tuple[str, ...]:
        """The Zeek fields that are read, the time and the two hosts first."""
        wanted = ["ts", "id_orig_h", "id_resp_h", *(f.field for f in self.features if f.field)]
        return tuple(dict.fromkeys(wanted))


#: Zeek's type of each field that is read (dots in names written as underscores).
FIELDS = {
    "ts": "time",
    "id_orig_h": "addr",
    "id_orig_p": "port",
    "id_resp_h": "addr",
    "id_resp_p": "port",
    "local_orig": "bool",
    "local_resp": "bool",
    # conn
    "duration": "interval",
    "orig_bytes": "count",
    "resp_bytes": "count",
    # dns
    "proto": "enum",
    "query": "string",
    "AA": "bool",
    "RA": "bool",
    "RD": "bool",
    "TC": "bool",
    "rejected": "bool",
    # sip
    "user_agent": "string",
}

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "conn",
            (
                Feature("sum_orig_bytes", "sum", "orig_bytes", empty="zero"),
                Feature("sum_resp_bytes", "sum", "resp_bytes", empty="zero"),
                Feature("avg_duration", "mean", "duration", empty="missing"),
                Feature("count_uid", "records", empty="zero"),
            ),
        ),
        Protocol(
            "dns",
            (
                Feature("count_uid", "records", empty="zero"),
                Feature("distinct_query", "distinct", "query", empty="zero"),
                Feature("distinct_proto", "distinct", "proto", empty="zero"),
                Feature("AA_false", "false", "AA", empty="zero"),
                Feature("AA_true", "true", "AA", empty="zero"),
                Feature("RA_false", "false", "RA", empty="zero"),
                Feature("RA_true", "true", "RA", empty="zero"),
                Feature("RD_false", "false", "RD", empty="zero"),
                Feature("RD_true", "true", "RD", empty="zero"),
                Feature("TC_false", "false", "TC", empty="zero"),
                Feature("TC_true", "true", "TC", empty="zero"),
                Feature("rejected_false", "false", "rejected", empty="zero"),
                Feature("rejected_true", "true", "rejected", empty="zero"),
            ),
        ),
        Protocol("http", (Feature("", "records", empty="zero"),)),
        Protocol(
            "sip",
            (
                Feature("count_uid", "records", empty="zero"),
                Feature("distinct_`id.orig_h`", "distinct", "id_orig_h", empty="zero"),
                Feature("distinct_`id.orig_p`", "distinct", "id_orig_p", empty="zero"),
                Feature("distinct_`id.resp_h`", "distinct", "id_resp_h", empty="zero"),
                Feature("distinct_`id.resp_p`", "distinct", "id_resp_p", empty="zero"),
                Feature("distinct_user_agent", "distinct", "user_agent", empty="zero"),
            ),
        ),
        Protocol("ssh", (Feature("", "records", empty="zero"),)),
        Protocol("ssl", (Feature("", "records", empty="zero"),)),
    )
}


def chosen_protocols(names: Iterable[str] = ()) -> tuple[Protocol, ...]:
    """Return the protocols of these names, all by default; raise `NotFoundError` for another."""
    wanted = list(names) or list(PROTOCOLS)
    for name in wanted:
        if name not in PROTOCOLS:
            raise NotFoundError(
                f"no features for protocol {name!r}",
                f"one of {', '.join(PROTOCOLS)}",
                did_you_mean(name, PROTOCOLS),
            )
    return tuple(PROTOCOLS[name] for name in dict.fromkeys(wanted))
