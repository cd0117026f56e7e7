"""Files are whole or not there: full disks, killed writers, folders that cannot be written."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mods.errors import DataError
from mods.files import write_aside

LIMITED = """
import resource, signal, sys
from mods.errors import DataError
from mods.files import write_aside
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with write_aside(sys.argv[1]) as partial:
        partial.write_bytes(b"x" * 2000)
except DataError as error:
    print(error)
"""

KILLED = """
import os, signal, sys
from mods.files import write_aside
with write_aside(sys.argv[1]) as partial:
    partial.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def run(script: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
    )


def test_a_file_replaces_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    for text in ("one", "two"):
        with write_aside(path) as partial:
            partial.write_text(text)
        assert path.read_text() == text
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_a_file_has_the_permissions_that_the_umask_allows(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with write_aside(tmp_path / "a") as partial:
            partial.write_text("x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_what_fails_leaves_the_file_before(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("before")

    def fail() -> None:
        with write_aside(path) as partial:
            partial.write_text("half")
            raise KeyError("of ours")

    with pytest.raises(KeyError, match="of ours"):
        fail()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_file_before(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("before")
    done = run(LIMITED, path)
    assert done.stdout == (
        f"cannot write {str(path)!r}: File too large. "
        "Check the folder's permissions and the space left on the disk.\n"
    )
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_goes_with_the_next_writing(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("before")
    assert run(KILLED, path).returncode == -signal.SIGKILL
    assert path.read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 2
    with write_aside(path) as partial:
        partial.write_text("after")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "after"


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with write_aside(path) as first:
        first.write_text("first")
        with write_aside(path) as second:
            assert first != second
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"


@pytest.mark.parametrize("name", ["", ".", "a/..", "a\0b"])
def test_a_path_that_is_no_file_is_told(name: str) -> None:
    with pytest.raises(DataError, match="cannot write"), write_aside(name):
        pass


def test_a_folder_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="Is a directory"), write_aside(tmp_path / "a") as partial:
        partial.write_text("x")
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_file_where_a_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    with pytest.raises(DataError, match="cannot write"), write_aside(tmp_path / "a" / "b"):
        pass


def test_a_name_beyond_all_measure_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="File name too long"), write_aside(tmp_path / ("a" * 300)):
        pass
