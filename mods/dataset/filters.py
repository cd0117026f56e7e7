"""Allow and never lists: which records are taken, by host, network and port."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw

from mods.dataset.direction import Hosts, in_hosts
from mods.errors import ConfigError

__all__ = ["Rules"]

_PORT = re.compile(r":(\d{1,5})")


@dataclass(frozen=True)
class Rules:
    """Which records are taken.

    A record is left out where either end is a host or a port of the never list.  Where the
    allow list names hosts, one end must be one of them, and where it names ports, one end must
    have one of those.
    """

    allow_hosts: Hosts | None = None
    allow_ports: tuple[int, ...] = ()
    never_hosts: Hosts | None = None
    never_ports: tuple[int, ...] = ()

    @classmethod
    def parse(cls, allow: Iterable[str] = (), never: Iterable[str] = ()) -> Rules | None:
        """Parse lists of addresses, CIDRs and `:port`; None where both are empty.

        Raises
        ------
        ConfigError
            Where an item is none of these.

        Examples
        --------
        >>> rules = Rules.parse(never=["10.0.0.9", "192.168.7.0/24", ":5353"])
        >>> rules.never_ports, len(rules.never_hosts.networks), rules.allow_hosts
        ((5353,), 2, None)
        >>> Rules.parse() is None
        True
        """
        allow_hosts, allow_ports = _parse(allow)
        never_hosts, never_ports = _parse(never)
        rules = cls(allow_hosts, allow_ports, never_hosts, never_ports)
        return rules if rules != cls() else None

    @property
    def fields(self) -> tuple[str, ...]:
        """The Zeek fields that the rules need beside the hosts."""
        return ("id_orig_p", "id_resp_p") if self.allow_ports or self.never_ports else ()

    @property
    def host_sets(self) -> tuple[Hosts, ...]:
        """The sets of hosts that the rules ask about."""
        return tuple(h for h in (self.allow_hosts, self.never_hosts) if h is not None)

    def taken(self, hidden: Mapping[Hosts, Sequence[str]]) -> nw.Expr:
        """Return whether a record is taken; `hidden` as for `mods.dataset.windows.directed`."""
        conditions = []
        if self.allow_hosts is not None:
            conditions.append(_either_host(self.allow_hosts, hidden))
        if self.allow_ports:
            conditions.append(_either_port(self.allow_ports))
        if self.never_hosts is not None:
            conditions.append(~_either_host(self.never_hosts, hidden))
        if self.never_ports:
            conditions.append(~_either_port(self.never_ports))
        taken: Any = conditions[0]
        for condition in conditions[1:]:
            taken = taken & condition
        return taken  # type: ignore[no-any-return]


def _either_host(hosts: Hosts, hidden: Mapping[Hosts, Sequence[str]]) -> nw.Expr:
    origin, target = (in_hosts(end, hosts, hidden) for end in ("id_orig_h", "id_resp_h"))
    return origin.fill_null(value=False) | target.fill_null(value=False)


def _either_port(ports: Sequence[int]) -> nw.Expr:
    origin, target = (nw.col(end).is_in(list(ports)) for end in ("id_orig_p", "id_resp_p"))
    return origin.fill_null(value=False) | target.fill_null(value=False)


def _parse(items: Iterable[str]) -> tuple[Hosts | None, tuple[int, ...]]:
    networks, ports = [], []
    for item in items:
        match = _PORT.fullmatch(item.strip())
        try:
            if match is None:
                networks.append(ipaddress.ip_network(item.strip(), strict=False))
            elif int(match[1]) <= 65535:
                ports.append(int(match[1]))
            else:
                raise ValueError
        except ValueError:
            raise ConfigError(
                f"{item!r} in an allow or never list",
                "an address, a CIDR or a port",
                "Write for example 10.0.0.9, 10.0.0.0/8, 2001:db8::/32 or :5353.",
            ) from None
    return Hosts.of(networks) if networks else None, tuple(ports)
