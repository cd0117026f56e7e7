"""What the simulated traffic does: its rhythms, and the incidents that its labels tell of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import cache

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mods.dataset.simulate import KINDS, Network, SimulatedIncident
from mods.dataset.simulate.flows import DAY
from mods.dataset.simulate.rhythm import Job, rhythm, wander
from mods.timerange import MICROSECONDS

MONDAY = date(2024, 3, 4)
HOUR = 3600 * MICROSECONDS


@cache
def _week(seed: int) -> tuple[dict[str, pl.DataFrame], ...]:
    network = Network(MONDAY, seed=seed, rate=15_000)
    return tuple(network.records(day) for day in range(7))


def _directed(table: pl.DataFrame, direction: str) -> pl.DataFrame:
    """Return a direction's records; outside addresses are known by how they begin."""
    outside = {"in": (True, False), "out": (False, True), "internal": (False, False)}[direction]
    sides = [
        pl.col(f"id.{side}_h").str.contains(r"^(198\.1[89]\.|2001:db8:)")
        for side in ("orig", "resp")
    ]
    return table.filter((sides[0] == outside[0]) & (sides[1] == outside[1]))


def _in(table: pl.DataFrame, start: int, end: int) -> pl.DataFrame:
    ts = pl.col("ts").dt.epoch("us")
    return table.filter((ts >= start) & (ts < end))


def test_offices_work_by_day_and_rest_at_night_and_on_weekends():
    out = [_directed(day["conn"], "out") for day in _week(3)]
    hours = [np.bincount(table["ts"].dt.hour().to_numpy(), minlength=24) for table in out]
    assert all(hours[day][10:15].mean() > 3 * hours[day][0:4].mean() for day in range(5))
    assert all(len(out[5 + n]) < 0.5 * len(out[day]) for n in range(2) for day in range(5))
    home = [len(_directed(day["ssl"], "in")) for day in _week(3)]
    assert np.mean(home[5:]) > 0.8 * np.mean(home[:5])


def test_a_protocol_is_quiet_for_hours():
    for day in range(5):
        hours = set(_directed(_week(3)[day]["sip"], "internal")["ts"].dt.hour())
        assert 6 <= len(hours) <= 14
    assert _directed(_week(3)[6]["sip"], "internal").is_empty()


def test_jobs_come_at_their_period():
    network = Network(MONDAY, seed=3)
    job = next(s for s in network.streams if s.name == "partners' copies")
    assert isinstance(job.rhythm, Job) and job.rhythm.period == 360
    rates = network.usual_rates(0)[network.streams.index(job)]
    busy = np.flatnonzero(rates)
    assert len(busy) == 4 * 15
    assert set(np.diff(busy)) == {1, 360 - 14}
    assert rates.sum() == pytest.approx(job.flows)


@given(
    kind=st.sampled_from(["office", "home", "world", "flat", "shift"]),
    start=st.floats(5, 10),
)
def test_a_rhythm_has_mean_one_over_a_week(kind, start):
    week = np.array([rhythm(kind, day, start) for day in range(7)])
    assert week.mean() == pytest.approx(1)
    assert week.min() >= 0


def test_slow_noise_is_the_same_by_itself_and_goes_on_over_midnight():
    days = [wander(9, day, 200) for day in range(3)]
    assert np.array_equal(days[1], wander(9, 1, 200))
    assert np.var(np.concatenate(days, axis=1)) == pytest.approx(1, abs=0.25)
    within = np.abs(np.diff(days[0], axis=1)).max()
    assert np.abs(days[1][:, 0] - days[0][:, -1]).max() <= within


def test_traffic_grows_slowly():
    network = Network(MONDAY, seed=3)
    first, later = network.usual_rates(0).sum(), network.usual_rates(280).sum()
    assert 1.1 * first < later < 4 * first


def test_seeds_are_other_networks():
    habits = {(s.name, round(s.flows), s.rhythm) for s in Network(MONDAY, seed=1).streams}
    others = {(s.name, round(s.flows), s.rhythm) for s in Network(MONDAY, seed=2).streams}
    assert len(habits & others) < 5


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    days=st.integers(1, 40),
    kinds=st.sets(st.sampled_from(KINDS), min_size=1).map(sorted),
)
def test_incidents_stand_apart_within_the_time(seed, days, kinds):
    network = Network(MONDAY, seed=seed, rate=20_000)
    network.plan(days, kinds)
    incidents = network.incidents
    assert len(incidents) == max(1, round(days / 2))
    assert {i.kind for i in incidents} <= set(kinds)
    if len(incidents) >= len(kinds):
        assert {i.kind for i in incidents} == set(kinds)
    edges = [edge for i in incidents for edge in (i.start, i.end)]
    assert edges == sorted(set(edges))
    assert edges[0] >= network.midnight(0) + days * DAY * 0.25 - MICROSECONDS
    assert edges[-1] <= network.midnight(days)
    for incident in incidents:
        assert incident.strength > 0
        assert incident.start % MICROSECONDS == incident.end % MICROSECONDS == 0
        assert not any("\t" in text or "\n" in text for text in (incident.text, incident.columns))


def _pair(
    kind: str, seed: int, wanted: Callable[[SimulatedIncident], bool]
) -> tuple[SimulatedIncident, Network, Network]:
    """Return the first incident that is wanted, its network, and the same one without it."""
    for trial in range(seed, seed + 60):
        network = Network(MONDAY, seed=trial, rate=40_000)
        network.plan(4, [kind])
        for incident in network.incidents:
            if wanted(incident):
                return incident, network, Network(MONDAY, seed=trial, rate=40_000)
    raise AssertionError(f"no such {kind}")


def _tables(network: Network, incident: SimulatedIncident) -> dict[str, pl.DataFrame]:
    """Return the records of the incident's time."""
    zero = network.midnight(0)
    days = range((incident.start - zero) // DAY, (incident.end - 1 - zero) // DAY + 1)
    records = [network.records(day) for day in days]
    names = records[0].keys()
    return {
        n: _in(pl.concat([day[n] for day in records]), incident.start, incident.end) for n in names
    }


def _level(tables: dict[str, pl.DataFrame], incident: SimulatedIncident) -> float:
    """Return the first column of the label, over the incident's time."""
    protocol, column = incident.columns.split(";")[0].split("|")[:2]
    table = _directed(tables[protocol], incident.direction)
    if column in ("in", "out", "internal") or column.endswith("_count_uid"):
        return len(table)
    name = column.removeprefix(f"{incident.direction}_")
    if name == "AA_true":
        return int(table["AA"].sum())
    assert name == "sum_orig_bytes"
    return int(table["orig_bytes"].sum())


@pytest.mark.parametrize("seed", [100, 200])
@pytest.mark.parametrize("kind", ["scan", "slow_scan", "flood", "brute_force", "beaconing"])
def test_what_is_added_is_as_strong_as_the_label_says(kind, seed):
    incident, network, quiet = _pair(kind, seed, lambda _: True)
    seen, usual = (_level(_tables(n, incident), incident) for n in (network, quiet))
    assert seen > usual
    assert (seen - usual) / usual == pytest.approx(incident.strength, rel=0.4)


def test_added_connections_come_from_the_host_that_is_named():
    for kind in ("scan", "brute_force", "beaconing", "exfiltration"):
        incident, network, quiet = _pair(kind, 300, lambda _: True)
        counts = [
            len(_tables(n, incident)["conn"].filter(pl.col("id.orig_h") == incident.host))
            for n in (network, quiet)
        ]
        assert counts[0] > counts[1] + 4
        assert incident.host in incident.text


def test_exfiltration_is_seen_in_the_bytes_that_go_out():
    incident, network, quiet = _pair(
        "exfiltration", 400, lambda i: i.columns == "conn|out_sum_orig_bytes" and i.strength > 4
    )
    seen, usual = (_level(_tables(n, incident), incident) for n in (network, quiet))
    assert seen > usual * (1 + 0.4 * incident.strength)


def test_exfiltration_by_names_is_seen_in_distinct_queries():
    incident, network, quiet = _pair("exfiltration", 400, lambda i: i.columns.startswith("dns"))
    queries = [
        _directed(_tables(n, incident)["dns"], "out")["query"].n_unique() for n in (network, quiet)
    ]
    assert queries[0] > queries[1] * (1 + 0.5 * incident.strength)
    seen, usual = (_level(_tables(n, incident), incident) for n in (network, quiet))
    assert (seen - usual) / usual == pytest.approx(incident.strength, rel=0.4)


@pytest.mark.parametrize("seed", [500, 600])
def test_a_service_fades_to_what_the_label_says(seed):
    incident, network, quiet = _pair("fade", seed, lambda i: i.end - i.start > 3 * HOUR)
    with_it, without = (_tables(n, incident) for n in (network, quiet))
    shares = []
    third = (incident.end - incident.start) // 3
    for part in (0, 2):
        start = incident.start + part * third
        levels = [
            len(_in(t["conn"], start, start + third).filter(pl.col("id.resp_h") == incident.host))
            for t in (with_it, without)
        ]
        shares.append(levels[0] / levels[1])
    # linear: lost by a sixth of the strength in the first third, five sixths in the last
    assert shares[0] == pytest.approx(1 - incident.strength / 6, abs=0.1)
    assert shares[1] == pytest.approx(1 - incident.strength * 5 / 6, abs=0.1)


@pytest.mark.parametrize("seed", [700, 800])
def test_a_service_that_is_down_answers_as_few_as_the_label_says(seed):
    incident, network, quiet = _pair("service_outage", seed, lambda i: i.end - i.start > HOUR)
    answered = []
    for one in (network, quiet):
        conns = _directed(_tables(one, incident)["conn"], "in")
        # the service's own host, but for what scanners try there
        own = conns.filter(
            (pl.col("id.resp_h") == incident.host)
            & pl.col("id.resp_p").is_in([25, 53, 80, 443, 993])
        )
        silent = own["conn_state"].is_in(["S0", "REJ"]).mean()
        assert isinstance(silent, float)
        answered.append(1 - silent)
    assert answered[0] / answered[1] == pytest.approx(1 - incident.strength, abs=0.15)
    seen, usual = (_level(_tables(n, incident), incident) for n in (network, quiet))
    assert seen < usual * (1 - 0.4 * incident.strength)


def test_a_silent_sensor_writes_nothing_and_the_rest_is_as_before():
    incident, network, quiet = _pair("sensor_outage", 900, lambda i: i.end - i.start > HOUR)
    assert all(table.is_empty() for table in _tables(network, incident).values())
    assert all(len(table) for name, table in _tables(quiet, incident).items() if name != "sip")
    day = (incident.start - network.midnight(0)) // DAY
    before = [n.records(day)["conn"]["ts"].dt.epoch("us") for n in (network, quiet)]
    assert (
        before[0]
        .filter(before[0] < incident.start)
        .equals(before[1].filter(before[1] < incident.start))
    )
