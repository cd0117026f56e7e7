"""A hundred damaged and hostile logs, and a full disk: told, and nothing else is harmed."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mods.cli import main
from mods.tests import zeek_writer as writer
from mods.tests.sensor_maker import DAY, MINUTE, conn

Damage = Callable[[bytes, random.Random], bytes]


def _cut(text: bytes, draw: random.Random) -> bytes:
    return text[: draw.randrange(1, len(text))]


def _bytes(text: bytes, draw: random.Random) -> bytes:
    damaged = bytearray(text)
    for _ in range(draw.randrange(1, 200)):
        damaged[draw.randrange(len(damaged))] = draw.randrange(256)
    return bytes(damaged)


def _nothing(text: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(text))
    return text[:at] + b"\x00" * draw.randrange(1, 5000) + text[at:]


def _lines(text: bytes, draw: random.Random) -> bytes:
    lines = text.split(b"\n")
    draw.shuffle(lines)
    return b"\n".join(lines)


def _headless(text: bytes, _draw: random.Random) -> bytes:
    return b"\n".join(line for line in text.split(b"\n") if not line.startswith(b"#"))


def _header_only(text: bytes, _draw: random.Random) -> bytes:
    return b"\n".join(line for line in text.split(b"\n") if line.startswith(b"#")) + b"\n"


def _huge_line(text: bytes, draw: random.Random) -> bytes:
    return text + b"x" * draw.randrange(1 << 20, 9 << 20) + b"\n" + text


def _columns(text: bytes, draw: random.Random) -> bytes:
    extra = draw.choice([b"\t", b"\t\t\t", b" ", b"\r", b"\x1c", b"\xe2\x80\xa8"])
    return b"\n".join(line + extra * draw.randrange(2) for line in text.split(b"\n"))


def _numbers(text: bytes, draw: random.Random) -> bytes:
    worse = [b"9" * 400, b"1e308", b"-1", b"NaN", b"inf", b"0x10", b"=1+1", b"", b"-", b"\xff"]
    cells = text.split(b"\t")
    for _ in range(20):
        cells[draw.randrange(len(cells))] = draw.choice(worse)
    return b"\t".join(cells)


def _encoded(text: bytes, draw: random.Random) -> bytes:
    return text.decode().encode(draw.choice(["utf-16", "utf-16-be", "utf-32", "cp037", "utf-7"]))


def _headers(text: bytes, draw: random.Random) -> bytes:
    lies = [b"#fields\tts\tts\tts", b"#separator \\x41", b"#separator", b"#fields", b"#path\t../x"]
    lines = text.split(b"\n")
    for _ in range(3):
        lines.insert(draw.randrange(len(lines)), draw.choice(lies))
    return b"\n".join(lines)


def _junk(text: bytes, draw: random.Random) -> bytes:
    magic = draw.choice([b"\x1f\x8b\x08", b"PK\x03\x04", b"PAR1", b"\x28\xb5\x2f\xfd", b"{", b"#"])
    return magic + draw.randbytes(draw.randrange(10, 3000))


def _packed(text: bytes, draw: random.Random) -> bytes:
    packed = bytearray(gzip.compress(text))
    if draw.random() < 0.5:
        return bytes(packed[: draw.randrange(4, len(packed))])
    packed[draw.randrange(10, len(packed))] ^= 1 << draw.randrange(8)
    return bytes(packed)


def _objects(text: bytes, draw: random.Random) -> bytes:
    sound = {"ts": 1_559_350_000.5, "id.orig_h": "10.0.0.1", "id.resp_h": "1.1.1.1", "AA": True}
    lines = []
    for _ in range(50):
        entry = dict(sound, _path="dns")
        name = draw.choice([*entry, "query"])
        entry[name] = draw.choice([None, [], {}, "x" * 99, -1, 1e300, True, [["y"]], {"a": "b"}])
        lines.append(json.dumps(entry).encode())
    lines[draw.randrange(50)] = b"[" * draw.randrange(1, 20_000)
    return b"\n".join(lines)


DAMAGES: list[Damage] = [
    _cut, _bytes, _nothing, _lines, _headless, _header_only, _huge_line,
    _columns, _numbers, _encoded, _headers, _junk, _packed, _objects,
]  # fmt: skip


def sound(name: str) -> list[dict[str, object]]:
    records = []
    for n in range(200 if name == "conn" else 120):
        asked = {"query": f"{n % 9}.example", "proto": "udp", "AA": n % 2 == 0}
        records.append({**conn(DAY + n * 7 * MINUTE), **asked})
    return records


def features(pool: Path) -> dict[str, bytes]:
    return {str(p.relative_to(pool)): p.read_bytes() for p in sorted(pool.rglob("*.tsv"))}


def files(pool: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(pool.rglob("*")) if path.is_file()}


@pytest.fixture
def sensor(tmp_path, capsys):
    """A datapool of one sound log of conn, and what its folder holds."""
    writer.write(tmp_path / "logs/conn.log", writer.tsv("conn", sound("conn")))
    assert main(["features", str(tmp_path / "logs"), "--out", str(tmp_path / "pool")]) == 0
    capsys.readouterr()
    return tmp_path


@pytest.mark.parametrize("number", range(105))
def test_a_hostile_log_is_told_and_harms_no_other(sensor, capsys, number):
    draw = random.Random(number)
    damage = DAMAGES[number % len(DAMAGES)]
    name = "dns.log.gz" if damage is _packed else "dns.log"
    content = damage(writer.tsv("dns", sound("dns")).encode(), draw)
    (sensor / "logs" / name).write_bytes(content)
    before = features(sensor / "pool")
    status = main(["features", str(sensor / "logs"), "--out", str(sensor / "pool"), "--json"])
    out, told = capsys.readouterr()
    assert status in (0, 2), told
    assert all(line.startswith("mods: ") for line in told.splitlines()), told
    after = features(sensor / "pool")
    if status == 2:
        assert len(told.splitlines()) >= 1
        assert after == before
        return
    document = json.loads(out)
    for path, text in before.items():
        if path.startswith("conn/"):
            known = [row for row in text.splitlines() if not row.endswith(b'""')]
            assert set(known) <= set(after[path].splitlines())
    counted = document["protocols"].get("dns", {"files": 0})
    named = {Path(entry["file"]).name for entry in (*document["damaged"], *document["not_used"])}
    # whatever the file is, it is counted, or named with a reason
    assert name in named or counted["files"] == 1


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_a_file_of_rejects_alone_is_told_by_every_engine(tmp_path, engine, capsys):
    pytest.importorskip("duckdb")
    writer.write(tmp_path / "logs/conn.log", writer.tsv("conn", sound("conn")))
    writer.write(tmp_path / "logs/all.json", '{"_path": "dns"}\n[1]\n{"_path": 7}\n{"_path"\n')
    command = ["features", str(tmp_path / "logs"), "--out", str(tmp_path / "pool")]
    assert main([*command, "--engine", engine, "--range", "<2019-06-01,2019-06-03)"]) == 0
    assert "3 lines are no records" in capsys.readouterr().err
    rejects = (tmp_path / "pool/rejects.tsv").read_text().splitlines()[1:]
    assert [row.split("\t")[1:] for row in rejects] == [
        ["1", "ts is unset, no time", '{"_path": "dns"}'],
        ["2", "a JSON list, no object", "[1]"],
        ["4", "no JSON (Expecting ':' delimiter: line 1 column 9 (char 8))", '{"_path"'],
    ]


@pytest.mark.parametrize("most", [0, 300, 3000])
def test_a_full_disk_leaves_the_datapool_as_it_was(sensor, most):
    """A limit of the size of files stands for a disk that is full at some moment."""
    before = files(sensor / "pool")
    more = [conn(DAY + n * MINUTE) for n in range(2000)]
    writer.write(sensor / "logs/conn.more.log", writer.tsv("conn", more))
    code = (
        "import resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most}))\n"
        "from mods.cli import main\n"
        "sys.exit(main(['features', *sys.argv[1:]]))\n"
    )
    finished = subprocess.run(
        [sys.executable, "-B", "-c", code, str(sensor / "logs"), "--out", str(sensor / "pool")],
        # What counts its lines would find the disk full too, and say so.
        env={k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_PROCESS_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 2, finished.stderr
    (line,) = finished.stderr.splitlines()
    assert line.startswith("mods features: cannot write ")
    assert line.endswith("Check the folder's permissions and the space left on the disk.")
    assert {
        p: p.read_bytes() for p in sorted((sensor / "pool").rglob("*")) if p.is_file()
    } == before
