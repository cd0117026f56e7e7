"""Remote storage: a folder, and a real `rclone serve webdav` on loopback."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from mods import config, transfer
from mods.cli import main
from mods.errors import ConfigError
from mods.tests.running_service import environment
from mods.transfer import RemoteError, fetch, pending, rclone_program, send


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The folder of a service with two models and a datapool of one day."""
    folder = tmp_path / "here"
    for name, value in environment(folder).items():
        monkeypatch.setenv(name, value)
    config.folders.cache_clear()
    (folder / "models" / "a.zip").write_bytes(b"model a")
    (folder / "models" / "b.zip").write_bytes(b"model b")
    (folder / "models" / ".c.partial.zip").write_bytes(b"half")
    day = config.folders().datapools / "ssh/2024/03/01/w01h-s10m.tsv"
    day.parent.mkdir(parents=True)
    day.write_text("features")
    yield folder
    config.folders.cache_clear()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def webdav(tmp_path):
    """A function that serves a folder on a port, as often as it is called."""
    (tmp_path / "there").mkdir()
    running = []

    def serve(port):
        program = rclone_program()
        assert program is not None
        process = subprocess.Popen(
            [program, "serve", "webdav", tmp_path / "there", "--addr", f"127.0.0.1:{port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        running.append(process)
        deadline = time.monotonic() + 20
        while True:
            try:
                requests.get(f"http://127.0.0.1:{port}/", timeout=5)
                return
            except requests.ConnectionError:
                assert time.monotonic() < deadline
                time.sleep(0.05)

    yield serve
    for process in running:
        process.terminate()
        process.wait(timeout=20)


def remote(port) -> str:
    return f":webdav,url='http://127.0.0.1:{port}':mods"


@pytest.fixture(params=["folder", "webdav"])
def base(request, tmp_path, monkeypatch):
    """The remote's folder on this machine, with the variable set to reach it."""
    there = tmp_path / "there"
    if request.param == "webdav":
        port = free_port()
        request.getfixturevalue("webdav")(port)
        monkeypatch.setenv("APP_REMOTE_BASE_DIR", remote(port))
        return there / "mods"
    there.mkdir()
    monkeypatch.setenv("APP_REMOTE_BASE_DIR", str(there))
    return there


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_models_and_features_go_there_and_come_back(here, base):
    assert pending() == ["a.zip", "b.zip"]
    assert send().done == ("a.zip", "b.zip")
    assert send("datapools").done == ("ssh/2024/03/01/w01h-s10m.tsv",)
    assert contents(base) == {
        "models/a.zip": b"model a",
        "models/b.zip": b"model b",
        "data/features/datapools/ssh/2024/03/01/w01h-s10m.tsv": b"features",
    }
    assert pending() == []
    assert send().done == ()
    shutil.rmtree(here / "models")
    shutil.rmtree(here / "data")
    assert fetch().done == ("a.zip", "b.zip")
    assert fetch("datapools").done == ("ssh/2024/03/01/w01h-s10m.tsv",)
    assert contents(here / "models") == {"a.zip": b"model a", "b.zip": b"model b"}
    assert pending() == []


def test_experiments_that_share_a_remote_keep_apart(here, base, monkeypatch):
    monkeypatch.setenv("APP_EXPERIMENT_NAMESPACE", "spring")
    assert send().done == ("a.zip", "b.zip")
    assert set(contents(base)) == {"spring/models/a.zip", "spring/models/b.zip"}
    monkeypatch.setenv("APP_EXPERIMENT_NAMESPACE", "autumn")
    assert pending() == ["a.zip", "b.zip"], "the other experiment's remote has none of them"
    monkeypatch.setenv("APP_EXPERIMENT_NAMESPACE", "../autumn")
    with pytest.raises(ConfigError, match=r"APP_EXPERIMENT_NAMESPACE is '../autumn'; expected a"):
        send()


def test_from_a_remote_to_which_nothing_was_sent_nothing_is_fetched(here, base, monkeypatch):
    base.mkdir(exist_ok=True)
    monkeypatch.setenv("APP_EXPERIMENT_NAMESPACE", "another")
    assert fetch().done == fetch("datapools").done == ()


def test_only_what_is_new_is_sent_and_nothing_here_is_replaced(here, base):
    send()
    (here / "models" / "b.zip").write_bytes(b"model b, trained again")
    assert send().done == ("b.zip",)
    assert contents(base)["models/b.zip"] == b"model b, trained again"
    (here / "models" / "a.zip").write_bytes(b"model a, newer")
    assert fetch().done == ()
    assert contents(here / "models")["a.zip"] == b"model a, newer"


def test_a_remote_that_is_down_loses_nothing(here, webdav, tmp_path, monkeypatch):
    port = free_port()
    monkeypatch.setenv("APP_REMOTE_BASE_DIR", remote(port))
    begun = time.monotonic()
    result = send()
    assert result.done == ()
    assert [name for name, _ in result.failed] == ["a.zip"]
    assert "rclone copyto has failed" in result.failed[0][1]
    assert time.monotonic() - begun < 30
    assert pending() == ["a.zip", "b.zip"]
    with pytest.raises(RemoteError):
        fetch()
    webdav(port)
    assert send().done == ("a.zip", "b.zip")
    assert set(contents(tmp_path / "there" / "mods")) == {"models/a.zip", "models/b.zip"}


def test_after_a_training_models_are_sent_without_a_wait(here, webdav, tmp_path, monkeypatch):
    port = free_port()
    webdav(port)
    monkeypatch.setenv("APP_REMOTE_BASE_DIR", remote(port))
    begun = time.monotonic()
    transfer.send_later()
    assert time.monotonic() - begun < 2
    deadline = time.monotonic() + 60
    while pending():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert len(contents(tmp_path / "there" / "mods")) == 2


def test_without_a_remote_nothing_is_sent(here, monkeypatch):
    monkeypatch.delenv("APP_REMOTE_BASE_DIR", raising=False)
    transfer.send_later()
    with pytest.raises(ConfigError, match="APP_REMOTE_BASE_DIR"):
        send()


def test_a_folder_that_is_not_mounted_is_told(here, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("APP_REMOTE_BASE_DIR", str(tmp_path / "file"))
    assert [name for name, _ in send().failed] == ["a.zip"]
    with pytest.raises(RemoteError, match="no folder"):
        fetch()


def test_a_missing_rclone_is_told(here, monkeypatch):
    monkeypatch.setenv("APP_REMOTE_BASE_DIR", "rshare:mods")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert "the program rclone is not installed" in send().failed[0][1]


def test_rclone_beside_the_interpreter_is_found_without_a_path_to_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    (tmp_path / "rclone").touch(mode=0o755)
    assert rclone_program() == str(tmp_path / "rclone")


def test_the_command(here, monkeypatch, tmp_path, capsys):
    (tmp_path / "there").mkdir()
    monkeypatch.setenv("APP_REMOTE_BASE_DIR", str(tmp_path / "there"))
    assert main(["transfer", "send", "models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"sent": ["a.zip", "b.zip"], "failed": {}}
    assert main(["transfer", "fetch", "models"]) == 0
    assert capsys.readouterr().out == "Nothing to be fetched.\n"
