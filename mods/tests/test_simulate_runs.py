"""Simulations from the shell: bad arguments, folders that are in use, and runs broken off."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from mods import cli
from mods.dataset.simulate import KINDS, simulate
from mods.dataset.simulate.log_files import LogFiles
from mods.errors import DataError, ModsError
from mods.tests.zeek_reader import ZEEK_6, contents, read_all


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
    before = contents(out)
    again = simulate(out, days=2, rate=1000, rotate="day")
    assert (first.reused, again.reused) == (False, True)
    assert again.records == first.records
    with pytest.raises(DataError, match=r"made with other arguments\. .*--force"):
        simulate(out, days=1, rate=1000)
    assert contents(out) == before
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
    assert contents(tmp_path / "logs") == contents(tmp_path / "clean")


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
    assert contents(tmp_path / "logs") == contents(tmp_path / "clean")


def test_the_features_stage_reads_every_record(tmp_path, capsys):
    simulate(tmp_path / "logs", days=1, rate=5000, incidents=("flood",), compressed=True)
    words = ["--out", str(tmp_path / "pool"), "--json"]
    assert cli.main(["features", str(tmp_path / "logs"), *words]) == 0
    read = json.loads(capsys.readouterr().out)["protocols"]
    for protocol in ZEEK_6:
        assert read[protocol]["rows"] == len(read_all(tmp_path / "logs", protocol))
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
    rows = {name: len(read_all(tmp_path / "a", name)) for name in ZEEK_6}
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
