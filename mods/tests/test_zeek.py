"""Zeek logs are read whatever their dialect, and what does not fit is told."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import polars as pl
import pytest

from mods.dataset import streams
from mods.dataset.protocols import PROTOCOLS
from mods.dataset.zeek import ReadLog, find_logs
from mods.tests import zeek_writer as writer

WANTED = {name: protocol.fields for name, protocol in PROTOCOLS.items()}
START = 1_559_347_200_000_000


def conn(n, **fields):
    record = {
        "ts": START + n * 1_000_001,
        "uid": f"C{n}",
        "id.orig_h": "10.0.0.1" if n % 3 else "2001:db8::1",
        "id.orig_p": 1024 + n,
        "id.resp_h": "192.0.2.1",
        "id.resp_p": 443,
        "proto": "tcp",
        "service": None if n % 2 else "ssl",
        "duration": None if n % 4 == 0 else n * 1234,
        "orig_bytes": n * 100 if n % 5 else None,
        "resp_bytes": n,
        "local_orig": None,
    }
    return {**record, **fields}


RECORDS = [conn(n) for n in range(50)]


def expected(records, fields=PROTOCOLS["conn"].fields):
    rows = [{name: record.get(name.replace("id_", "id.")) for name in fields} for record in records]
    return pl.DataFrame(rows, infer_schema_length=None).select(fields)


def read(path: Path | str, wanted=WANTED):
    """Return the records by protocol, the rejects as (line, reason), and the last reader."""
    frames: dict = {}
    rejects: list = []
    reading: ReadLog | None = None
    for log in find_logs([path]).logs:
        reading = ReadLog(log, wanted)
        for block in reading:
            frames.setdefault(block.protocol, []).append(block.records)
            rejects += [(r.line, r.reason) for r in block.rejects.kept]
            assert block.rejects.count >= len(block.rejects.kept)
    return {name: pl.concat(parts) for name, parts in frames.items()}, rejects, reading


def assert_reads(path, records=RECORDS):
    frames, rejects, reading = read(path)
    assert rejects == []
    assert reading.damage == ""
    assert list(frames) == ["conn"]
    assert frames["conn"].rows() == expected(records).rows()


TSV = writer.tsv("conn", RECORDS)


@pytest.mark.parametrize(
    "name",
    [
        "conn.log",
        "conn.03:00:00-04:00:00.log",
        "conn.2020_01_16_10.log",
        "conn-20190601.log",
        "anything",
    ],
)
@pytest.mark.parametrize("pack", [False, True])
def test_any_name_plain_or_packed(tmp_path, name, pack):
    assert_reads(writer.write(tmp_path / (name + ".gz" * pack), TSV, pack))


def test_zstd(tmp_path):
    import pyarrow

    with pyarrow.output_stream(str(tmp_path / "conn.log.zst"), compression="zstd") as file:
        file.write(TSV.encode())
    assert_reads(tmp_path / "conn.log.zst")


def test_several_gzip_members_and_the_padding_of_an_archive(tmp_path):
    half = len(TSV) // 2
    packed = b"".join(gzip.compress(part.encode()) for part in (TSV[:half], TSV[half:]))
    assert_reads(writer.write(tmp_path / "conn.log.gz", packed + b"\0" * 512))


DIALECTS = {
    "as Zeek writes it": TSV,
    "separator after a tab": TSV.replace("#separator ", "#separator\t"),
    "line ends of another system": TSV.replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + TSV,
    "no end of the last line": TSV.rsplit("#close", 1)[0].rstrip("\n"),
    "blank lines": TSV.replace("\n15593", "\n\n15593"),
    "no separator line": TSV.split("\n", 1)[1],
    "commas": writer.tsv("conn", RECORDS, separator=","),
    "two characters": writer.tsv("conn", RECORDS, separator="||"),
    "a blank": writer.tsv("conn", RECORDS, separator=" ", separator_line="#separator \\x20"),
    "other unset mark": writer.tsv("conn", RECORDS, unset="NULL"),
    "underscores": TSV.replace("id.", "id_"),
    "another order": writer.tsv("conn", RECORDS, sorted(writer.FIELDS["conn"])),
    "a used number last": writer.tsv(
        "conn", RECORDS, [*sorted(set(writer.FIELDS["conn"]) - {"resp_bytes"}), "resp_bytes"]
    ),
    "several headers": writer.tsv("conn", RECORDS[:20])
    + writer.tsv("conn", RECORDS[20:30], sorted(writer.FIELDS["conn"]))
    + writer.tsv("conn", RECORDS[30:], [*writer.FIELDS["conn"], "query"]),
    "another protocol in between": writer.tsv("conn", RECORDS[:20])
    + writer.tsv("http", RECORDS).replace("#path\thttp", "#path\tweird")
    + writer.tsv("conn", RECORDS[20:]),
    "JSON": writer.json_lines("conn", RECORDS),
    "JSON, ISO 8601": writer.json_lines("conn", RECORDS, iso=True),
    "JSON, underscores": writer.json_lines("conn", RECORDS).replace("id.", "id_"),
    "JSON stream": writer.json_lines("conn", RECORDS, path=True),
    "JSON, times mixed": writer.json_lines("conn", RECORDS[:9])
    + writer.json_lines("conn", RECORDS[9:], iso=True),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_gives_the_same_records(tmp_path, dialect):
    assert_reads(writer.write(tmp_path / "conn.log", DIALECTS[dialect]))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_blocks_end_anywhere(tmp_path, dialect, monkeypatch):
    monkeypatch.setattr(streams, "BLOCK", 700)
    monkeypatch.setattr(streams, "_PIECE", 300)
    assert_reads(writer.write(tmp_path / "conn.log", DIALECTS[dialect]))


@pytest.mark.parametrize("times", ["us", "ms", "float", "iso"])
def test_parquet(tmp_path, times):
    rows = RECORDS
    if times == "ms":
        rows = [{**r, "ts": r["ts"] // 1000 * 1000} for r in RECORDS]
    frame = pl.DataFrame(rows, infer_schema_length=None)
    stamp = pl.from_epoch("ts", "us")
    made = {
        "us": stamp,
        "ms": stamp.cast(pl.Datetime("ms")),
        "float": pl.col("ts") / 1e6,
        "iso": stamp.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"),
    }[times]
    seconds = frame.with_columns(ts=made, duration=pl.col("duration") / 1e6)
    seconds.write_parquet(tmp_path / "conn.parquet")
    assert_reads(tmp_path / "conn.parquet", rows)


def test_a_stream_of_many_protocols(tmp_path):
    dns = [{**conn(n), "query": f"q{n}", "AA": n % 2 == 0} for n in range(9)]
    lines = writer.json_lines("conn", RECORDS, path=True).splitlines(keepends=True)
    lines += writer.json_lines("dns", dns, path=True).splitlines(keepends=True)
    lines += writer.json_lines("weird", RECORDS[:3], path=True).splitlines(keepends=True)
    content = "".join(lines[0::2] + lines[1::2])
    frames, rejects, _ = read(writer.write(tmp_path / "zeek_stream.json", content))
    assert rejects == []
    assert frames["conn"].sort("ts").rows() == expected(RECORDS).rows()
    assert frames["dns"].sort("ts")["query"].to_list() == [f"q{n}" for n in range(9)]
    assert frames["dns"].sort("ts")["AA"].to_list() == [n % 2 == 0 for n in range(9)]
    assert set(frames) == {"conn", "dns"}


def test_empty_and_escaped_text_is_the_same_in_both_formats(tmp_path):
    texts = ["", "plain", "-", "café", "a\tb", None]
    record = [{**conn(n), "query": text} for n, text in enumerate(texts)]
    shown = ["(empty)", "plain", r"\x2d", r"caf\xc3\xa9", r"a\x09b", "-"]
    tsv = writer.header("dns", ["ts", "id.orig_h", "id.resp_h", "query"])
    for made, text in zip(record, shown, strict=True):
        tsv += f"{writer.text('ts', made['ts'])}\t10.0.0.1\t192.0.2.1\t{text}\n"
    writer.write(tmp_path / "a/dns.log", tsv)
    writer.write(tmp_path / "b/dns.log", writer.json_lines("dns", record))
    for folder in "ab":
        frames, rejects, _ = read(tmp_path / folder)
        assert rejects == []
        assert frames["dns"]["query"].to_list() == texts


GOOD = "1559347200.5\tC1\t10.0.0.1\t1\t192.0.2.1\t443\ttcp\t-\t1.5\t10\t20\t-\t-"
HEAD = writer.header("conn", writer.FIELDS["conn"])
BAD_LINES = {
    "1559347200.5\tC1\t10.0.0.1": "3 fields where the header names 13",
    GOOD + "\textra": "14 fields where the header names 13",
    GOOD.replace("1559347200.5", "-"): "ts is unset, no time",
    GOOD.replace("1559347200.5", "yesterday"): "ts is yesterday, no time",
    GOOD.replace("1559347200.5", "nan"): "ts is nan, no time",
    GOOD.replace("1559347200.5", "-5.0"): "ts is -5.0, no time",
    GOOD.replace("1559347200.5", "1e300"): "ts is 1e300, no time",
    GOOD.replace("1559347200.5", "0.000000"): "ts is 0.000000, no time",
    GOOD.replace("\t1.5\t", "\tlong\t"): "duration is long, no interval",
    GOOD.replace("\t1.5\t", "\tinf\t"): "duration is inf, no interval",
    GOOD.replace("\t10\t", "\tten\t"): "orig_bytes is ten, no count",
    GOOD.replace("\t10\t", "\t-10\t"): "orig_bytes is -10, no count",
    GOOD.replace("\t10\t", "\t1.5\t").replace("\t1.5\t20", "\t1.7\t20"): (
        "orig_bytes is 1.7, no count"
    ),
    GOOD.replace("\t10\t", "\t18446744073709551615\t"): (
        "orig_bytes is 18446744073709551615, no count"
    ),
    GOOD.replace("\t10\t20", "\tx\ty"): "orig_bytes is x, no count; resp_bytes is y, no count",
    "\0\0\0\0": "1 fields where the header names 13",
    "{}": "1 fields where the header names 13",
    "x" * 100_000: "1 fields where the header names 13",
}


@pytest.mark.parametrize("line", BAD_LINES, ids=range(len(BAD_LINES)))
def test_a_line_that_does_not_fit_is_told_and_shifts_no_neighbour(tmp_path, line):
    path = writer.write(tmp_path / "conn.log", f"{HEAD}{GOOD}\n{line}\n{GOOD}\n")
    frames, rejects, _ = read(path)
    assert rejects == [(10, BAD_LINES[line])]
    good = (1559347200500000, "10.0.0.1", "192.0.2.1", 10, 20, 1500000)
    assert frames["conn"].rows() == [good, good]


BAD_JSON = {
    "{": "no JSON (",
    "[1, 2]": "a JSON list, no object",
    "7": "a JSON int, no object",
    "{}": "ts is unset, no time",
    '{"ts": "never"}': "ts is never, no time",
    '{"ts": 1e400}': "ts is inf, no time",
    '{"ts": 1559347200, "orig_bytes": [1]}': "orig_bytes is [1], no count",
    '{"ts": 1559347200, "orig_bytes": 1.5}': "orig_bytes is 1.5, no count",
    '{"ts": 1559347200, "duration": {"s": 1}}': "duration is {'s': 1}, no interval",
    "[" * 100_000: "no JSON (",
    "\0\0": "no JSON (",
}


@pytest.mark.parametrize("line", BAD_JSON, ids=range(len(BAD_JSON)))
def test_an_object_that_does_not_fit_is_told(tmp_path, line):
    good = '{"ts": 1559347200.5, "id.orig_h": "10.0.0.1", "orig_bytes": 242.0}\n'
    frames, rejects, _ = read(writer.write(tmp_path / "conn.json", f"{good}{line}\n{good}"))
    assert [(n, why[: len(BAD_JSON[line])]) for n, why in rejects] == [(2, BAD_JSON[line])]
    assert frames["conn"].rows() == [(1559347200500000, "10.0.0.1", None, 242, None, None)] * 2


def test_bytes_that_are_no_utf8_are_kept_apart(tmp_path):
    head = writer.header("dns", ["ts", "id.orig_h", "id.resp_h", "query"])
    lines = b"".join(b"1559347200.5\t10.0.0.1\t192.0.2.1\t%c\n" % n for n in (0xE9, 0xE8, 0xE9))
    frames, rejects, _ = read(writer.write(tmp_path / "dns.log", head.encode() + lines))
    assert rejects == []
    assert frames["dns"]["query"].n_unique() == 2


def test_records_before_any_header_are_told(tmp_path):
    frames, rejects, _ = read(writer.write(tmp_path / "conn.log", f"{GOOD}\n{HEAD}{GOOD}\n"))
    assert rejects == [(1, "no #fields line before it")]
    assert frames["conn"].height == 1


def test_a_header_without_what_is_needed_is_told(tmp_path):
    text = writer.tsv("conn", RECORDS[:2], ["uid", "id.orig_h", "orig_bytes"])
    _, rejects, _ = read(writer.write(tmp_path / "conn.log", text))
    assert rejects == [(n, "the header names no field ts, id.resp_h") for n in (9, 10)]


def test_a_field_that_no_header_names_is_missing(tmp_path):
    fields = [f for f in writer.FIELDS["conn"] if f != "duration"]
    frames, rejects, reading = read(
        writer.write(tmp_path / "conn.log", writer.tsv("conn", RECORDS, fields))
    )
    assert rejects == []
    assert frames["conn"]["duration"].null_count() == len(RECORDS)
    assert reading.lacking == {("conn", "duration")}


def test_a_truncated_gzip_gives_what_can_be_read(tmp_path):
    many = [conn(n) for n in range(5000)]
    packed = gzip.compress(writer.tsv("conn", many).encode())
    path = writer.write(tmp_path / "conn.log.gz", packed[: len(packed) // 2])
    frames, rejects, reading = read(path)
    rows = frames["conn"].rows()
    assert reading.damage == "truncated gzip"
    assert 1000 < len(rows) < 5000
    assert rows == expected(many).rows()[: len(rows)]
    assert len(rejects) <= 1  # the line in which it was cut


def test_a_damaged_gzip_gives_what_lies_before_the_damage(tmp_path):
    many = [conn(n) for n in range(50_000)]
    packed = bytearray(gzip.compress(writer.tsv("conn", many).encode()))
    middle = len(packed) // 2
    packed[middle : middle + 2000] = b"\xff" * 2000
    frames, _rejects, reading = read(writer.write(tmp_path / "conn.log.gz", bytes(packed)))
    assert reading.damage.startswith("damaged gzip")
    rows = frames["conn"].rows()
    assert len(rows) > 20_000
    assert rows[:20_000] == expected(many).rows()[:20_000]


def test_a_gzip_that_unpacks_to_gigabytes_comes_in_small_blocks(tmp_path):
    pack = zlib.compressobj(9, wbits=31)
    head = (HEAD + GOOD + "\n").encode()
    parts = [pack.compress(head)]
    parts += [pack.compress(b"\0" * (1 << 20)) for _ in range(64)]
    parts.append(pack.compress(f"\n{GOOD}\n".encode()) + pack.flush())
    path = writer.write(tmp_path / "conn.log.gz", b"".join(parts))
    assert path.stat().st_size < 1 << 17
    frames, rejects, reading = read(path)
    assert frames["conn"].height == 2
    assert rejects == [(10, "a line longer than 8 MiB")]
    assert reading.damage == ""
    assert max(len(block) for block in streams.Lines(path)) < 2 * streams.BLOCK


def test_rejects_are_counted_all_and_kept_in_part(tmp_path):
    path = writer.write(tmp_path / "conn.log", HEAD + "junk\n" * 5000 + GOOD + "\n")
    blocks = list(ReadLog(find_logs([path]).logs[0], WANTED))
    assert sum(block.rejects.count for block in blocks) == 5000
    assert sum(len(block.rejects.kept) for block in blocks) == 1000
    assert sum(block.records.height for block in blocks) == 1


def test_real_logs(real_data):
    found = find_logs([real_data / "zeek"])
    rows = {}
    for log in found.logs:
        reading = ReadLog(log, WANTED)
        name = str(log.path).removeprefix(f"{real_data / 'zeek'}/")
        rows[name] = sum(block.records.height + 10**6 * block.rejects.count for block in reading)
        assert (reading.damage == "truncated gzip") == (name == "http.log.corrupt.gz")
    assert rows == {
        "conn.log": 360,
        "conn_date_issue.log": 3,
        "dns.log": 54,
        "http.log": 150,
        "http.log.corrupt.gz": 150,
        "http_empty.log": 0,
        "ssl.log": 37,
        "json/conn.log": 50,
        "json/dns.log": 50,
        "json/http.log": 28,
        "json/ssl.log": 50,
    }
