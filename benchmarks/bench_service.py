"""The service's latency, beside a DEEPaaS module that computes nothing and answers the same bytes.

    python benchmarks/bench_service.py [--datapool FOLDER --days 2019-06-01 2019-06-02 ...]

Without a datapool one of twelve simulated days is made.  Everything runs on loopback, one
server after the other, in one run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import requests

from mods.tests.running_service import SCRIPTS, Service, environment, running, serving, write_pool

NOTHING = """
import json, os
from webargs import fields
def get_metadata(): return {"name": "nothing"}
def warm(): pass
def get_train_args(): return {}
def train(**_): return {}
def get_predict_args():
    return {"time_range": fields.Str(load_default=None, allow_none=True)}
ANSWER = json.loads(open(os.environ["ANSWER"]).read())
def predict(**_): return ANSWER
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datapool", type=Path)
    parser.add_argument("--days", nargs="*", default=[f"2024-03-{n:02d}" for n in range(5, 13)])
    parser.add_argument("--requests", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        measure(Path(name), options)


def measure(folder: Path, options: argparse.Namespace) -> None:
    pool = folder / "data" / "features" / "datapools"
    if options.datapool:
        shutil.copytree(options.datapool, pool)
    else:
        write_pool(pool, days=12)
    ranges = [f"<{day},{day}>" for day in options.days]
    said: dict[str, Any] = {}
    begun = time.perf_counter()
    with running(folder, "--model-name", "mods") as service:
        said["mods, deepaas-run: ready"] = time.perf_counter() - begun
        answer = timed_requests(said, "mods, deepaas-run", service, ranges, options.requests)
    begun = time.perf_counter()
    with serving(folder) as (service, _):
        said["mods serve: ready"] = time.perf_counter() - begun
        timed_requests(said, "mods serve", service, ranges, options.requests)
    install_nothing(folder, answer)
    begun = time.perf_counter()
    with running(folder, "--model-name", "nothing") as service:
        said["nothing: ready"] = time.perf_counter() - begun
        timed_requests(said, "nothing", service, ranges, options.requests, module="nothing")
    said["import tensorflow"] = timed([sys.executable, "-c", "import tensorflow"], folder)
    for module in ("mods", "nothing"):
        command = [SCRIPTS / "deepaas-cli", "get_metadata"]
        said[f"deepaas-cli get_metadata, {module}"] = statistics.median(
            timed(command, folder, DEEPAAS_V2_MODEL=module) for _ in range(3)
        )
    for what, seconds in said.items():
        print(f"{what:<55} {seconds * 1000:9.1f} ms")
    base = said["nothing: median"]
    for what in ("mods, deepaas-run", "mods serve"):
        for kind in ("median, asked before", "median, new range"):
            print(f"{what}: {kind:<22} {said[f'{what}: {kind}'] / base:6.1f} times nothing's")


def timed_requests(
    said: dict[str, Any],
    what: str,
    service: Service,
    ranges: list[str],
    count: int,
    module: str = "mods",
) -> str:
    """Ask for each range once, then for the first one many times; return its answer."""
    url = f"{service.url}/v2/models/{module}/predict/"
    session = requests.Session()

    def ask(time_range: str) -> tuple[float, str]:
        begun = time.perf_counter()
        answer = session.post(url, params={"time_range": time_range}, timeout=120)
        took = time.perf_counter() - begun
        answer.raise_for_status()
        return took, answer.text

    first = [ask(one) for one in ranges]
    again = sorted(ask(ranges[0])[0] for _ in range(count))
    if module == "nothing":
        said["nothing: median"] = statistics.median(again)
        said["nothing: 99 %"] = again[int(0.99 * (len(again) - 1))]
        return ""
    said[f"{what}: first request"] = first[0][0]
    said[f"{what}: median, new range"] = statistics.median(took for took, _ in first[1:])
    said[f"{what}: 99 % or slowest, new range"] = max(took for took, _ in first[1:])
    said[f"{what}: median, asked before"] = statistics.median(again)
    said[f"{what}: 99 %, asked before"] = again[int(0.99 * (len(again) - 1))]
    return first[0][1]


def install_nothing(folder: Path, answer: str) -> None:
    """Put the module where the servers find its entry point, with the answer that it gives."""
    place = folder / "nothing"
    about = place / "nothing-1.dist-info"
    about.mkdir(parents=True)
    (place / "nothing_model.py").write_text(NOTHING)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: nothing\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[deepaas.v2.model]\nnothing = nothing_model\n")
    (folder / "answer.json").write_text(answer)
    os.environ["ANSWER"] = str(folder / "answer.json")
    os.environ["PYTHONPATH"] = f"{place}:{os.environ.get('PYTHONPATH', '')}"
    # Stevedore keeps what it has seen of entry points.
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")


def timed(command: list[Any], folder: Path, **variables: str) -> float:
    begun = time.perf_counter()
    variables = environment(folder) | variables
    subprocess.run(command, env=variables, check=True, capture_output=True, cwd=folder)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
