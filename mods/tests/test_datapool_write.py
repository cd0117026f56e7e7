"""Writing datapools: full disks, killed writers, the manifest, and what verifying tells."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import warnings
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest

from mods.cli import main
from mods.dataset.datapool import read_datapool
from mods.dataset.feature_files import LAYOUTS, Layout, write_features
from mods.dataset.manifest import Manifest
from mods.dataset.verify import verify
from mods.errors import DataError, ModsWarning, NotFoundError
from mods.tests.feature_maker import FIRST, HOUR, contents, features

NAME = "ssh/2019/06/01/w01h-s10m.tsv"
JUNK = bytes(range(256)) * 8

FULL = """
import resource, signal, sys
from pathlib import Path
from mods.errors import DataError
from mods.dataset.feature_files import write_features
from mods.tests.feature_maker import HOUR, features
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    write_features(Path(sys.argv[1]), "ssh", HOUR, features(3), layout=sys.argv[2])
except DataError as error:
    print(error)
"""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_full_disk_leaves_the_datapool_as_it_was(tmp_path: Path, layout: Layout) -> None:
    write_features(tmp_path, "ssh", HOUR, features(3), layout=layout)
    write_features(tmp_path, "http", HOUR, features(3), layout=layout)
    before = contents(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path), layout],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.startswith("cannot write '"), done.stderr
    assert "File too large. Check the folder's permissions and the space left" in done.stdout
    assert done.stdout.count("\n") == 1
    assert contents(tmp_path) == before


KILLED = """
import os, signal, sys
from pathlib import Path
import mods.dataset.feature_files as files
from mods.tests.feature_maker import HOUR, features
after = int(sys.argv[3])
def dying(fd, fsync=os.fsync):
    global after
    after -= 1
    if after < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(fd)
os.fsync = dying
files.write_features(Path(sys.argv[1]), "ssh", HOUR, features(3), layout=sys.argv[2])
"""


@pytest.mark.parametrize(("layout", "after"), [("tree", 0), ("tree", 2), ("zip-day", 1)])
def test_a_killed_writer_leaves_whole_days_and_the_next_one_mends(
    tmp_path: Path, layout: Layout, after: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "a"), layout, str(after)],
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    if after:
        assert len(read_datapool(tmp_path / "a", query="ssh|in")) == after * 144
    write_features(tmp_path / "a", "ssh", HOUR, features(3), layout=layout)
    write_features(tmp_path / "b", "ssh", HOUR, features(3), layout=layout)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.fixture(params=LAYOUTS)
def sound(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A datapool with a manifest, in each layout."""
    pool = tmp_path / "pool"
    manifest = Manifest.load(pool)
    for protocol in ("ssh", "http"):
        write_features(pool, protocol, HOUR, features(3), layout=request.param, manifest=manifest)
    manifest.save()
    return pool


def test_a_sound_datapool_has_no_problem(sound: Path) -> None:
    assert verify(sound) == []
    entry = Manifest.load(sound).files
    assert len(entry) == 6
    assert {(e.windows, e.known) for e in entry.values()} == {(144, 144)}


def test_what_was_written_and_is_gone_or_changed_is_told(tmp_path: Path) -> None:
    manifest = Manifest.load(tmp_path)
    write_features(tmp_path, "ssh", HOUR, features(3), manifest=manifest)
    manifest.save()
    (tmp_path / "ssh/2019/06/02/w01h-s10m.tsv").unlink()
    changed = tmp_path / "ssh/2019/06/03/w01h-s10m.tsv"
    changed.write_text(changed.read_text().replace("\t300.0\t", "\t301.0\t"))
    write_features(tmp_path, "ssh", HOUR, features(1, FIRST + timedelta(days=3))[:100])
    fourth = tmp_path / "ssh/2019/06/04/w01h-s10m.tsv"
    assert [str(problem) for problem in verify(tmp_path)] == [
        f"{changed}: is not what was written (another digest)",
        f"{fourth}: is not in the manifest",
        f"{fourth}: 44 of 144 windows are missing",
        "ssh w01h-s10m: no file for 2019-06-02",
        "ssh/2019/06/02/w01h-s10m.tsv: was written, and is no longer there",
    ]


def test_a_datapool_packed_later_is_still_what_was_written(tmp_path: Path) -> None:
    manifest = Manifest.load(tmp_path)
    (path,) = write_features(tmp_path, "ssh", HOUR, features(), manifest=manifest)
    manifest.save()
    with zipfile.ZipFile(tmp_path / "2019-06-01.zip", "w") as target:
        target.write(path, NAME)
    path.unlink()
    assert verify(tmp_path) == []


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    for protocol in ("ssh", "http", "dns"):
        write_features(tmp_path, protocol, HOUR, features(4))
    (tmp_path / NAME).write_bytes(JUNK)
    second = features(1, FIRST + timedelta(days=1), ("in", "fail"))[:100]
    write_features(tmp_path, "ssh", HOUR, second)
    (tmp_path / "http/2019/06/02/w01h-s10m.tsv").unlink()
    (tmp_path / "http/2019/06/03/w01h-s10m.tsv").unlink()
    evil = io.BytesIO()
    with zipfile.ZipFile(evil, "w") as target:
        target.writestr("../../etc/cron.d/x", "x")
    (tmp_path / "bad.zip").write_bytes(JUNK)
    (tmp_path / "evil.zip").write_bytes(evil.getvalue())
    (tmp_path / "manifest.json").write_text("{")
    said = [str(problem) for problem in verify(tmp_path)]
    assert len(said) == 7
    assert "bad.zip' is a damaged zip" in said[0]
    assert "evil.zip' is refused: it has the member '../../etc/cron.d/x'" in said[1]
    assert "manifest.json' is damaged" in said[2]
    assert "01/w01h-s10m.tsv is damaged" in said[3] or "has no column" in said[3]
    assert said[4].endswith("02/w01h-s10m.tsv: 44 of 144 windows are missing")
    assert said[5].endswith("lacks out and has also fail, unlike other days of ssh")
    assert said[6] == "http w01h-s10m: no file for 2019-06-02 to 2019-06-03"


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "1", '{"format": 2, "files": {}}', '{"format": 1, "files": []}',
     '{"format": 1, "files": {"a": 1}}', '{"format": 1, "files": {"a": {"windows": "x", '
     '"known": 1, "size": 1, "sha256": ""}}}', "[" * 100_000, "\xff"],
)  # fmt: skip
def test_a_damaged_manifest_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError) as caught:
        Manifest.load(tmp_path)
    assert "manifest.json' " in str(caught.value)


def test_an_empty_folder_is_a_problem(tmp_path: Path) -> None:
    assert [problem.what for problem in verify(tmp_path)] == ["no file with features"]
    with pytest.raises(NotFoundError, match="no datapool"):
        verify(tmp_path / "nothing")


def test_a_day_stored_twice_is_a_problem(tmp_path: Path) -> None:
    write_features(tmp_path / "old", "ssh", HOUR, features(), layout="zip-day")
    write_features(tmp_path, "ssh", HOUR, features())
    with warnings.catch_warnings():
        warnings.simplefilter("error", ModsWarning)
        (problem,) = verify(tmp_path)
    assert "is stored twice" in problem.what


def test_the_command_makes_a_manifest_and_verifies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = str(tmp_path / "logs")
    pool = str(tmp_path / "pool")
    assert main(["simulate", "--out", logs, "--days", "2", "--rate", "2000", "--seed", "4"]) == 0
    assert main(["features", logs, "--out", pool, "--verify"]) == 0
    assert capsys.readouterr().out.endswith(f"{pool}: nothing missing or damaged\n")
    damaged = min(Path(pool).glob("conn/*/*/*/*.tsv"))
    damaged.write_text(damaged.read_text()[:-40])
    assert main(["features", "--verify", "--out", pool, "--json"]) == 2
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert [p["name"] for p in problems] == [str(damaged)] * 2
    assert problems[0]["what"] == "is not what was written (another digest)"
    assert main(["features", "--out", pool]) == 2
    assert capsys.readouterr().err == (
        "mods features: no LOGS; expected log files and directories. Name the sensor's logs.\n"
    )
