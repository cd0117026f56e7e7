"""Which hosts are local: networks (CIDRs) as a regular expression that every engine runs.

A host's text is matched as Zeek writes it: IPv4 with dots, IPv6 in the short
form of RFC 5952.  IPv4 networks become exact expressions.  An IPv6 network
does where its prefix lies in groups that the short form never hides (`2001:db8::/32`,
`fc00::/7`); the others are left to `Hosts.contains`, asked once a distinct host.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

import narwhals as nw

__all__ = ["Hosts", "in_hosts"]

#: Matches no text at all.
_NEVER = "^$."


@dataclass(frozen=True)
class Hosts:
    """The hosts of some networks.

    `pattern` is a regular expression (no look-around, so that Rust's, RE2 and Java's engines
    run it alike) that matches exactly the hosts of all networks but those in `hidden`.

    Examples
    --------
    >>> hosts = Hosts.of([ipaddress.ip_network("172.16.0.0/12"), ipaddress.ip_network("fe80::/10")])
    >>> [hosts.contains(h) for h in ("172.31.0.1", "172.32.0.1", "fe80::1", "2001:db8::1", "-")]
    [True, False, True, False, False]
    >>> bool(re.search(hosts.pattern, "172.31.0.1")), hosts.hidden
    (True, ())
    """

    networks: tuple[IPv4Network | IPv6Network, ...]
    pattern: str
    hidden: tuple[IPv6Network, ...]

    @classmethod
    def of(cls, networks: Iterable[IPv4Network | IPv6Network]) -> Hosts:
        """Make the expression of some networks."""
        chosen = tuple(networks)
        patterns, hidden = [], []
        for network in chosen:
            if isinstance(network, IPv4Network):
                patterns.append(_ipv4(network))
            elif (pattern := _ipv6(network)) is not None:
                patterns.append(pattern)
            else:
                hidden.append(network)
        pattern = f"^(?:{'|'.join(patterns)})" if patterns else _NEVER
        return cls(chosen, pattern, tuple(hidden))

    def contains(self, host: str) -> bool:
        """Tell whether a host lies in one of the networks; what is no address does not."""
        return _contains(self.networks, host)


def in_hosts(column: str, hosts: Hosts, hidden: Mapping[Hosts, Sequence[str]]) -> nw.Expr:
    """Return whether a column's host is one of `hosts`, for every engine.

    `hidden` gives for each set of hosts with `hidden` networks those hosts among the records
    that lie in them.
    """
    inside = nw.col(column).str.contains(hosts.pattern)
    if hidden.get(hosts):
        inside = inside | nw.col(column).is_in(list(hidden[hosts]))
    return inside


@functools.lru_cache(maxsize=100_000)
def _contains(networks: tuple[IPv4Network | IPv6Network, ...], host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in networks)


def _ipv4(network: IPv4Network) -> str:
    r"""Return an expression for the octets that the prefix fixes.

    >>> print(_ipv4(IPv4Network("10.0.0.0/8")), _ipv4(IPv4Network("10.1.254.0/23")))
    10\. 10\.1\.(?:254|255)\.
    """
    octets = network.network_address.packed
    whole, rest = divmod(network.prefixlen, 8)
    parts = [str(octet) for octet in octets[:whole]]
    if rest:
        numbers = range(octets[whole], octets[whole] + (1 << (8 - rest)))
        parts.append(f"(?:{'|'.join(map(str, numbers))})")
    if not parts:
        return r"[0-9]+\."
    return r"\.".join(parts) + ("$" if len(parts) == 4 else r"\.")


def _ipv6(network: IPv6Network) -> str | None:
    """Return an expression for the groups that the prefix fixes, None where some may be hidden.

    >>> _ipv6(IPv6Network("fc00::/7")), _ipv6(IPv6Network("2001:db8::/32"))
    ('f[cd][0-9a-f][0-9a-f]:', '2001:db8:')
    >>> _ipv6(IPv6Network("2001:db8:0:8000::/49")) is None
    True
    """
    if network.prefixlen == 128:
        return re.escape(str(network.network_address)) + "$"
    address = int(network.network_address)
    groups = [(address >> shift) & 0xFFFF for shift in range(112, -1, -16)]
    whole, rest = divmod(network.prefixlen, 16)
    # A group of zeros may vanish in "::"; a group without leading zeros has its four digits.
    if not all(groups[:whole]) or whole == 7 or (rest and (rest < 4 or groups[whole] < 0x1000)):
        return None
    parts = [f"{group:x}" for group in groups[:whole]]
    if rest:
        parts.append(_group(groups[whole], rest))
    return ":".join(parts) + ":" if parts else "[0-9a-f]*:"


def _group(group: int, bits: int) -> str:
    digits = ""
    for place, digit in enumerate(f"{group:04x}"):
        fixed = min(4, max(0, bits - 4 * place))
        first = int(digit, 16)
        choices = "".join(f"{n:x}" for n in range(first, first + (1 << (4 - fixed))))
        digits += choices if len(choices) == 1 else f"[{choices}]" if fixed else "[0-9a-f]"
    return digits
