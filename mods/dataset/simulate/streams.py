"""The streams of traffic of one site: who speaks with whom, how much, and when."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from mods.dataset.simulate.rhythm import Job
from mods.dataset.simulate.services import SERVICES, Service
from mods.dataset.simulate.site import Pool, Site

__all__ = ["DIRECTIONS", "Stream", "site_streams"]

DIRECTIONS = ("in", "out", "internal")


@dataclass(frozen=True)
class Stream:
    """Connections of one kind between two groups of hosts.

    Parameters
    ----------
    name
        For people.
    service
        A key of `SERVICES`.
    direction
        `in`, `out` or `internal`.
    orig, resp
        Who opens the connections, and to whom.
    flows
        Mean number of connections a day (over a week, before growth).
    rhythm
        A kind of `rhythm`, or a periodic job.
    burst
        How uneven: the variance of a ten-minute slot's rate, relative to its mean squared.
    wander
        Sigma of the slow noise.
    growth
        Growth a day, as a rate.
    v6
        Share of IPv6.
    names
        Which names are asked for (DNS, HTTP, TLS): `web`, `site`, `reverse`, `tunnel`.
    weight
        Factor on the originator's bytes.
    """

    name: str
    service: str
    direction: str
    orig: Pool
    resp: Pool
    flows: float
    rhythm: str | Job = "flat"
    burst: float = 0.02
    wander: float = 0.08
    growth: float = 0.0
    v6: float = 0.0
    names: str = "web"
    weight: float = 1.0

    @property
    def kind(self) -> Service:
        """What its connections look like."""
        return SERVICES[self.service]

    @property
    def records(self) -> float:
        """Records a connection, over all logs."""
        return 1 + (self.kind.records if self.kind.log else 0)


# name; service, direction, originators, responders; share, rhythm, burst, wander, IPv6; names
_TABLE = """
browsing             | https out clients web_servers        | 15   office 0.06 0.12 0.15 | web
browsing by QUIC     | quic out clients web_servers         | 3    office 0.06 0.12 0.20 | web
plain web            | http out clients web_servers         | 3    office 0.08 0.12 0.05 | web
server updates       | https out servers web_servers        | 1    flat   0.05 0.05 0.10 | web
mail out             | smtp out mail mail_servers           | 0.8  office 0.05 0.10 0    | web
logins out           | ssh out clients partners             | 0.4  office 0.05 0.15 0    | web
time                 | ntp out servers time_servers         | 2    flat   0    0.01 0    | web
recursion            | dns out resolver name_servers        | 8    office 0.05 0.10 0.15 | web
recursion by TCP     | dns_tcp out resolver name_servers    | 0.1  office 0    0.10 0.10 | web
trunk                | sip out pbx provider                 | 0.25 shift  0.10 0.10 0    | web
visitors             | https in visitors web                | 8    home   0.10 0.12 0.12 | site
plain visitors       | http in visitors web                 | 1.6  world  0.10 0.12 0.05 | site
crawlers             | http in bots web                     | 0.7  flat   0.30 0.20 0    | site
mail in              | smtp in mail_servers mail            | 1.5  world  0.10 0.10 0    | site
reading mail         | imaps in visitors mail               | 1.2  home   0.03 0.08 0    | site
names asked          | dns in resolvers authoritative       | 5    world  0.05 0.10 0.20 | site
names by TCP         | dns_tcp in resolvers authoritative   | 0.15 world  0    0.10 0.10 | site
open resolver probes | dns in bots authoritative            | 0.2  flat   0.80 0.20 0    | web
logins in            | ssh in visitors logins               | 0.5  office 0.05 0.12 0    | site
password guessing    | ssh_probe in bots logins             | 1.8  flat   0.25 0.15 0    | site
scanning             | probe in bots everything             | 9    flat   0.15 0.12 0    | site
telephone scanning   | sip_probe in bots pbx                | 0.12 flat   1.50 0.30 0    | site
names                | dns internal clients resolver        | 16   office 0.05 0.10 0.15 | web
server names         | dns internal servers resolver        | 5    flat   0.03 0.05 0.05 | site
reverse names        | dns internal monitor resolver        | 1    flat   0.03 0.05 0    | reverse
shares               | smb internal clients files           | 3    office 0.05 0.10 0    | site
directory            | ldap internal clients files          | 2.5  office 0.05 0.10 0    | site
tickets              | kerberos internal clients files      | 2    office 0.05 0.10 0    | site
intranet             | https internal clients intranet      | 3    office 0.05 0.10 0.10 | site
old intranet         | http internal clients intranet       | 1    office 0.05 0.10 0.10 | site
queries              | database internal intranet database  | 3    office 0.03 0.08 0    | site
administration       | ssh internal clients logins          | 0.4  office 0.05 0.15 0    | site
telephones           | sip internal phones pbx              | 2    shift  0.03 0.06 0    | site
"""

# name; service, direction, originators, responders; share; possible periods in minutes;
# length in minutes
_JOBS = """
health checks        | ping internal monitor all_servers    | 3    | 5           | 1
metrics              | metrics internal monitor servers     | 3    | 5 10        | 1
configuration        | ssh internal intranet logins         | 0.6  | 30 60       | 3
nightly backup       | backup internal servers backup       | 0.35 | 1440        | 150
weekly backup        | backup internal servers backup       | 0.06 | 10080       | 420
copies to a partner  | sync out files partners              | 0.5  | 240 360 480 | 20
feeds fetched        | https out intranet web_servers       | 1.2  | 15 20 30    | 2
package lists        | http out servers web_servers         | 0.5  | 720 1440    | 25
partners' polls      | https in partners web                | 1.5  | 60 120      | 6
partners' copies     | ssh in partners logins               | 0.4  | 360         | 15
uptime checks        | https in partners web                | 1.0  | 5 10        | 1
outside checks       | ping out monitor name_servers        | 1.0  | 1           | 1
"""


def site_streams(site: Site, seed: int, rate: float) -> tuple[list[Stream], float]:
    """Return the streams of one network, drawn by the seed, and its start of work (hour, UTC).

    Together they make `rate` records a day, in the mean over a week and before
    growth, over all logs.
    """
    rng = np.random.default_rng([seed, 1])
    start_of_work = float(rng.uniform(6.0, 9.0))
    bursts = float(rng.lognormal(0.0, 0.4))
    streams = [_habit(line, rng, site, bursts) for line in _TABLE.strip().splitlines()]
    streams += [_job(line, rng, site) for line in _JOBS.strip().splitlines()]
    factor = rate / sum(stream.flows * stream.records for stream in streams)
    return [replace(stream, flows=stream.flows * factor) for stream in streams], start_of_work


def _habit(line: str, rng: Generator, site: Site, bursts: float) -> Stream:
    name, who, how, names = line.split("|")
    service, direction, orig, resp = who.split()
    share, rhythm, burst, wander, v6 = how.split()
    return Stream(
        name.strip(),
        service,
        direction,
        site.pools[orig],
        site.pools[resp],
        flows=float(share) * float(rng.lognormal(0.0, 0.35)),
        rhythm=rhythm,
        burst=float(burst) * bursts,
        wander=float(wander),
        growth=float(rng.normal(0.002, 0.002)),
        v6=float(v6),
        names=names.strip(),
    )


def _job(line: str, rng: Generator, site: Site) -> Stream:
    name, who, share, periods, length = line.split("|")
    service, direction, orig, resp = who.split()
    period = int(rng.choice([int(minutes) for minutes in periods.split()]))
    return Stream(
        name.strip(),
        service,
        direction,
        site.pools[orig],
        site.pools[resp],
        flows=float(share) * float(rng.lognormal(0.0, 0.35)),
        rhythm=Job(period, int(rng.integers(period)), int(length)),
        burst=0.01,
        wander=0.03,
        growth=float(rng.normal(0.001, 0.001)),
        names="web" if direction == "out" else "site",
    )
