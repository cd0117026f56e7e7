"""Who takes part: the site's hosts and the outside world, as one list of addresses.

The site lives in private ranges, so that the default local networks see it.
The outside is made of addresses that are reserved for benchmarks and
documentation (198.18.0.0/15, RFC 2544; 2001:db8::/32, RFC 3849): no address
of a simulated log belongs to anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

import polars as pl

__all__ = ["Pool", "Site"]


@dataclass(frozen=True)
class Pool:
    """Hosts that do the same: runs of addresses in `Site.addresses`, IPv4 and IPv6.

    A host is drawn as `first + floor(size * u ** skew)`, u uniform in [0, 1):
    with skew 1 all alike, with more the first ones far more often.
    """

    first: int
    size: int
    first_v6: int = 0
    size_v6: int = 0
    skew: float = 1.0


class Site:
    """The addresses of a simulated network and of the world outside.

    Parameters
    ----------
    scale
        Size of the outside world: 1 suits 100,000 records a day.

    Examples
    --------
    >>> site = Site(1.0)
    >>> site.addresses[site.pools["resolver"].first]
    '192.168.10.53'
    """

    def __init__(self, scale: float) -> None:
        self._addresses: list[str] = []
        self.pools: dict[str, Pool] = {}
        self._local()
        self._outside(scale)
        self.addresses = pl.Series("address", self._addresses)

    def _local(self) -> None:
        clients = self._run4("10.20.1.1", 254)
        servers = self._run4("192.168.10.1", 254)
        clients6 = self._run6("fd20:10::1:1", 40)
        servers6 = self._run6("fd20:10::10:1", 40)

        def server(number: int, size: int = 1) -> Pool:
            return Pool(servers + number - 1, size, servers6 + number % 40, 1)

        self.pools |= {
            "clients": Pool(clients + 9, 90, clients6, 16, skew=1.6),
            "phones": Pool(clients + 199, 24, skew=1.2),
            "web": server(10, 2),
            "mail": server(20),
            "files": server(30),
            "database": server(31),
            "intranet": server(32),
            "backup": server(40),
            "pbx": server(50),
            "resolver": server(53),
            "authoritative": server(54),
            "monitor": server(60),
            "logins": server(70, 8),
            "servers": server(10, 68),
            "all_servers": Pool(servers, 254),
            "everything": Pool(clients, 508),
        }

    def _outside(self, scale: float) -> None:
        first = int(IPv4Address("198.18.0.1"))
        sizes = {
            # name: (IPv4 hosts, IPv6 hosts, skew)
            "web_servers": (1500, 300, 3.0),
            "visitors": (2500, 300, 1.5),
            "name_servers": (400, 80, 2.5),
            "resolvers": (300, 60, 2.0),
            "mail_servers": (80, 0, 2.0),
            "partners": (12, 0, 1.0),
            "time_servers": (8, 0, 1.0),
            "provider": (1, 0, 1.0),
            "bots": (3000, 0, 1.3),
        }
        for number, (name, (size, size6, skew)) in enumerate(sizes.items()):
            grown = max(1, round(size * scale)) if size > 20 else size
            grown = min(grown, 12_000)
            start = self._run4(str(IPv4Address(first)), grown)
            grown6 = min(round(size6 * scale), 12_000)
            start6 = self._run6(f"2001:db8:{number + 1:x}::1", grown6)
            self.pools[name] = Pool(start, grown, start6, grown6, skew)
            first += grown

    def _run4(self, first: str, size: int) -> int:
        start = len(self._addresses)
        low = int(IPv4Address(first))
        self._addresses += [str(IPv4Address(low + n)) for n in range(size)]
        return start

    def _run6(self, first: str, size: int) -> int:
        start = len(self._addresses)
        low = int(IPv6Address(first))
        self._addresses += [str(IPv6Address(low + n)) for n in range(size)]
        return start
