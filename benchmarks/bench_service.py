"""The service's latency, beside a DEEPaaS module that computes nothing and answers the same bytes.

    python benchmarks/bench_service.py [--datapool DAY.zip --day 2019-06-01] [--memory 10000]

Without a datapool one of twelve simulated days is made.  Everything runs on loopback, one
server after the other, in one run; each request asks for one day as JSON.  `new` requests ask for
another coverage each, so that nothing that was computed before serves them; `again` is the same
request once more.  With `--memory` it counts the worker's memory over so many predictions instead.
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
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from mods.tests.running_service import (
    SCRIPTS,
    Service,
    environment,
    running,
    serving,
    workers_of,
    write_pool,
)

NOTHING = """
import json, os
from webargs import fields
def get_metadata(): return {"name": "nothing"}
def warm(): pass
def get_train_args(): return {}
def train(**_): return {}
def get_predict_args():
    return {"time_range": fields.Str(load_default=None, allow_none=True),
            "coverage": fields.Float(load_default=None, allow_none=True)}
ANSWER = json.loads(open(os.environ["ANSWER"]).read())
def predict(**_): return ANSWER
"""


@dataclass
class Latency:
    """What a client waited, seconds."""

    ready: float
    first: float
    new: list[float]
    again: list[float]
    answer: str

    def median(self, kind: str) -> float:
        """Return the median of the requests of a kind."""
        return statistics.median(getattr(self, kind))

    def late(self, kind: str) -> float:
        """Return what 99 % of the requests stay within."""
        taken = sorted(getattr(self, kind))
        return float(taken[int(0.99 * (len(taken) - 1))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datapool", type=Path, help="a folder, or a zip")
    parser.add_argument("--day", default="2024-03-12")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--memory", type=int, metavar="PREDICTIONS")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pool = folder / "data" / "features" / "datapools"
        if options.datapool is None:
            write_pool(pool, days=12)
        elif options.datapool.is_dir():
            shutil.copytree(options.datapool, pool)
        else:
            pool.mkdir(parents=True)
            shutil.copy(options.datapool, pool)
        if options.memory:
            count_memory(folder, options)
        else:
            measure(folder, options)


def measure(folder: Path, options: argparse.Namespace) -> None:
    found: dict[str, Latency] = {}
    begun = time.perf_counter()
    with running(folder, "--model-name", "mods") as service:
        found["deepaas-run"] = asked(service, time.perf_counter() - begun, options)
    begun = time.perf_counter()
    with serving(folder) as (service, _):
        found["mods serve"] = asked(service, time.perf_counter() - begun, options)
    install_nothing(folder, found["deepaas-run"].answer)
    begun = time.perf_counter()
    with running(folder, "--model-name", "nothing") as service:
        nothing = asked(service, time.perf_counter() - begun, options, module="nothing")
    tensorflow = median_time([sys.executable, "-c", "import tensorflow"], folder)
    command = [SCRIPTS / "deepaas-cli", "get_metadata"]
    told = {
        module: median_time(command, folder, DEEPAAS_V2_MODEL=module)
        for module in ("mods", "nothing")
    }
    base = nothing.median("again")
    print(f"a module that does nothing: median {shown(base)}, 99 % {shown(nothing.late('again'))}")
    print(f"its start {shown(nothing.ready)}; import tensorflow {shown(tensorflow)}")
    for name, latency in found.items():
        print(f"\n{name}")
        for kind in ("new", "again"):
            median, late = latency.median(kind), latency.late(kind)
            line("median, " + kind, median, median / base, "times nothing's", 4, 2)
            line("99 %, " + kind, late, late / median, "times our median", 3)
        usual = latency.median("new")
        line("first request", latency.first, latency.first / usual, "times a later one", 2)
        start = tensorflow + nothing.ready
        line("ready", latency.ready, latency.ready / start, "times the two starts", 1.3)
    print("\ndeepaas-cli get_metadata")
    line("with MODS", told["mods"], told["mods"] / told["nothing"], "times nothing's", 1.3)


def line(what: str, seconds: float, ratio: float, of: str, floor: float, aim: float = 0) -> None:
    wanted = f"at most {floor:g}" + (f", aim {aim:g}" if aim else "")
    told = "" if ratio <= floor else "   NOT REACHED"
    print(f"  {what:<16} {shown(seconds)} {ratio:6.2f} {of} ({wanted}){told}")


def shown(seconds: float) -> str:
    return f"{seconds * 1000:8.1f} ms"


def asked(
    service: Service, ready: float, options: argparse.Namespace, module: str = "mods"
) -> Latency:
    """Ask once, then many times for something new, then many times for the same."""
    url = f"{service.url}/v2/models/{module}/predict/"
    day = {"time_range": f"<{options.day},{options.day}>"}
    session = requests.Session()

    def ask(coverage: float) -> tuple[float, str]:
        begun = time.perf_counter()
        answer = session.post(url, params=day | {"coverage": str(coverage)}, timeout=120)
        took = time.perf_counter() - begun
        answer.raise_for_status()
        return took, answer.text

    first, answer = ask(0.9)
    new = [ask(0.8 + n * 1e-4)[0] for n in range(options.requests)]
    ask(0.9)
    again = [ask(0.9)[0] for _ in range(options.requests)]
    return Latency(ready, first, new, again, answer)


def count_memory(folder: Path, options: argparse.Namespace) -> None:
    """Print the worker's memory while it forecasts: every other request is another one."""
    with serving(folder) as (service, process):
        session = requests.Session()
        (worker,) = workers_of(process)
        part = {"time_range": f"<{options.day}T00,{options.day}T02)", "horizon": "3"}
        begun = time.perf_counter()
        for number in range(options.memory + 1):
            if number % max(1, options.memory // 10) == 0:
                print(f"{number:7d} predictions: worker {resident(worker):7.1f} MB, ", end="")
                print(f"service {resident(process.pid):6.1f} MB", flush=True)
            asked = part | {"coverage": str(0.5 + number % 97 * 0.004)}
            session.post(f"{service.model}/predict/", params=asked, timeout=60).raise_for_status()
        print(f"{options.memory / (time.perf_counter() - begun):.0f} predictions a second")


def resident(number: int) -> float:
    """Return the memory of a process, MB."""
    pages = int(Path(f"/proc/{number}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


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


def median_time(command: Iterable[Any], folder: Path, **variables: str) -> float:
    """Return the median of five runs of a command, after one that fills the disk's cache."""
    taken = []
    for _ in range(6):
        begun = time.perf_counter()
        subprocess.run(
            list(command),
            env=environment(folder) | variables,
            check=True,
            capture_output=True,
            cwd=folder,
        )
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[1:])


if __name__ == "__main__":
    main()
