"""Names that are asked for: the web's, the site's own, reverse ones, and their answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from mods.dataset.simulate.site import Site
from mods.dataset.simulate.streams import Stream

__all__ = ["GROUPS", "Names"]

#: Groups of names; a group's code is its place.
GROUPS = ("web", "site", "reverse", "tunnel")

# fmt: off
_WORDS = (
    "river", "stone", "maple", "harbor", "cedar", "lumen", "orbit", "delta", "falcon", "meadow",
    "ember", "quartz", "willow", "anchor", "cobalt", "saffron", "tundra", "violet", "summit",
    "pebble", "lagoon", "copper", "breeze", "canyon",
)
_HOSTS = (
    "www", "api", "cdn", "img", "static", "mail", "login", "data", "news", "shop", "video", "m",
    "assets", "sync", "edge", "time", "update",
)
_SERVERS = (
    "www", "mail", "ns1", "ns2", "files", "db", "intranet", "backup", "pbx", "monitor", "vpn",
    "git", "wiki", "ldap", "auth",
)
# fmt: on


@dataclass(frozen=True)
class Names:
    """All names, in runs by group, and what is answered for each.

    Attributes
    ----------
    names
        Strings.
    first, size, skew
        `(groups,)`: the run of each group, and how uneven its names are asked for.
    answers, answers_v6
        A list of addresses for each name.
    lifetime
        Seconds that each answer may be kept: `(names,)`.
    """

    names: pl.Series
    first: NDArray[np.int64]
    size: NDArray[np.int64]
    skew: NDArray[np.float64]
    answers: pl.Series
    answers_v6: pl.Series
    lifetime: NDArray[np.int64]

    @classmethod
    def of(cls, site: Site, seed: int, scale: float) -> Names:
        """Draw the names of one network."""
        rng = np.random.default_rng([seed, 2])
        web = [
            f"{_HOSTS[n % len(_HOSTS)]}.{_WORDS[(n * 7) % len(_WORDS)]}{n // 24}.example"
            for n in range(min(int(3000 * scale) + 500, 30_000))
        ]
        own = [f"{host}.site.example" for host in _SERVERS]
        own += [f"host{n}.site.example" for n in range(300)]
        reverse = [f"{n}.10.168.192.in-addr.arpa" for n in range(1, 255)]
        reverse += [f"{n}.1.20.10.in-addr.arpa" for n in range(1, 255)]
        groups = [web, own, reverse]
        size = np.array([len(group) for group in groups])
        names = [name for group in groups for name in group]
        return cls(
            names=pl.Series(names),
            first=np.concatenate([[0], np.cumsum(size)[:-1]]),
            size=size,
            skew=np.array([2.6, 2.2, 1.0]),
            answers=_answers(site, rng, len(names), v6=False),
            answers_v6=_answers(site, rng, len(names), v6=True),
            lifetime=rng.choice([30, 60, 300, 900, 3600, 86400], len(names)),
        )

    def of_hosts(
        self, hosts: NDArray[np.int64], stream: NDArray[np.int64], streams: Sequence[Stream]
    ) -> NDArray[np.int64]:
        """Return the row of the name by which each host is called: `(records,)`.

        A host always has the same name, so that names repeat with hosts.
        """
        group = np.array([GROUPS.index(s.names) for s in streams])[stream]
        rows: NDArray[np.int64] = self.first[group] + hosts % self.size[group]
        return rows


def _answers(site: Site, rng: np.random.Generator, count: int, *, v6: bool) -> pl.Series:
    """Return one to three addresses of the outside world for each name (one by IPv6)."""
    pool = site.pools["web_servers"]
    first, size = (pool.first_v6, pool.size_v6) if v6 else (pool.first, pool.size)
    length = np.ones(count, np.int64) if v6 else rng.integers(1, 4, size=count)
    chosen = site.addresses.gather(first + rng.integers(size, size=int(length.sum())))
    offsets = pa.array(np.concatenate([[0], np.cumsum(length)]))
    lists = pl.from_arrow(pa.LargeListArray.from_arrays(offsets, chosen.to_arrow()))
    assert isinstance(lists, pl.Series)
    return lists
