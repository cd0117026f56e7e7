"""The real `deepaas-run` and `mods serve` on a free loopback port, and a small datapool."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import requests

if TYPE_CHECKING:
    from deepaas.model.v2.wrapper import UploadedFile

SCRIPTS = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "data" / "test" / "sample-test-w01h-s10m.tsv"
PROTOCOLS = {
    "conn": ["in_count_uid", "out_count_uid"],
    "dns": ["in_distinct_query"],
    "ssh": ["in"],
}
#: The columns that the default query makes of them.
COLUMNS = ["conn_in", "conn_out", "dns_in_distinct", "ssh_in"]
#: Hyper-parameters of a training that takes seconds.
SMALL = {"num_epochs": 1, "blocks": 4, "sequence_len": 6}


@dataclass(frozen=True)
class Service:
    """A running service: its address, and the folders that it works in."""

    url: str
    models: Path
    uploads: Path
    log: Path

    @property
    def model(self) -> str:
        return f"{self.url}/v2/models/mods"

    def predict(self, **request: Any) -> requests.Response:
        return requests.post(f"{self.model}/predict/", timeout=60, **request)

    @property
    def logged(self) -> list[dict[str, Any]]:
        """What `mods serve` has logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def train(self, **arguments: Any) -> requests.Response:
        return requests.post(f"{self.model}/train/", params=arguments, timeout=60)

    def finished(self, uuid: str, seconds: float = 120) -> dict[str, Any]:
        """Poll a training's status until it no longer runs."""
        deadline = time.monotonic() + seconds
        while True:
            answer = requests.get(f"{self.model}/train/{uuid}", timeout=60)
            status: dict[str, Any] = answer.json()
            if status["status"] != "running":
                return status
            assert time.monotonic() < deadline, "the training does not end"
            time.sleep(0.2)


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which everything is kept under `folder`."""
    for name in ("data", "models", "uploads"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return os.environ | {
        "APP_INPUT_OUTPUT_BASE_DIR": str(folder),
        "TMPDIR": str(folder / "uploads"),
        "PYTHONWARNINGS": "ignore",
    }


def an_upload(folder: Path, content: bytes, name: str = "table.tsv") -> UploadedFile:
    """Return what DEEPaaS makes of a client's file: a temporary one among `folder`'s uploads."""
    from deepaas.model.v2.wrapper import UploadedFile

    path = folder / "uploads" / "tmp1234"
    path.write_bytes(content)
    return UploadedFile("data", str(path), "text/plain", name)


@contextlib.contextmanager
def running(folder: Path, *options: str, seconds: float = 180) -> Iterator[Service]:
    """Run `deepaas-run` until it answers, and stop it and its workers at the end."""
    variables = environment(folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    service = Service(
        f"http://127.0.0.1:{port}", folder / "models", folder / "uploads", folder / "service.log"
    )
    with service.log.open("w") as log:
        process = subprocess.Popen(
            [SCRIPTS / "deepaas-run", "--listen-port", str(port), *options],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=variables,
            cwd=folder,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + seconds
        while True:
            assert process.poll() is None, service.log.read_text()[-3000:]
            assert time.monotonic() < deadline, service.log.read_text()[-3000:]
            with contextlib.suppress(requests.ConnectionError):
                requests.get(f"{service.url}/v2/models/", timeout=10)
                break
            time.sleep(0.1)
        yield service
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
        # Its workers are in its session: none of them outlives the test.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=20)


@contextlib.contextmanager
def serving(
    folder: Path,
    *options: str,
    ready: bool = True,
    seconds: float = 180,
    before: Sequence[str] = (),
) -> Iterator[Any]:
    """Run `mods serve` on a free port; yield the service and its process, and stop it.

    `before` are the words of a program that runs it in another surrounding.
    """
    log = folder / "service.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [*before, sys.executable, "-m", "mods.cli", "serve", "--port", "0", *options],
            stdout=subprocess.DEVNULL,
            stderr=file,
            env=environment(folder),
            cwd=folder,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + seconds
        url = ""
        while not url:
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.1)
            lines = [
                json.loads(line)
                for line in log.read_text().splitlines(keepends=True)
                if line.endswith("\n")
            ]
            url = next((line["url"] for line in lines if "url" in line), "")
        service = Service(url, folder / "models", folder / "uploads", log)
        while ready and requests.get(f"{url}/health/ready", timeout=10).status_code != 200:
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.1)
        yield service, process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=20)


def workers_of(process: subprocess.Popen[Any]) -> list[int]:
    """Return the processes that a service has started to work for it, the oldest first."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            command = (folder / "cmdline").read_bytes()
            if int(parent) == process.pid and b"spawn_main" in command:
                found.append(int(folder.name))
    return sorted(found)


def write_pool(pool: Path, days: int = 4, seed: int = 0) -> None:
    """Write a datapool of so many days from 2024-03-01 on, w01h-s10m, daily rhythm and noise."""
    rng = np.random.default_rng(seed)
    start = np.datetime64("2024-03-01T00:00:00.000")
    for day in range(days):
        starts = start + np.arange(day * 144, day * 144 + 144) * np.timedelta64(600_000, "ms")
        rhythm = 1.5 + np.sin(np.arange(144) * 2 * np.pi / 144)
        for protocol, columns in PROTOCOLS.items():
            values = rng.poisson(200 * rhythm, size=(len(columns), 144))
            rows = [
                "\t".join([f"{at}Z", f"{at + np.timedelta64(3_600_000, 'ms')}Z", *map(str, row)])
                for at, row in zip(starts, values.T, strict=True)
            ]
            path = pool / protocol / f"2024/03/{day + 1:02d}" / "w01h-s10m.tsv"
            path.parent.mkdir(parents=True)
            header = "\t".join(["window_start", "window_end", *columns])
            path.write_text("\n".join([header, *rows]) + "\n")
