"""`mods features` as a person runs it."""

from __future__ import annotations

import json
import re

import pytest

from mods import read_datapool
from mods.cli import main
from mods.tests import zeek_writer as writer
from mods.tests.sensor_maker import DAY, MINUTE, conn


@pytest.fixture
def logs(tmp_path):
    made = [conn(DAY + n * MINUTE, orig_bytes=10) for n in range(24 * 60)]
    writer.write(tmp_path / "logs/2019-06-01/conn.log.gz", writer.tsv("conn", made), pack=True)
    asked = [{**conn(DAY + n * 3 * MINUTE), "query": f"{n % 4}.example"} for n in range(480)]
    writer.write(tmp_path / "logs/2019-06-01/dns.log", writer.json_lines("dns", asked))
    return tmp_path / "logs"


def test_from_logs_to_a_frame(logs, tmp_path, capsys):
    pool = tmp_path / "pool"
    assert main(["features", str(logs), "--out", str(pool), "--window", "w01h-s10m"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0].split("  ")[0] == "protocol"
    assert re.fullmatch(r"conn +1 +1,440( +0){4}", lines[1])
    assert re.fullmatch(r"dns +1 +480( +0){4}", lines[2])
    assert lines[-2] == "w01h-s10m: 144 windows on 1 days, 5 missing"
    assert lines[-1].startswith("1,920 rows in ")
    frame = read_datapool(pool)
    assert list(frame.columns) == ["conn_in", "conn_out", "dns_in_distinct", "ssh_in"]
    assert frame.iloc[0].tolist() == [60, 0, 4, 0]
    assert frame["ssh_in"].tolist()[:139] == [0] * 139
    assert frame["ssh_in"].isna().sum() == 5


def test_json(logs, tmp_path, capsys):
    arguments = ["features", str(logs), "--out", str(tmp_path / "pool"), "--protocol", "conn"]
    windows = ["--window", "w10m-s10m", "--window", "w01d-s01d"]
    assert main([*arguments, *windows, "--local-net", "10.0.0.0/8", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["protocols"]["conn"] == {
        "files": 1,
        "rows": 1440,
        "rejects": 0,
        "out_of_range": 0,
        "left_out": 0,
        "outside": 0,
        "written": True,
    }
    assert document["protocols"]["dns"]["written"] is False
    assert document["windows"] == {
        "w10m-s10m": {"written": 144, "known": 144, "missing": 0},
        "w01d-s01d": {"written": 1, "known": 1, "missing": 0},
    }
    assert document["days"] == ["2019-06-01"]


def test_the_module_runs_like_the_command(logs, tmp_path):
    import subprocess
    import sys

    command = [sys.executable, "-m", "mods.dataset.make_dataset", str(logs), "--json"]
    told = subprocess.run(
        [*command, "--out", tmp_path / "pool"], check=True, capture_output=True, text=True
    )
    assert json.loads(told.stdout)["protocols"]["dns"]["rows"] == 480
    assert told.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone"], "no file or directory 'gone'; expected Zeek logs. Check the path."),
        (["LOGS", "--window", "1h"], "window name '1h'; expected 'w<length>-s<slide>'"),
        (["LOGS", "--local-net", "ten"], "local network 'ten'; expected a CIDR. Write for"),
        (["LOGS", "--protocol", "ftp"], "no features for protocol 'ftp'; expected one of conn"),
        (["LOGS", "--never", "ten"], "'ten' in an allow or never list; expected an address"),
        (["EMPTY"], "no Zeek logs in "),
    ],
)
def test_bad_input_is_one_line_and_status_2(logs, tmp_path, capsys, arguments, message):
    (tmp_path / "empty").mkdir()
    places = {"LOGS": str(logs), "EMPTY": str(tmp_path / "empty")}
    arguments = [places.get(argument, argument) for argument in arguments]
    assert main(["features", *arguments, "--out", str(tmp_path / "pool")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"mods features: {message}")
    assert err.count("\n") == 1


def test_a_datapool_that_cannot_be_written_is_told(logs, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["features", str(logs), "--out", str(tmp_path / "file" / "pool")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_copies_with_pseudonyms(logs, tmp_path, capsys):
    pytest.importorskip("yacryptopan")
    out, copies = ["--out", str(tmp_path / "pool")], tmp_path / "copies"
    asked = ["features", str(logs), *out, "--pseudonymise", str(copies)]
    assert main(asked) == 2
    assert "--pseudonymise and --key; expected both or neither" in capsys.readouterr().err
    assert main([*asked, "--key", str(tmp_path / "key"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["pseudonymised"] == {"files": 2, "left_out": 0}
    assert sorted(path.name for path in copies.rglob("*.gz")) == ["conn.log.gz", "dns.log.gz"]
