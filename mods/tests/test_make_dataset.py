"""From the logs of a sensor to a datapool, as one call: real logs, damage, what is built again."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from pathlib import Path

import pytest

from mods.errors import ConfigError, DataError, NotFoundError, RangeError
from mods.tests import zeek_writer as writer
from mods.tests.sensor_maker import DAY, MINUTE, conn, make, sensor, tree

PROTOCOLS = ("conn", "dns", "http", "ssl")


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
