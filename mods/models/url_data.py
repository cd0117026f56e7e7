"""Data from an address on the web: off unless hosts are allowed, and within limits.

A service that fetches what a stranger names can be made to fetch what the
stranger cannot reach.  So a host has to be on the list of `MODS_URL_HOSTS`; its
name is resolved once, and the connection goes to that very address; an address
that is not public has to be on the list itself; and redirects are not followed.
"""

from __future__ import annotations

import http.client
import ipaddress
import os
import re
import shutil
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, urlsplit

from mods.errors import ConfigError, DataError

__all__ = ["AllowedHosts", "check_url", "url_file"]

#: The variable that holds the list.
VARIABLE = "MODS_URL_HOSTS"
#: Bytes of an answer, seconds for all of it, and seconds without any news.
MAX_BYTES = 100 << 20
SECONDS, SILENCE = 30.0, 10.0
_PIECE = 1 << 18
_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.ASCII)
_UNSAFE = re.compile(r"[^\w.-]", re.ASCII)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class AllowedHosts:
    """The hosts to fetch from, and the addresses that they may have though not public.

    Attributes
    ----------
    hosts
        Pairs of a name and a port; None for the usual port of `http` and `https`.
    networks
        Networks that are not public and allowed all the same.
    """

    hosts: frozenset[tuple[str, int | None]]
    networks: tuple[Network, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a list such as `feeds.example.org,sensor.lan:8080,10.1.0.0/16`.

        Raises
        ------
        ConfigError
            Where an entry is no host, no `host:port` and no network.

        Examples
        --------
        >>> sorted(AllowedHosts.parse("Feeds.example.org, 127.0.0.1:8080").hosts)
        [('127.0.0.1', 8080), ('feeds.example.org', None)]
        """
        hosts: set[tuple[str, int | None]] = set()
        networks: list[Network] = []
        for entry in filter(None, (part.strip().lower() for part in text.split(","))):
            if "/" in entry:
                try:
                    networks.append(ipaddress.ip_network(entry, strict=False))
                except ValueError:
                    raise _bad_entry(entry) from None
                continue
            name, _, port = entry.partition(":")
            if not _HOST.fullmatch(name) or (port and not port.isdecimal()):
                raise _bad_entry(entry)
            hosts.add((name, int(port) if port else None))
            try:
                # Who names an address allows that address.
                networks.append(ipaddress.ip_network(name))
            except ValueError:
                continue
        return cls(frozenset(hosts), tuple(networks))

    @classmethod
    def of_environment(cls) -> Self:
        """Read the list of `MODS_URL_HOSTS`."""
        return cls.parse(os.environ.get(VARIABLE, ""))

    def allows(self, address: Address) -> bool:
        """Return whether an address is public or in an allowed network."""
        mapped = getattr(address, "ipv4_mapped", None)
        address = mapped or address
        public = address.is_global and not address.is_multicast and not address.is_reserved
        return public or any(address in network for network in self.networks)


def check_url(url: str) -> tuple[SplitResult, int, AllowedHosts]:
    """Return a URL's parts, its port and the list that allows its host.

    Raises
    ------
    DataError
        Where it is no http(s) URL of an allowed host, or where there is no list.
    """
    allowed = AllowedHosts.of_environment()
    if not allowed.hosts:
        raise DataError(
            "this service fetches no data from URLs",
            "an upload",
            f"Send the file as 'data', or have the service's keeper set {VARIABLE}.",
        )
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        raise _bad_url(url) from None
    host = (parts.hostname or "").lower()
    plain = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in _PORTS or not host or not plain or "@" in parts.netloc:
        raise _bad_url(url)
    usual = port == _PORTS[parts.scheme]
    if (host, port) not in allowed.hosts and not (usual and (host, None) in allowed.hosts):
        raise DataError(
            f"host {host!r} with port {port} is not on the list of this service",
            f"one of {', '.join(sorted(name for name, _ in allowed.hosts))}",
        )
    return parts, port, allowed


@contextmanager
def url_file(url: str) -> Iterator[Path]:
    """Yield a file with what a URL holds; it is gone afterwards.

    Raises
    ------
    DataError
        Where the URL is not allowed, or cannot be fetched within the limits.
    """
    parts, port, allowed = check_url(url)
    name = _UNSAFE.sub("_", Path(parts.path).name)[-100:].lstrip(".-") or "data"
    folder = Path(tempfile.mkdtemp(prefix="mods-url-"))
    try:
        _fetch(parts, port, allowed, folder / name)
        yield folder / name
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fetch(parts: SplitResult, port: int, allowed: AllowedHosts, path: Path) -> None:
    host, deadline = str(parts.hostname), time.monotonic() + SECONDS
    try:
        address = _resolved(host, port, allowed)
        connection = _Pinned(host, port, address, secure=parts.scheme == "https")
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", target, headers={"User-Agent": "mods", "Accept": "*/*"})
            answer = connection.getresponse()
            if answer.status != 200:
                raise _unfetched(host, f"it answered {answer.status}")
            with path.open("wb") as file:
                total = 0
                while piece := answer.read1(_PIECE):
                    total += len(piece)
                    if total > MAX_BYTES:
                        raise _unfetched(host, f"it sent more than {MAX_BYTES >> 20} MiB")
                    if time.monotonic() > deadline:
                        raise _unfetched(host, f"it took more than {SECONDS:g} seconds")
                    file.write(piece)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        # What a stranger's server says is not repeated.
        raise _unfetched(host, type(error).__name__) from None


class _Pinned(http.client.HTTPConnection):
    """A connection to an address that was looked at, whatever the name means by now."""

    def __init__(self, host: str, port: int, address: Address, *, secure: bool) -> None:
        super().__init__(host, port, timeout=SILENCE)
        self._address, self._secure = address, secure

    def connect(self) -> None:
        self.sock = socket.create_connection((str(self._address), self.port), self.timeout)
        if self._secure:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self.host)


def _resolved(host: str, port: int, allowed: AllowedHosts) -> Address:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for *_, place in found:
        address = ipaddress.ip_address(str(place[0]).partition("%")[0])
        if allowed.allows(address):
            return address
    raise DataError(
        f"host {host!r} has no public address",
        f"a public one, or one in a network on the list of {VARIABLE}",
    )


def _unfetched(host: str, why: str) -> DataError:
    return DataError(
        f"cannot fetch the data from {host!r}: {why}", "a file, without redirects", "Upload it."
    )


def _bad_url(url: str) -> DataError:
    return DataError(f"URL {url[:120]!r}", "http:// or https://, a host and a path")


def _bad_entry(entry: str) -> ConfigError:
    return ConfigError(
        f"{entry!r} in {VARIABLE}",
        "hosts, host:port, or networks, separated by commas",
        "Write for example feeds.example.org,sensor.lan:8080,10.1.0.0/16.",
    )
