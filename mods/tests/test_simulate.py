"""Simulated logs: their form, that they repeat, and what a user meets on the way."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from datetime import UTC, date, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from mods import cli
from mods.config import local_nets
from mods.dataset.simulate import KINDS, Network, simulate
from mods.dataset.simulate.log_files import LogFiles
from mods.errors import DataError, ModsError

# Written down by hand from Zeek 6's documentation (the default scripts, nothing added).
ZEEK_6 = {
    "conn": "ts:time uid:string id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port "
    "proto:enum service:string duration:interval orig_bytes:count resp_bytes:count "
    "conn_state:string local_orig:bool local_resp:bool missed_bytes:count history:string "
    "orig_pkts:count orig_ip_bytes:count resp_pkts:count resp_ip_bytes:count "
    "tunnel_parents:set[string]",
    "dns": "ts:time uid:string id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port "
    "proto:enum trans_id:count rtt:interval query:string qclass:count qclass_name:string "
    "qtype:count qtype_name:string rcode:count rcode_name:string AA:bool TC:bool RD:bool "
    "RA:bool Z:count answers:vector[string] TTLs:vector[interval] rejected:bool",
    "http": "ts:time uid:string id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port "
    "trans_depth:count method:string host:string uri:string referrer:string version:string "
    "user_agent:string origin:string request_body_len:count response_body_len:count "
    "status_code:count status_msg:string info_code:count info_msg:string tags:set[enum] "
    "username:string password:string proxied:set[string] orig_fuids:vector[string] "
    "orig_filenames:vector[string] orig_mime_types:vector[string] resp_fuids:vector[string] "
    "resp_filenames:vector[string] resp_mime_types:vector[string]",
    "ssh": "ts:time uid:string id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port "
    "version:count auth_success:bool auth_attempts:count direction:enum client:string "
    "server:string cipher_alg:string mac_alg:string compression_alg:string kex_alg:string "
    "host_key_alg:string host_key:string",
    "ssl": "ts:time uid:string id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port "
    "version:string cipher:string curve:string server_name:string resumed:bool "
    "last_alert:string next_protocol:string established:bool ssl_history:string "
    "cert_chain_fps:vector[string] client_cert_chain_fps:vector[string] sni_matches_cert:bool",
    "sip": "ts:time uid:string id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port "
    "trans_depth:count method:string uri:string date:string request_from:string "
    "request_to:string response_from:string response_to:string reply_to:string "
    "call_id:string seq:string subject:string request_path:vector[string] "
    "response_path:vector[string] user_agent:string status_code:count status_msg:string "
    "warning:string request_body_len:count response_body_len:count content_type:string",
}


def _text(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()


def _value(text: str, zeek: str) -> Any:
    """Return a TSV cell as a value, by the plainest possible rules."""
    if zeek.startswith(("set[", "vector[")):
        inner = zeek[zeek.index("[") + 1 : -1]
        return [] if text == "(empty)" else [_value(item, inner) for item in text.split(",")]
    if zeek in ("time", "interval"):
        return float(text)
    if zeek in ("count", "port"):
        return int(text)
    if zeek == "bool":
        return {"T": True, "F": False}[text]
    return text


def _read_tsv(path: Path) -> list[dict[str, Any]]:
    lines = _text(path).splitlines()
    fields, types = lines[6].split("\t")[1:], lines[7].split("\t")[1:]
    rows = []
    for line in lines[8:-1]:
        cells = line.split("\t")
        assert len(cells) == len(fields), line
        rows.append(
            {n: _value(c, z) for n, z, c in zip(fields, types, cells, strict=True) if c != "-"}
        )
    return rows


def _read_all(folder: Path, protocol: str) -> list[dict[str, Any]]:
    rows = []
    for path in sorted(folder.rglob(f"{protocol}*.log*")):
        if "{" in _text(path)[:1]:
            rows += [json.loads(line) for line in _text(path).splitlines()]
        else:
            rows += _read_tsv(path)
    return rows


def _bytes(folder: Path) -> dict[str, bytes]:
    """Return every file with its bytes, but for the note with the seconds it took."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != ".simulation.json")
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


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
    lines = _text(path).splitlines()
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
        times = [row["ts"] for row in _read_tsv(path)]
        assert times == sorted(times)
        assert start <= times[0] and times[-1] < start + 3600


def test_protocol_logs_share_uid_hosts_and_ports_with_a_connection(logs):
    shared = ["id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p"]
    conns = _read_all(logs, "conn")
    by_uid = {row["uid"]: row for row in conns}
    assert len(by_uid) == len(conns)
    for protocol in ("dns", "http", "ssh", "ssl", "sip"):
        rows = _read_all(logs, protocol)
        assert len(rows) > 30
        for row in rows:
            conn = by_uid[row["uid"]]
            assert [row[name] for name in shared] == [conn[name] for name in shared]
            assert 0 <= row["ts"] - conn["ts"] <= conn.get("duration", 0) + 1e-6
            assert row.get("proto", conn["proto"]) == conn["proto"]


def test_connections_hold_together(logs):
    conns = _read_all(logs, "conn")
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
    rows = _read_all(logs, "dns")
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
    conns = [row for row in _read_all(logs, "conn") if row["conn_state"] == "SF"]
    for name in ("duration", "orig_bytes", "resp_bytes"):
        values = sorted(row[name] for row in conns)
        assert values[-1] > 1000 * values[len(values) // 2] > 0


def test_the_same_arguments_make_the_same_bytes(logs, tmp_path):
    simulate(tmp_path / "again", days=2, rate=9000, seed=5, incidents=("scan", "exfiltration"))
    assert _bytes(tmp_path / "again") == _bytes(logs)
    options: dict[str, Any] = {"days": 1, "rate": 2000, "compressed": True, "rotate": "day"}
    for name in ("one", "two"):
        simulate(tmp_path / name, **options)
    assert _bytes(tmp_path / "one") == _bytes(tmp_path / "two")
    assert all(name.endswith((".log.gz", ".tsv")) for name in _bytes(tmp_path / "one"))
    simulate(tmp_path / "other", **options, seed=1)
    assert _bytes(tmp_path / "other") != _bytes(tmp_path / "one")


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
        assert _read_all(tmp_path / "logs", protocol) == _read_all(logs, protocol)
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


def test_bad_arguments_are_told(tmp_path):
    for options, message in (
        ({"days": 0}, "0 days; expected 1 to 3660"),
        ({"days": 4000}, "4000 days; expected 1 to 3660"),
        ({"rate": 1}, "a rate of 1 records a day; expected 10 to 1e9"),
        ({"rate": float("nan")}, "a rate of nan records a day; expected 10 to 1e9"),
        ({"seed": -1}, "seed -1; expected 0 or more"),
        ({"start": "2024-02-30"}, "start '2024-02-30'; expected a day such as 2024-03-04"),
        ({"start": "9999-12-30"}, "start '9999-12-30'; expected a day such as 2024-03-04"),
        ({"start": "1969-12-31"}, "start '1969-12-31'; expected a day since 1970-01-01"),
        ({"log_format": "jsn"}, "unknown format 'jsn'. Did you mean 'json'?"),
        ({"rotate": "week"}, "unknown rotation 'week'. Known: day, hour, none."),
        ({"incidents": ("flod",)}, "unknown kind of incident 'flod'. Did you mean 'flood'?"),
    ):
        with pytest.raises(ModsError, match=re.escape(message)):
            simulate(tmp_path / "logs", **options)
    assert not (tmp_path / "logs").exists()


def test_a_directory_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    for force in (False, True):
        with pytest.raises(DataError, match="is not empty and was not made by a simulation"):
            simulate(tmp_path, days=1, rate=1000, force=force)
    assert [p.name for p in tmp_path.iterdir()] == ["precious.txt"]
    with pytest.raises(DataError, match="is not empty and was not made by a simulation"):
        simulate(tmp_path / "precious.txt", days=1, rate=1000)


def test_a_simulation_is_reused_refused_or_replaced(tmp_path):
    out = tmp_path / "logs"
    first = simulate(out, days=2, rate=1000, rotate="day")
    before = _bytes(out)
    again = simulate(out, days=2, rate=1000, rotate="day")
    assert (first.reused, again.reused) == (False, True)
    assert again.records == first.records
    with pytest.raises(DataError, match=r"made with other arguments\. .*--force"):
        simulate(out, days=1, rate=1000)
    assert _bytes(out) == before
    (out / "notes.txt").write_text("mine")
    simulate(out, days=1, rate=1000, rotate="none", force=True)
    assert {p.name for p in out.iterdir()} == {
        ".simulation.json", "incidents.tsv", "notes.txt", *(f"{name}.log" for name in ZEEK_6)
    }  # fmt: skip


def test_a_damaged_note_is_told(tmp_path):
    simulate(tmp_path / "logs", days=1, rate=1000, rotate="none")
    (tmp_path / "logs" / ".simulation.json").write_text("{")
    with pytest.raises(DataError, match="does not tell what"):
        simulate(tmp_path / "logs", days=1, rate=1000)


@pytest.mark.parametrize("rotate", ["day", "none"])
def test_a_run_that_was_broken_off_is_repeated_without_more_ado(tmp_path, monkeypatch, rotate):
    written = LogFiles.write
    calls = []

    def broken(self, protocol, table):
        calls.append(protocol)
        if len(calls) > 8:  # on the second day
            raise KeyboardInterrupt
        written(self, protocol, table)

    with monkeypatch.context() as patch:
        patch.setattr(LogFiles, "write", broken)
        with pytest.raises(KeyboardInterrupt):
            simulate(tmp_path / "logs", days=3, rate=1000, rotate=rotate)
    simulate(tmp_path / "logs", days=3, rate=1000, rotate=rotate)
    simulate(tmp_path / "clean", days=3, rate=1000, rotate=rotate)
    assert _bytes(tmp_path / "logs") == _bytes(tmp_path / "clean")


def test_what_a_killed_run_left_gives_way_to_any_other(tmp_path):
    script = (
        "import os, sys\n"
        "from mods.dataset.simulate import simulate\n"
        "from mods.dataset.simulate.log_files import LogFiles\n"
        "LogFiles.end_of_day = lambda self: os._exit(9)\n"
        "simulate(sys.argv[1], days=5, rate=1000)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, tmp_path / "logs"], check=False)
    assert killed.returncode == 9
    assert any((tmp_path / "logs" / ".partial").rglob("conn*.log"))
    simulate(tmp_path / "logs", days=1, rate=1000, rotate="day")
    simulate(tmp_path / "clean", days=1, rate=1000, rotate="day")
    assert _bytes(tmp_path / "logs") == _bytes(tmp_path / "clean")


def test_the_features_stage_reads_every_record(tmp_path, capsys):
    simulate(tmp_path / "logs", days=1, rate=5000, incidents=("flood",), compressed=True)
    words = ["--out", str(tmp_path / "pool"), "--json"]
    assert cli.main(["features", str(tmp_path / "logs"), *words]) == 0
    read = json.loads(capsys.readouterr().out)["protocols"]
    for protocol in ZEEK_6:
        assert read[protocol]["rows"] == len(_read_all(tmp_path / "logs", protocol))
        assert read[protocol]["rejects"] == read[protocol]["outside"] == 0


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def full(self, protocol, table):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LogFiles, "write", full)
    with pytest.raises(DataError, match=r"No space left on device.*space left on the disk"):
        simulate(tmp_path / "logs", days=1, rate=1000)


def test_the_command_reports_in_words_and_in_json(tmp_path, capsys):
    words = ["simulate", "--out", str(tmp_path / "a"), "--days", "2", "--rate", "1500"]
    assert cli.main([*words, "--start", "2023-12-31", "--seed", "4", "--gzip"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith(f"2 days of logs in {tmp_path / 'a'}, written in ")
    assert (tmp_path / "a" / "2024-01-01" / "conn.12:00:00-13:00:00.log.gz").is_file()
    assert cli.main([*words, "--start", "2023-12-31", "--seed", "4", "--gzip", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["reused"] is True
    assert document["records"].keys() == ZEEK_6.keys()
    rows = {name: len(_read_all(tmp_path / "a", name)) for name in ZEEK_6}
    assert document["records"] == rows
    assert cli.main([*words, "--no-incidents"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("mods simulate: ") and error.count("\n") == 1
    assert cli.main([*words, "--no-incidents", "--force"]) == 0
    assert len((tmp_path / "a" / "incidents.tsv").read_text().splitlines()) == 1
    assert cli.main([*words, "--incidents", "flood", "--force", "--format", "json"]) == 0
    assert "flood" in (tmp_path / "a" / "incidents.tsv").read_text()


def test_the_help_names_every_kind_of_incident(capsys):
    with pytest.raises(SystemExit):
        cli.main(["simulate", "--help"])
    shown = capsys.readouterr().out
    assert all(kind in shown for kind in KINDS)


def test_times_are_told_in_utc(logs):
    first = _read_all(logs, "conn")[0]["ts"]
    assert datetime.fromtimestamp(first, UTC).isoformat().startswith("2024-03-04T00:00:")
