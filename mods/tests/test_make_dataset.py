"""From the logs of a sensor to a datapool, as one call: real logs, damage, what is built again."""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from mods.dataset.make_dataset import make_dataset
from mods.errors import ConfigError, DataError, ModsWarning, NotFoundError, RangeError
from mods.tests import zeek_writer as writer
from mods.tests.test_windows import assert_agrees, conn

DAY = 1_559_347_200_000_000
MINUTE = 60_000_000
PROTOCOLS = ("conn", "dns", "http", "ssl")


def make(logs, out, **options):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ModsWarning)
        summary = make_dataset(logs, out, progress=False, **options)
    return summary, [str(w.message) for w in told]


def tree(pool: Path) -> dict[str, bytes]:
    return {
        path.relative_to(pool).as_posix(): path.read_bytes()
        for path in sorted(pool.rglob("*.tsv"))
        if not path.name.startswith(".")
    }


NUMBERS = {"duration", "orig_bytes", "resp_bytes", "id.orig_p", "id.resp_p", "ts"}


def to_json(tsv: Path, target: Path) -> None:
    """Convert a TSV log to JSON lines, by hand."""
    lines = tsv.read_text().splitlines()
    fields = next(line for line in lines if line.startswith("#fields")).split("\t")[1:]
    types = next(line for line in lines if line.startswith("#types")).split("\t")[1:]
    out = []
    for line in lines:
        if line.startswith("#"):
            continue
        entry: dict = {}
        for name, kind, value in zip(fields, types, line.split("\t"), strict=True):
            if value == "-":
                continue
            if kind in ("time", "interval"):
                entry[name] = float(value)
            elif kind in ("count", "port"):
                entry[name] = int(value)
            elif kind == "bool":
                entry[name] = value == "T"
            else:
                entry[name] = "" if value == "(empty)" else value
        out.append(json.dumps(entry))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(out) + "\n")


def to_tsv(source: Path, target: Path) -> None:
    """Convert JSON lines to a TSV log, by hand."""
    entries = [json.loads(line) for line in source.read_text().splitlines()]
    fields = list(dict.fromkeys(name for entry in entries for name in entry))
    lines = ["#separator \\x09", "#path\t" + source.stem, "#fields\t" + "\t".join(fields)]
    for entry in entries:
        cells = []
        for name in fields:
            value = entry.get(name)
            if value is None:
                cells.append("-")
            elif isinstance(value, bool):
                cells.append("T" if value else "F")
            elif name in ("ts", "duration"):
                cells.append(f"{value:.6f}")
            elif value in ("", []):
                cells.append("(empty)")
            else:
                cells.append(str(value).replace("\t", "\\x09"))
        lines.append("\t".join(cells))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(lines) + "\n")


WINDOWS = ["w01m-s01m", "w02m-s01m", "w06m-s02m"]


@pytest.mark.parametrize("direction", ["tsv to json", "json to tsv"])
def test_real_logs_give_equal_features_in_both_formats(real_data, tmp_path, direction):
    zeek = real_data / "zeek"
    for name in PROTOCOLS:
        if direction == "tsv to json":
            source = zeek / f"{name}.log"
            to_json(source, tmp_path / f"converted/{name}.log")
        else:
            source = zeek / f"json/{name}.log"
            to_tsv(source, tmp_path / f"converted/{name}.log")
        (tmp_path / "original").mkdir(exist_ok=True)
        shutil.copy(source, tmp_path / "original")
    for form in ("original", "converted"):
        summary, told = make([tmp_path / form], tmp_path / f"pool-{form}", windows=WINDOWS)
        assert [w for w in told if "no field" not in w] == []
        assert sum(summary.counts.rejects.values()) == 0
    original, converted = tree(tmp_path / "pool-original"), tree(tmp_path / "pool-converted")
    assert original == converted
    assert len(original) == 6 * 3
    values = [
        cell
        for content in original.values()
        for row in csv.DictReader(content.decode().splitlines(), delimiter="\t")
        for name, cell in row.items()
        if not name.startswith("window") and cell not in ("", "0")
    ]
    assert len(values) > 50


def test_the_real_damaged_and_empty_logs(real_data, tmp_path):
    zeek = real_data / "zeek"
    both = {}
    for name in ("http.log", "http.log.corrupt.gz"):
        both[name], told = make([zeek / name], tmp_path / name, windows=["w01m-s01m"])
        assert told == (
            []
            if name == "http.log"
            else [
                f"{zeek / name}: truncated gzip; the 150 rows before the damage are used",
            ]
        )
    assert tree(tmp_path / "http.log") == tree(tmp_path / "http.log.corrupt.gz")
    with pytest.raises(DataError, match=r"no record in 1 logs; expected at least one. The logs ho"):
        make([zeek / "http_empty.log"], tmp_path / "empty")


class TestWarnings:
    def test_nothing_local(self, tmp_path):
        made = [conn(DAY + n * MINUTE, **{"id.resp_h": "8.8.4.4"}) for n in range(90)]
        path = writer.write(tmp_path / "conn.log", writer.tsv("conn", made))
        _, told = make([path], tmp_path / "pool", local_nets=["10.0.0.0/8"])
        assert told == [
            "none of the hosts is local (to 10.0.0.0/8), so every count is 0; set --local-net"
        ]

    def test_rejects_are_kept_aside(self, tmp_path):
        made = [conn(DAY + n * MINUTE) for n in range(90)]
        text = writer.tsv("conn", made).replace("\t8.8.8.8", "", 1)
        path = writer.write(tmp_path / "conn.log", text)
        summary, told = make([path], tmp_path / "pool")
        kept = tmp_path / "pool/rejects.tsv"
        assert told == [f"1 lines are no records; {kept} keeps them with reasons"]
        assert summary.counts.rejects == {"conn": 1}
        rows = kept.read_text().splitlines()
        assert rows[0] == "file\tline\treason\ttext"
        assert rows[1].startswith(f"{path}\t9\t12 fields where the header names 13\t1559347200.0")
        assert len(rows) == 2
        more = writer.write(tmp_path / "more.log", text.replace("15593", "15594"))
        make([path, more], tmp_path / "pool")
        assert len(kept.read_text().splitlines()) == 3
        make([path, more], tmp_path / "pool")
        assert len(kept.read_text().splitlines()) == 3
        writer.write(path, writer.tsv("conn", made))
        make([path, more], tmp_path / "pool")
        assert kept.read_text().splitlines()[1].startswith(f"{more}\t9\t")

    def test_a_clock_that_jumps(self, tmp_path):
        made = [conn(12_000_000), *(conn(DAY + n * MINUTE) for n in range(90))]
        path = writer.write(tmp_path / "conn.log", writer.tsv("conn", made))
        _, told = make([path], tmp_path / "pool")
        assert told == [
            "the records jump from 1970-01-01 to 2019-06-01: did a clock? Leave some out with "
            "--range, for example '<2019-06-01,2019-06-01>'"
        ]
        summary, told = make([path], tmp_path / "other", time_range="<2019-06-01,2019-06-01>")
        assert told == []
        assert summary.counts.out_of_range == {"conn": 1}

    def test_windows_that_are_too_long(self, tmp_path):
        path = writer.write(tmp_path / "conn.log", writer.tsv("conn", [conn(DAY)]))
        _, told = make([path], tmp_path / "pool")
        assert told == [
            "no window of w01h-s10m is complete: nowhere do the logs reach over a whole one; "
            "use a shorter window, or more logs"
        ]

    def test_a_log_packed_but_still_there(self, tmp_path):
        made = [conn(DAY + n * MINUTE) for n in range(90)]
        text = writer.tsv("conn", made)
        writer.write(tmp_path / "logs/conn.log", text)
        packed = writer.write(tmp_path / "logs/conn.log.gz", gzip.compress(text.encode())[:-9])
        summary, told = make([tmp_path / "logs"], tmp_path / "pool")
        assert told == [f"{packed}: left out (conn.log lies unpacked beside it)"]
        assert summary.counts.rows == {"conn": 90}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"windows": ["w1h-s10m"]}, RangeError, "window name 'w1h-s10m'; expected 'w<length>"),
        ({"windows": ["w01h-s07m"]}, RangeError, "a slide that divides the length"),
        ({"local_nets": ["10.0.0.0/33"]}, ConfigError, "local network '10.0.0.0/33'"),
        ({"protocols": ["dsn"]}, NotFoundError, r"no features for protocol 'dsn'.*mean 'dns'"),
        ({"never": [":99999"]}, ConfigError, "':99999' in an allow or never list"),
        ({"allow": ["host"]}, ConfigError, "'host' in an allow or never list"),
        ({"time_range": "2019"}, RangeError, "range '2019'"),
        ({"time_range": "<2020,2021>"}, DataError, r"no record in 1 logs lies in the range <2020"),
        ({"engine": "pandas"}, ConfigError, "engine 'pandas'"),
    ],
)
def test_bad_options_are_told_and_leave_the_datapool_alone(tmp_path, options, error, message):
    made = [conn(DAY + n * MINUTE) for n in range(90)]
    path = writer.write(tmp_path / "conn.log", writer.tsv("conn", made))
    make([path], tmp_path / "pool")
    before = tree(tmp_path / "pool")
    with pytest.raises(error, match=message):
        make([path], tmp_path / "pool", **options)
    assert tree(tmp_path / "pool") == before


def sensor(folder: Path, days: range, hours: int = 24) -> dict[str, list]:
    """Write hourly logs of a small sensor; return all records."""
    logs: dict[str, list] = {"conn": [], "dns": []}
    for day in days:
        for hour in range(hours):
            begin = DAY + (day * 24 + hour) * 60 * MINUTE
            some = [conn(begin + n * 7 * MINUTE, orig_bytes=n + day + hour) for n in range(9)]
            asked = [
                {**conn(begin + n * 11 * MINUTE), "query": f"{(n * hour) % 5}.example"}
                for n in range(6)
            ]
            for name, records in (("conn", some), ("dns", asked)):
                path = folder / f"day-{day}/{name}.{hour:02d}:00:00-{hour + 1:02d}:00:00.log.gz"
                if not path.exists():
                    writer.write(path, writer.tsv(name, records), pack=True)
                logs[name] += records
    return logs


class TestBuildingAgain:
    def test_a_day_of_unchanged_logs_is_left_alone(self, tmp_path):
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
    def test_each_log_is_read_once_by_whatever_path(self, tmp_path, monkeypatch, way):
        logs = sensor(tmp_path / "logs", range(2))
        (tmp_path / "link").symlink_to("logs", target_is_directory=True)
        monkeypatch.chdir(tmp_path)
        summary, told = make(["logs" if way == "relative" else tmp_path / "link"], "pool")
        assert told == []
        assert summary.counts.rows == {name: len(records) for name, records in logs.items()}
        assert summary.counts.files == {"conn": 48, "dns": 48}
        assert_agrees(tmp_path / "pool", logs, ["conn", "dns", "ssh"], ["w01h-s10m"])

    def test_rejects_are_told_once_by_whatever_path_a_log_is_read_again(
        self, tmp_path, monkeypatch
    ):
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

    def test_a_new_day_and_a_grown_log_give_what_one_run_gives(self, tmp_path):
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

    def test_a_file_that_is_gone_from_the_datapool_comes_back(self, tmp_path):
        sensor(tmp_path / "logs", range(3))
        make([tmp_path / "logs"], tmp_path / "pool")
        before = tree(tmp_path / "pool")
        (tmp_path / "pool/dns/2019/06/02/w01h-s10m.tsv").unlink()
        make([tmp_path / "logs"], tmp_path / "pool")
        assert tree(tmp_path / "pool") == before

    def test_a_late_record_does_not_undo_a_day_whose_logs_are_gone(self, tmp_path):
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

    def test_what_a_killed_run_left_is_removed_in_the_end(self, tmp_path):
        sensor(tmp_path / "logs", range(1))
        for name, age in (("old", 90_000), ("new", 10)):
            left = tmp_path / f"pool/.facts.{name}.partial"
            (left / "sums").mkdir(parents=True)
            os.utime(left, (time.time() - age,) * 2)
        make([tmp_path / "logs"], tmp_path / "pool")
        assert [p.name for p in (tmp_path / "pool").glob(".facts*")] == [".facts.new.partial"]

    def test_other_options_are_other_numbers(self, tmp_path):
        sensor(tmp_path / "logs", range(1))
        make([tmp_path / "logs"], tmp_path / "pool")
        summary, _ = make([tmp_path / "logs"], tmp_path / "pool", never=["10.0.0.1"])
        assert len(summary.written) == 6

    @pytest.mark.slow
    def test_killed_at_any_moment_and_run_again_it_equals_one_run(self, tmp_path):
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
            process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
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


def test_zeek_s_own_direction_where_a_record_has_it(tmp_path):
    made = [
        conn(DAY + n * MINUTE, local_orig=own, local_resp=True)
        for n, own in enumerate([True, False, None] * 30)
    ]
    fields = [*writer.FIELDS["conn"], "local_resp"]
    path = writer.write(tmp_path / "conn.log", writer.tsv("conn", made, fields))
    summary, _ = make([path], tmp_path / "pool", own_fields=True, windows=["w01h-s01h"])
    rows = list(csv.DictReader(summary.written[0].read_text().splitlines(), delimiter="\t"))
    assert (rows[0]["in_count_uid"], rows[0]["internal_count_uid"]) == ("40", "20")


def test_single_files_speak_for_themselves_only(tmp_path):
    made = [conn(DAY + n * MINUTE) for n in range(90)]
    path = writer.write(tmp_path / "conn.log", writer.tsv("conn", made))
    summary, _ = make([path], tmp_path / "file")
    assert summary.protocols == ["conn"]
    summary, _ = make([tmp_path], tmp_path / "whole")
    assert summary.protocols == ["conn", "dns", "http", "sip", "ssh", "ssl"]
    summary, _ = make([path], tmp_path / "asked", protocols=["conn", "ssh"])
    assert summary.protocols == ["conn", "ssh"]


def test_a_protocol_that_was_not_asked_for_still_shows_that_the_sensor_observed(tmp_path):
    writer.write(
        tmp_path / "conn.log", writer.tsv("conn", [conn(DAY + n * MINUTE) for n in range(180)])
    )
    writer.write(tmp_path / "dns.log", writer.tsv("dns", [conn(DAY + 90 * MINUTE)]))
    summary, _ = make([tmp_path], tmp_path / "pool", protocols=["dns"])
    assert summary.windows == {"w01h-s10m": (144, 13)}


def test_several_layouts_hold_the_same(tmp_path):
    from mods.dataset.datapool import read_datapool

    sensor(tmp_path / "logs", range(2))
    frames = []
    for layout in ("tree", "parquet", "zip-day", "zip-month"):
        make([tmp_path / "logs"], tmp_path / layout, layout=layout)
        frames.append(read_datapool(tmp_path / layout))
    for frame in frames[1:]:
        assert frame.equals(frames[0])
