"""Datapools that grow: unchanged days are left alone, and what is killed is made whole."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from mods.tests import zeek_writer as writer
from mods.tests.sensor_maker import DAY, MINUTE, assert_agrees, conn, make, sensor, tree


def test_a_day_of_unchanged_logs_is_left_alone(tmp_path):
    sensor(tmp_path / "logs", range(3))
    make([tmp_path / "logs"], tmp_path / "pool")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "pool").rglob("*.tsv")}
    summary, told = make([tmp_path / "logs"], tmp_path / "pool")
    assert (summary.written, summary.days, summary.unchanged) == ([], [], 3 * 48)
    assert told == []
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "pool").rglob("*.tsv")} == before
    summary, _ = make([tmp_path / "logs"], tmp_path / "pool", force=True)
    assert len(summary.written) == 3 * 6


@pytest.mark.parametrize("way", ["relative", "through a link"])
def test_each_log_is_read_once_by_whatever_path(tmp_path, monkeypatch, way):
    logs = sensor(tmp_path / "logs", range(2))
    (tmp_path / "link").symlink_to("logs", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    summary, told = make(["logs" if way == "relative" else tmp_path / "link"], "pool")
    assert told == []
    assert summary.counts.rows == {name: len(records) for name, records in logs.items()}
    assert summary.counts.files == {"conn": 48, "dns": 48}
    assert_agrees(tmp_path / "pool", logs, ["conn", "dns", "ssh"], ["w01h-s10m"])


def test_rejects_are_told_once_by_whatever_path_a_log_is_read_again(tmp_path, monkeypatch):
    sensor(tmp_path / "logs", range(1))
    monkeypatch.chdir(tmp_path)
    bad = writer.tsv("conn", [conn(DAY + MINUTE)]) + "no record\n"
    writer.write(tmp_path / "logs/day-0/conn.bad.log", bad)
    make(["logs"], "pool")
    sensor(tmp_path / "logs", range(2))
    make(["logs/day-1"], "pool")
    rejects = (tmp_path / "pool/rejects.tsv").read_text().splitlines()
    (row,) = rejects[1:]
    path, _line, reason, text = row.split("\t")
    assert path == str((tmp_path / "logs/day-0/conn.bad.log").resolve())
    assert (reason, text) == ("1 fields where the header names 13", "no record")


def test_a_new_day_and_a_grown_log_give_what_one_run_gives(tmp_path):
    source, pool = tmp_path / "logs", tmp_path / "pool"
    sensor(source, range(4))
    make([source], pool)
    # the fourth day's last log grows, and a fifth and sixth day come
    grown = source / "day-3/conn.23:00:00-24:00:00.log.gz"
    more = [conn(DAY + (4 * 24 * 60 - 1) * MINUTE + n) for n in range(3)]
    grown.write_bytes(grown.read_bytes() + gzip.compress(writer.tsv("conn", more).encode()))
    logs = sensor(source, range(6))
    logs["conn"] += more
    summary, _ = make([source / "day-3", source / "day-4", source / "day-5"], pool)
    assert [day.day for day in summary.days] == [3, 4, 5, 6]
    assert_agrees(pool, logs, ["conn", "dns", "ssh"], ["w01h-s10m"])
    make([source], tmp_path / "whole")
    assert tree(pool) == tree(tmp_path / "whole")


def test_a_file_that_is_gone_from_the_datapool_comes_back(tmp_path):
    sensor(tmp_path / "logs", range(3))
    make([tmp_path / "logs"], tmp_path / "pool")
    before = tree(tmp_path / "pool")
    (tmp_path / "pool/dns/2019/06/02/w01h-s10m.tsv").unlink()
    make([tmp_path / "logs"], tmp_path / "pool")
    assert tree(tmp_path / "pool") == before


def test_a_late_record_does_not_undo_a_day_whose_logs_are_gone(tmp_path):
    sensor(tmp_path / "logs", range(2))
    make([tmp_path / "logs"], tmp_path / "pool")
    before = tree(tmp_path / "pool")
    shutil.rmtree(tmp_path / "logs/day-0")
    sensor(tmp_path / "logs", range(2, 3))
    late = writer.tsv("conn", [conn(DAY + 5 * MINUTE)])
    writer.write(tmp_path / "logs/day-2/conn.late.log", late)
    summary, told = make([tmp_path / "logs"], tmp_path / "pool")
    assert [day.day for day in summary.days] == [2, 3]
    assert told == [
        "2019-06-01 stays as it is: it has new records, but logs that it was made of are "
        "gone; --force builds it of what is left"
    ]
    after = tree(tmp_path / "pool")
    assert {p: c for p, c in after.items() if "/01/" in p} == {
        p: c for p, c in before.items() if "/01/" in p
    }


def test_what_a_killed_run_left_is_removed_in_the_end(tmp_path):
    sensor(tmp_path / "logs", range(1))
    for name, age in (("old", 90_000), ("new", 10)):
        left = tmp_path / f"pool/.facts.{name}.partial"
        (left / "sums").mkdir(parents=True)
        os.utime(left, (time.time() - age,) * 2)
    make([tmp_path / "logs"], tmp_path / "pool")
    assert [p.name for p in (tmp_path / "pool").glob(".facts*")] == [".facts.new.partial"]


def test_other_options_are_other_numbers(tmp_path):
    sensor(tmp_path / "logs", range(1))
    make([tmp_path / "logs"], tmp_path / "pool")
    summary, _ = make([tmp_path / "logs"], tmp_path / "pool", never=["10.0.0.1"])
    assert len(summary.written) == 6


@pytest.mark.slow
def test_killed_at_any_moment_and_run_again_it_equals_one_run(tmp_path):
    source, pool = tmp_path / "logs", tmp_path / "pool"
    sensor(source, range(4))
    begin = time.monotonic()
    make([source], tmp_path / "whole", windows=["w01h-s10m", "w10m-s01m"])
    # the command begins with a second of imports; half of it is passed over
    lasts = time.monotonic() - begin + 1.0
    draw = random.Random(3)
    command = [sys.executable, "-m", "mods.cli", "features", str(source), "--out", str(pool)]
    command += ["--window", "w01h-s10m", "--window", "w10m-s01m"]
    killed = 0
    for _ in range(20):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(draw.uniform(0.5, lasts))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
        if process.returncode == 0:  # too late: begin anew
            shutil.rmtree(pool)
    assert killed > 5
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert tree(pool) == tree(tmp_path / "whole")
