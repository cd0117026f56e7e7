"""Which files are Zeek logs: directories at any depth, each file once, and what is none told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mods.dataset.zeek import find_logs
from mods.errors import DataError, NotFoundError
from mods.tests import zeek_writer as writer
from mods.tests.sensor_maker import DAY, conn

TSV = writer.tsv("conn", [conn(DAY)])


def test_directories_at_any_depth_each_file_once(tmp_path):
    for name in ("2019-06-01/conn.00:00:00-01:00:00.log.gz", "current/conn.log"):
        writer.write(tmp_path / name, TSV, pack=name.endswith("gz"))
    writer.write(tmp_path / "current/conn-summary.log", "Top 10 hosts: ...\n")
    writer.write(tmp_path / "current/weird.log", TSV.replace("#path\tconn", "#path\tweird"))
    writer.write(tmp_path / "current/stats.log", "")
    writer.write(tmp_path / ".state", TSV)
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "current")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    found = find_logs([tmp_path, tmp_path / "current"])
    assert len(found.logs) == 2
    assert {(path.name, reason) for path, reason in found.others} == {
        ("conn-summary.log", "no Zeek log"),
        ("weird.log", "a log of 'weird', which has no features"),
        ("stats.log", "an empty file"),
    }
    assert [path.name for path, _reason in found.unreadable] == ["nowhere"]


def test_a_directory_without_permission_is_told(tmp_path, monkeypatch):
    writer.write(tmp_path / "a/conn.log", TSV)
    writer.write(tmp_path / "b/conn.log", TSV)
    listdir = os.listdir

    def denied(path):
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", denied)
    found = find_logs([tmp_path])
    assert [Path(str(log.path)).parent.name for log in found.logs] == ["a"]
    assert [(p.name, why) for p, why in found.unreadable] == [("b", "Permission denied")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("conn-summary.log", "Top 10\n", "no Zeek log"),
        ("weird.log", TSV.replace("#path\tconn", "#path\tweird"), "a log of 'weird', which"),
        ("a.json", json.dumps({"ts": 1}), "JSON whose name is no protocol's"),
        ("conn.log", "", "an empty file"),
        ("conn.log", "\n \n", "nothing but blanks"),
        ("a.bin", b"\x00\xff\xfe\x01" * 99, "no Zeek log"),
        ("a.parquet", b"PAR1junk", "Parquet whose name is no protocol's"),
    ],
)
def test_a_named_file_that_is_no_log_is_an_error(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message):
        find_logs([writer.write(tmp_path / name, content)])


def test_nothing_there(tmp_path):
    with pytest.raises(NotFoundError, match=r"no file or directory '.*gone'; expected Zeek"):
        find_logs([tmp_path / "gone"])
    with pytest.raises(DataError, match=r"no Zeek logs in '.*'; expected logs of conn, dns"):
        find_logs([tmp_path])
