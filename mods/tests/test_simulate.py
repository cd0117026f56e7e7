"""Simulated logs: their form, what they tell of a network, and that they repeat."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from mods.config import local_nets
from mods.dataset.simulate import Network, simulate
from mods.tests.zeek_reader import ZEEK_6, contents, read_all, read_tsv, text_of


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days, rotated by the hour, with two incidents."""
    out = tmp_path_factory.mktemp("simulated") / "logs"
    summary = simulate(out, days=2, rate=9000, seed=5, incidents=("scan", "exfiltration"))
    assert summary.files == len(list(out.rglob("*.log")))
    return out


@pytest.mark.parametrize("protocol", ZEEK_6)
def test_the_header_is_zeek_6s_own(logs, protocol):
    path = logs / "2024-03-05" / f"{protocol}.09:00:00-10:00:00.log"
    lines = text_of(path).splitlines()
    fields = [field.rsplit(":", 1) for field in ZEEK_6[protocol].split()]
    assert lines[:8] == [
        "#separator \\x09",
        "#set_separator\t,",
        "#empty_field\t(empty)",
        "#unset_field\t-",
        f"#path\t{protocol}",
        "#open\t2024-03-05-09-00-00",
        "#fields\t" + "\t".join(name for name, _ in fields),
        "#types\t" + "\t".join(zeek for _, zeek in fields),
    ]
    assert lines[-1] == "#close\t2024-03-05-10-00-00"
    assert len(lines) > 9


def test_records_lie_in_their_file_s_hour_and_in_the_order_of_time(logs):
    files = sorted(logs.rglob("*.log"))
    assert len(files) > 200
    for path in files:
        name = re.fullmatch(r"(\w+)\.(\d\d):00:00-(\d\d):00:00\.log", path.name)
        assert name is not None
        assert int(name[3]) == (int(name[2]) + 1) % 24
        start = datetime.fromisoformat(f"{path.parent.name}T{name[2]}:00:00+00:00").timestamp()
        times = [row["ts"] for row in read_tsv(path)]
        assert times == sorted(times)
        assert start <= times[0] and times[-1] < start + 3600


def test_protocol_logs_share_uid_hosts_and_ports_with_a_connection(logs):
    shared = ["id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p"]
    conns = read_all(logs, "conn")
    by_uid = {row["uid"]: row for row in conns}
    assert len(by_uid) == len(conns)
    for protocol in ("dns", "http", "ssh", "ssl", "sip"):
        rows = read_all(logs, protocol)
        assert len(rows) > 30
        for row in rows:
            conn = by_uid[row["uid"]]
            assert [row[name] for name in shared] == [conn[name] for name in shared]
            assert 0 <= row["ts"] - conn["ts"] <= conn.get("duration", 0) + 1e-6
            assert row.get("proto", conn["proto"]) == conn["proto"]


def test_connections_hold_together(logs):
    conns = read_all(logs, "conn")
    nets = local_nets()

    def local(host: str) -> bool:
        return any(
            ip_address(host) in net for net in nets if net.version == ip_address(host).version
        )

    directions = set()
    for row in conns:
        orig, resp = row["id.orig_h"], row["id.resp_h"]
        assert (":" in orig) == (":" in resp)
        assert (local(orig), local(resp)) == (row["local_orig"], row["local_resp"])
        directions.add((row["local_orig"], row["local_resp"], ":" in orig))
        unset = {"duration", "orig_bytes", "resp_bytes"} - row.keys()
        assert unset == (
            {"duration", "orig_bytes", "resp_bytes"} if row["conn_state"] == "S0" else set()
        )
        assert row["orig_ip_bytes"] >= row.get("orig_bytes", 0)
        assert row["resp_ip_bytes"] >= row.get("resp_bytes", 0)
        if row["conn_state"] == "REJ":
            assert (row["orig_bytes"], row["resp_bytes"], row["history"]) == (0, 0, "Sr")
        assert ("history" in row) == (row["proto"] != "icmp")
    # in, out and internal, each by IPv4 and by IPv6; nothing between two outside hosts
    sides = {(False, True), (True, False), (True, True)}
    assert directions == {(*side, v6) for side in sides for v6 in (False, True)}
    states = {row["conn_state"] for row in conns}
    assert states >= {"SF", "S0", "REJ", "RSTO", "RSTR", "S1"}


def test_dns_questions_repeat_and_answers_fit(logs):
    rows = read_all(logs, "dns")
    queries = [row["query"] for row in rows]
    assert len(set(queries)) < len(queries) / 3
    for flag in ("AA", "RA", "RD", "rejected"):
        assert {row[flag] for row in rows} == {True, False}
    for row in rows:
        assert ("answers" in row) == ("TTLs" in row)
        assert len(row.get("answers", [])) == len(row.get("TTLs", []))
        assert row["rejected"] == (row.get("rcode_name") == "REFUSED")
        if row["qtype_name"] in ("A", "AAAA"):
            v6 = row["qtype_name"] == "AAAA"
            assert all((":" in answer) == v6 for answer in row.get("answers", []))


def test_sizes_and_durations_have_heavy_tails(logs):
    conns = [row for row in read_all(logs, "conn") if row["conn_state"] == "SF"]
    for name in ("duration", "orig_bytes", "resp_bytes"):
        values = sorted(row[name] for row in conns)
        assert values[-1] > 1000 * values[len(values) // 2] > 0


def test_the_same_arguments_make_the_same_bytes(logs, tmp_path):
    simulate(tmp_path / "again", days=2, rate=9000, seed=5, incidents=("scan", "exfiltration"))
    assert contents(tmp_path / "again") == contents(logs)
    options: dict[str, Any] = {"days": 1, "rate": 2000, "compressed": True, "rotate": "day"}
    for name in ("one", "two"):
        simulate(tmp_path / name, **options)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert all(name.endswith((".log.gz", ".tsv")) for name in contents(tmp_path / "one"))
    simulate(tmp_path / "other", **options, seed=1)
    assert contents(tmp_path / "other") != contents(tmp_path / "one")


@pytest.mark.parametrize(
    ("rotate", "log_format", "compressed"),
    [("none", "tsv", True), ("none", "json", False), ("day", "tsv", False), ("day", "json", True)],
)
def test_every_rotation_and_format_tells_the_same_records(
    logs, tmp_path, rotate, log_format, compressed
):
    simulate(
        tmp_path / "logs", days=2, rate=9000, seed=5, incidents=("scan", "exfiltration"),
        rotate=rotate, log_format=log_format, compressed=compressed,
    )  # fmt: skip
    names = {str(p.relative_to(tmp_path / "logs")) for p in (tmp_path / "logs").rglob("conn*")}
    suffix = ".log.gz" if compressed else ".log"
    if rotate == "none":
        assert names == {f"conn{suffix}"}
    if rotate == "day":
        assert names == {f"2024-03-0{day}/conn.00:00:00-00:00:00{suffix}" for day in (4, 5)}
    for protocol in ZEEK_6:
        assert read_all(tmp_path / "logs", protocol) == read_all(logs, protocol)
    assert (tmp_path / "logs" / "incidents.tsv").read_bytes() == (
        logs / "incidents.tsv"
    ).read_bytes()


def test_days_made_in_parts_are_whole():
    network = Network(date(2024, 3, 4), rate=320_000)
    parts = list(network.parts(0))
    assert len(parts) == 2
    for protocol in ZEEK_6:
        times = [t for part in parts for t in part[protocol]["ts"].dt.epoch("us").to_list()]
        assert times == sorted(times)
        assert network.midnight(0) <= times[0] and times[-1] < network.midnight(1)
    total = sum(len(table) for part in parts for table in part.values())
    assert 0.8 * 320_000 < total < 1.6 * 320_000  # a Monday has more than the week's mean


def test_a_week_has_the_rate_that_was_asked_for():
    for seed in (1, 2, 3):
        network = Network(date(2024, 3, 4), rate=20_000, seed=seed)
        week = [sum(len(t) for t in network.records(day).values()) for day in range(7)]
        assert sum(week) / 7 == pytest.approx(20_000, rel=0.12)


def test_times_are_told_in_utc(logs):
    first = read_all(logs, "conn")[0]["ts"]
    assert datetime.fromtimestamp(first, UTC).isoformat().startswith("2024-03-04T00:00:")
