"""Damaged and hostile datapools: each ends in one clear line, and nothing is harmed."""

from __future__ import annotations

import io
import os
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mods.dataset import archive, datapool, read_data
from mods.dataset.datapool import read_datapool
from mods.dataset.verify import verify
from mods.errors import DataError, ModsError, NotFoundError
from mods.timerange import Window

HOUR = Window.parse("w01h-s10m")
FIRST = date(2019, 6, 1)
NAME = "ssh/2019/06/01/w01h-s10m.tsv"
HEADER = "window_start\twindow_end\tin\tout\n"


def row(number: int, values: str = "1\t2") -> str:
    start, end = (f"2019-06-01T{h:02d}:{m:02d}:00.000Z" for h, m in
                  (divmod(10 * number, 60), divmod(10 * number + 60, 60)))  # fmt: skip
    return f"{start}\t{end}\t{values}\n"


SOUND = HEADER + "".join(row(n) for n in range(100))


def parquet(**columns: object) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


JUNK = np.random.default_rng(5).bytes(3000)
BAD_TIME = row(5).replace("2019-06-01T00:50:00.000Z", "yesterday", 1)
OTHER_DAY = row(5).replace("2019-06-01", "2019-06-02")
OFF_GRID = row(5).replace("T00:50", "T00:51").replace("T01:50", "T01:51")

# A day's file, and what is said after its name.
FILES: list[tuple[str | bytes, str]] = [
    (b"", " is damaged: it is empty"),
    (b"\n", " is damaged: it is empty"),
    (JUNK, ""),
    (b"\0" * 500, " has no column 'window_start'"),
    (b"\xff\xfe" + SOUND.encode("utf-16-le"), " is damaged: it is not UTF-8 text"),
    ("in\tout\n1\t2\n", " has no column 'window_start'; expected the features of one day"),
    ("window_start\tin\tin\n", " is damaged: its columns' names are not distinct"),
    ("window_start\tin\t\n", " is damaged: its columns' names are not distinct"),
    (SOUND.replace("\t", ","), " has no column 'window_start'"),
    (HEADER + row(0) + row(1, "1"), ", line 3 has 3 fields; expected 4 fields"),
    (HEADER + row(0) + row(1, "1\t2\t3"), ", line 3 has 5 fields; expected 4 fields"),
    (HEADER + row(0) + "\n" + row(1), ", line 3 has 1 field; expected 4 fields"),
    (SOUND[:-12], ", line 101 has 2 fields; expected 4 fields"),
    (SOUND[: len(SOUND) // 2], ", line 51 has 2 fields"),
    (HEADER + row(0, "1\tx"), ", line 2, column 'out': 'x'; expected a finite number, or nothing"),
    (HEADER + row(0) + row(1, "1,5\t2"), ", line 3, column 'in': '1,5'"),
    (HEADER + row(0, "inf\t2"), ", line 2, column 'in': 'inf'"),
    (HEADER + row(0, "nan\t2"), ", line 2, column 'in': 'nan'"),
    (HEADER + row(0, "1e999\t2"), ", line 2, column 'in': '1e999'"),
    (HEADER + row(0, '"1\t2'), ", line 2, column 'in': '\"1'"),
    (HEADER + row(0, "9" * 5000 + "x\t2"), ", line 2, column 'in': '999999"),
    (HEADER + row(0) + BAD_TIME, ", line 3: window_start 'yesterday'; expected a time such as"),
    (HEADER + row(0) + row(1).replace("2019-06-01T00:10:00.000Z", ""), ", line 3: window_start ''"),
    (HEADER + row(0).replace("T01:00", "T25:00"), ", line 2: window_end '2019-06-01T25"),
    (HEADER + row(0) + row(0), ", line 2: window_start 2019-06-01T00:00:00.000Z is there twice"),
    (HEADER + OTHER_DAY, ", line 2: window_start 2019-06-02T00:50:00.000Z is on another day"),
    (HEADER + OFF_GRID, ", line 2: window_start 2019-06-01T00:51:00.000Z starts no window"),
    (HEADER + row(0).replace("T01:00", "T02:00"),
     ", line 2: window_start 2019-06-01T00:00:00.000Z has another end; expected windows of 3600 s"),
    (HEADER + row(0, "\xff\t2").replace("\xff", "\udcff"), " is damaged: it is not UTF-8 text"),
]  # fmt: skip


def put(pool: Path, content: str | bytes, name: str = NAME) -> Path:
    path = pool / name
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    path.write_bytes(data)
    return path


def one_line(error: BaseException) -> str:
    assert isinstance(error, ModsError)
    text = str(error)
    assert "\n" not in text
    assert len(text) < 600
    return text


@pytest.mark.parametrize(("content", "said"), FILES)
@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "zip"])
def test_a_damaged_day_is_told_with_its_place(
    tmp_path: Path, content: str | bytes, said: str, zipped: bool
) -> None:
    path = put(tmp_path / "files", content)
    put(tmp_path / "files", SOUND.replace("06-01", "06-02"), NAME.replace("/01/", "/02/"))
    name = str(path)
    pool = tmp_path / "files"
    if zipped:
        pool = tmp_path / "pool.zip"
        with zipfile.ZipFile(pool, "w") as target:
            target.write(path, NAME)
        name = f"{pool}: {NAME}"
    with pytest.raises(DataError) as caught:
        read_datapool(pool, query="ssh|in|out")
    assert one_line(caught.value).startswith(name + said)
    assert any(str(problem).startswith(name) for problem in verify(pool))


def test_a_header_without_rows_is_told(tmp_path: Path) -> None:
    put(tmp_path, HEADER)
    with pytest.raises(DataError, match="the datapool's files have headers and no rows"):
        read_datapool(tmp_path, query="ssh|in")
    put(tmp_path, SOUND.replace("06-01", "06-02"), NAME.replace("/01/", "/02/"))
    assert len(read_datapool(tmp_path, query="ssh|in")) == 100


@pytest.mark.parametrize(
    "content", [SOUND.replace("\n", "\r\n"), "\ufeff" + SOUND, SOUND.rstrip("\n"), SOUND]
)
def test_line_ends_and_marks_do_not_matter(tmp_path: Path, content: str) -> None:
    put(tmp_path, content)
    frame = read_datapool(tmp_path, query="ssh|in|out")
    assert frame.shape == (100, 2)
    assert frame["out"].tolist() == [2.0] * 100


STARTS = [datetime(2019, 6, 1), datetime(2019, 6, 1, 0, 10)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PAR1", " is damaged: "),
        (JUNK, " is damaged: "),
        (parquet(window_start=STARTS, **{"in": [1, 2]})[:-9], " is damaged: "),
        (parquet(window_start=[1, 2], **{"in": [1, 2]}), " holds Int64 as 'window_start'"),
        (parquet(window_start=STARTS, **{"in": ["1", "2"]}), " holds String as 'in'"),
        (parquet(window_start=STARTS, **{"in": [1.0, np.inf]}), " has an infinite value of 'in'"),
        (parquet(window_start=[*STARTS[:1], None], **{"in": [1, 2]}), " has a row without window_"),
        (parquet(**{"in": [1, 2]}), " has no column 'window_start'"),
    ],
)  # fmt: skip
def test_a_damaged_parquet_day_is_told(tmp_path: Path, content: bytes, said: str) -> None:
    path = put(tmp_path, content, NAME.replace(".tsv", ".parquet"))
    with pytest.raises(DataError) as caught:
        read_datapool(tmp_path, query="ssh|in")
    assert one_line(caught.value).startswith(str(path) + said)


def zipped(members: dict[str, str | bytes], change: Callable[[zipfile.ZipInfo], None]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            change(info)
            target.writestr(info, data)
    return buffer.getvalue()


def plain(_info: zipfile.ZipInfo) -> None:
    """Leave a member as it is."""


def link(info: zipfile.ZipInfo) -> None:
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16


WHOLE = zipped({NAME: SOUND}, plain)
CENTRAL = WHOLE.rindex(b"PK\x01\x02")


def patched(at: int, value: bytes) -> bytes:
    """Return the sound zip with bytes of its central directory replaced."""
    return WHOLE[: CENTRAL + at] + value + WHOLE[CENTRAL + at + len(value) :]


FLIPPED = bytearray(WHOLE)
FLIPPED[120] ^= 255

HOSTILE = [
    (zipped({NAME: SOUND, "../../etc/cron.d/x": "x"}, plain), "'../../etc/cron.d/x', which leads"),
    (zipped({f"/{NAME}": SOUND}, plain), f"'/{NAME}', which leads out of it"),
    (zipped({f"a/../../{NAME}": SOUND}, plain), "which leads out of it"),
    (zipped({NAME.replace("/", "\\"): SOUND, "..\\x": ""}, plain), "which leads out of it"),
    (zipped({f"C:/{NAME}": SOUND}, plain), f"'C:/{NAME}', which leads out of it"),
    (zipped({NAME: "/etc/passwd"}, link), f"has the symbolic link {NAME!r}"),
    (
        zipped({NAME: b"\0" * (8 << 20)}, plain),
        " to 8,388,608 bytes; expected the features of one day",
    ),
    (patched(24, struct.pack("<I", 1 << 30)), "to 1,073,741,824 bytes"),
    (patched(8, b"\x01\x00"), f"is encrypted ({NAME!r}); expected a zip without a password"),
    (patched(10, b"\x63\x00"), "is damaged: That compression method is not supported"),
    (patched(16, b"\0\0\0\0"), "is damaged: Bad CRC-32"),
    (bytes(FLIPPED), "is damaged"),
    (WHOLE[:-30], "is a damaged zip"),
    (WHOLE[: len(WHOLE) // 2], "is a damaged zip"),
    (WHOLE[100:], "damaged"),
    (b"PK\x03\x04", "is a damaged zip"),
    (b"", "is a damaged zip"),
    (JUNK, "is a damaged zip"),
    (SOUND.encode(), "is a damaged zip"),
    (zipped({}, plain), "holds no features; expected files such as"),
    (zipped({"a.txt": "x"}, plain), "holds no features; expected files such as"),
    (zipped({"xl/workbook.xml": "<x/>"}, plain), "holds no features"),
    (zipped({"ssh/2019/06/31/w01h-s10m.tsv": SOUND}, plain), "holds no features"),
    (zipped({"ssh/2019/06/01/w1h.tsv": SOUND}, plain), "holds no features"),
    (zipped({"pool.zip": WHOLE}, plain), "holds no features"),
]


@pytest.mark.parametrize(("content", "said"), HOSTILE)
def test_a_damaged_or_hostile_zip_is_told(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "pool" / "2019-06-01.zip"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_datapool(path.parent, query="ssh|in")
    assert said in one_line(caught.value)
    assert verify(path.parent)
    assert [p.name for p in tmp_path.rglob("*")] == ["pool", "2019-06-01.zip"]


def test_a_zip_of_too_many_members_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    (tmp_path / "a.zip").write_bytes(zipped({str(n): "" for n in range(4)}, plain))
    with pytest.raises(DataError, match="is refused: it holds 4 members; expected at most 3"):
        read_datapool(tmp_path)


def test_a_huge_day_is_not_read(tmp_path: Path) -> None:
    path = put(tmp_path, b"")
    with path.open("wb") as file:
        file.truncate(archive.MAX_MEMBER + 1)
    with pytest.raises(DataError, match="has 268,435,457 bytes; expected the features of one day"):
        read_datapool(tmp_path, query="ssh|in")


def test_a_clock_that_jumped_does_not_make_a_grid_of_centuries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datapool, "_MAX_WINDOWS", 10_000)
    put(tmp_path, SOUND)
    put(tmp_path, SOUND.replace("2019", "2119"), NAME.replace("2019", "2119"))
    with pytest.raises(ModsError, match="5,259,556 windows between the first day and the last"):
        read_datapool(tmp_path, query="ssh|in")
    assert len(read_datapool(tmp_path, query="ssh|in", time_range="<2019,2020)")) == 100


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_told(tmp_path: Path) -> None:
    put(tmp_path, SOUND).chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        read_datapool(tmp_path, query="ssh|in")


@pytest.mark.parametrize("make", ["nothing", "empty", "loop", "file", "dangling"])
def test_what_is_no_datapool_is_told(tmp_path: Path, make: str) -> None:
    path = tmp_path / "pool"
    if make == "empty":
        path.mkdir()
    elif make == "loop":
        path.symlink_to(path)
    elif make == "file":
        path.write_text("a,b\n1,x\n")
    elif make == "dangling":
        path.mkdir()
        (path / "ssh.zip").symlink_to(tmp_path / "gone")
    with pytest.raises((DataError, NotFoundError)) as caught:
        read_data(path)
    one_line(caught.value)


@settings(max_examples=100)
@given(st.data())
def test_any_damage_to_a_zip_is_told_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    path = tmp_path_factory.mktemp("pool") / "a.zip"
    path.write_bytes(content)
    try:
        with warnings.catch_warnings():
            # zipfile's own word on a name that is there twice
            warnings.simplefilter("ignore", UserWarning)
            frame = read_datapool(path.parent, query="ssh|in|out")
    except ModsError as error:
        # a damaged header makes a query's mistake, which is told with its caret
        assert "\n" not in str(error) or str(error).startswith("selection query: ")
    else:
        assert frame["out"].tolist() == [2.0] * 100


@settings(max_examples=100)
@given(st.data())
def test_any_damage_to_a_day_is_told_or_changes_values_only(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(SOUND.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + 1] = data.draw(st.binary(max_size=2))
    pool = tmp_path_factory.mktemp("pool")
    put(pool, bytes(content))
    try:
        frame = read_datapool(pool, query="ssh|in|out")
    except ModsError as error:
        assert str(error)
    else:
        assert len(frame) <= 144
        assert frame.columns.tolist() == ["in", "out"]
