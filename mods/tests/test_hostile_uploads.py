"""Uploads that nobody should send: each is refused quickly, by a 4xx, and leaves nothing."""

from __future__ import annotations

import gc
import gzip
import io
import os
import pickle
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from deepaas.model.v2.wrapper import UploadedFile

from mods import config
from mods.models import api
from mods.models.api_errors import ServiceError
from mods.tests.running_service import SAMPLE, environment

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def uploads(tmp_path_factory):
    """The folder of temporary files, with the model warm as a worker has it."""
    folder = tmp_path_factory.mktemp("service")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(folder).items():
            patch.setenv(name, value)
        patch.setattr("tempfile.tempdir", str(folder / "uploads"))
        config.folders.cache_clear()
        api.warm()
        yield folder / "uploads"
    config.folders.cache_clear()


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def a_day(rows: str = "", header: str = "window_start\twindow_end\tin\tout") -> bytes:
    return f"{header}\n{rows}".encode()


def parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


DAY = "ssh/2024/03/01/w01h-s10m.tsv"
SAMPLE_BYTES = SAMPLE.read_bytes()
MADE: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "blanks": lambda: b" \n\t\n \n",
    "one byte": lambda: b"\xff",
    "null bytes": lambda: b"\0" * 100_000,
    "random bytes": lambda: np.random.default_rng(0).bytes(300_000),
    "a picture": lambda: b"\x89PNG\r\n\x1a\n" + bytes(1000),
    "a pickle": lambda: pickle.dumps({"a": [1, 2]}),
    "a pickle with a call": lambda: b"cos\nsystem\n(S'touch owned'\ntR.",
    "gzip": lambda: gzip.compress(SAMPLE_BYTES),
    "an html page": lambda: b"<html><body>hello</body></html>",
    "json": lambda: b'{"conn_in": [1, 2, 3]}',
    "utf-16": lambda: SAMPLE_BYTES.decode().encode("utf-16"),
    "latin-1": lambda: b"caf\xe9\n" + b"1\n" * 60,
    "formulas": lambda: b"conn_in\n" + b"=cmd|' /C calc'!A0\n" * 60,
    "gigantic numbers": lambda: b"conn_in\n" + b"9" * 5000 + b"\n" + b"1\n" * 60,
    "infinity": lambda: b"conn_in\n" + b"inf\n" * 60,
    "nothing but missing": lambda: b"conn_in\n" + b"nan\n" * 60,
    "no name": lambda: b",\n" + b"1,2\n" * 60,
    "the same name twice": lambda: b"a,a\n" + b"1,2\n" * 60,
    "no header": lambda: b"1,2\n" * 60,
    "a million columns": lambda: b",".join(b"c%d" % n for n in range(10**6)) + b"\n1\n",
    "a line of ten million": lambda: b"a" * 10_000_000,
    "times that repeat": lambda: b"window_start,a\n" + b"2024-03-01T00:00:00Z,1\n" * 60,
    "times that go back": lambda: b"window_start,a\n2024-03-02,1\n2024-03-01,2\n",
    "times that are none": lambda: b"window_start,a\n" + b"yesterday,1\n" * 60,
    "times far apart": lambda: b"window_start,a\n0001-01-01,1\n2024-03-01T00:00:00Z,2\n",
    "times off the grid": lambda: b"window_start,a\n2024-03-01T00:00:07Z,1\n2024-03-01T00:10:07Z,1",
    "ragged lines": lambda: b"a,b\n" + b"1,2,3,4\n" * 60,
    "quotes without end": lambda: b'a,b\n"1,2\n' * 60,
    "a truncated table": lambda: SAMPLE_BYTES[:1500],
    "an empty zip": lambda: zipped(),
    "a zip of something else": lambda: zipped(("readme.txt", b"hello")),
    "a zip with a way out": lambda: zipped((f"../../{DAY}", a_day())),
    "a zip with an absolute path": lambda: zipped((f"/etc/{DAY}", a_day())),
    "a zip bomb": lambda: zipped((DAY, bytes(300 << 20))),
    "a zip of many members": lambda: zipped(*((f"{n}/{DAY}", b"") for n in range(20_000))),
    "a zip in a zip": lambda: zipped((DAY, zipped((DAY, a_day())))),
    "a truncated zip": lambda: zipped((DAY, a_day("x" * 5000)))[:-30],
    "a day without rows": lambda: zipped((DAY, a_day())),
    "a day of words": lambda: zipped((DAY, a_day("2024-03-01\t2024-03-01\tmany\t1\n"))),
    "a zip with a changed byte": lambda: bytes(
        byte ^ (0xFF if place == 45 else 0)
        for place, byte in enumerate(zipped((DAY, a_day("x" * 100))))
    ),
    "a damaged parquet file": lambda: b"PAR1" + bytes(1000) + b"PAR1",
    "a truncated parquet file": lambda: parquet(pd.DataFrame({"a": range(100)}))[:-100],
    "parquet with words": lambda: parquet(pd.DataFrame({"a": ["x"] * 100})),
    "parquet with lists": lambda: parquet(pd.DataFrame({"a": [[1, 2]] * 100})),
}


def refused(uploads: Path, content: bytes, **arguments: object) -> tuple[ServiceError, float]:
    """Send an upload that cannot be answered; return the error and the seconds it took.

    Those of the processor, which do not depend on what else the machine does; `test_service.py`
    takes the time that a client waits.
    """
    path = uploads / "tmp1234"
    path.write_bytes(content)
    begun = time.process_time()
    with pytest.raises(ServiceError) as caught:
        api.predict(data=UploadedFile("data", str(path), "text/plain", "bad.bin"), **arguments)
    return caught.value, time.process_time() - begun


@pytest.mark.parametrize("what", MADE)
def test_it_is_refused_quickly_and_leaves_nothing(uploads, what):
    error, took = refused(uploads, MADE[what]())
    assert error.status in (404, 422), error
    assert error.message
    assert len(error.message) < 2000
    assert took < 1
    assert list(uploads.iterdir()) == []
    assert not Path("owned").exists()


def test_a_damaged_sample_is_refused_or_answered_but_never_a_failure_of_ours(uploads):
    """A hundred and sixty changes at random: bytes changed, cut out, repeated."""
    rng = np.random.default_rng(7)
    small = b"\n".join(SAMPLE_BYTES.splitlines()[:120]) + b"\n"
    for _ in range(160):
        content = bytearray(small)
        for _ in range(rng.integers(1, 6)):
            place = int(rng.integers(len(content)))
            change = rng.integers(3)
            if change == 0:
                content[place] = int(rng.integers(256))
            elif change == 1:
                del content[place : place + int(rng.integers(1, 400))]
            else:
                content[place:place] = content[place : place + int(rng.integers(1, 400))]
        path = uploads / "tmp1234"
        path.write_bytes(bytes(content))
        begun = time.process_time()
        try:
            answer = api.predict(data=UploadedFile("data", str(path), "", "bad.tsv"))
            assert isinstance(answer, dict)
        except ServiceError as error:
            assert error.status in (404, 422), error
            assert time.process_time() - begun < 1
        assert list(uploads.iterdir()) == []


def test_more_columns_than_a_picture_holds_is_a_4xx(uploads):
    wide = ",".join(f"c{n}" for n in range(60)) + "\n" + (",".join("1" * 60) + "\n") * 60
    error, _ = refused(uploads, wide.encode(), accept="image/png")
    assert error.status == 422
    assert "at most 48" in error.message


HEAVY = ("a million columns", "a line of ten million", "a zip bomb", "null bytes", "gzip")


def resident() -> int:
    """Return the memory of this process, bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_memory_is_back_after_the_largest_uploads(uploads):
    contents = [MADE[what]() for what in HEAVY]

    def sent() -> int:
        for content in contents:
            refused(uploads, content)
        gc.collect()
        return resident()

    first = sent()
    assert max(sent() for _ in range(4)) - first < 100e6
