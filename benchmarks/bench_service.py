"""The service's latency, beside a DEEPaaS module that computes nothing and answers the same bytes.

    python benchmarks/bench_service.py [--datapool DAY.zip --day 2019-06-01] [--memory 10000]
    python benchmarks/bench_service.py --worker

Without a datapool one of twelve simulated days is made.  Everything runs on loopback, in
one run; each request asks for one day as JSON, of the servers in turn.  `new` requests ask for
another coverage each, and `other` ones for another range, which begins some windows later, so
that nothing that was computed before serves them; `again` is the same request once more.

With `--worker` it prints the processor time of such requests in one process, without a server,
which a busy machine changes less; with `--memory` the worker's memory over so many predictions.
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
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from mods.tests.running_service import (
    SCRIPTS,
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
    """A server, and what a client of it waited, seconds."""

    url: str
    session: requests.Session
    ready: float
    first: float = 0.0
    new: list[float] = field(default_factory=list)
    other: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    answer: str = ""

    def ask(self, time_range: str, coverage: float) -> tuple[float, str]:
        """Ask for a range; return the seconds that it took, and the answer."""
        begun = time.perf_counter()
        asked = {"time_range": time_range, "coverage": str(coverage)}
        answer = self.session.post(self.url, params=asked, timeout=120)
        took = time.perf_counter() - begun
        answer.raise_for_status()
        return took, answer.text

    def median(self, kind: str) -> float:
        """Return the median of the requests of a kind."""
        return float(statistics.median(getattr(self, kind)))

    def late(self, kind: str) -> float:
        """Return what 99 % of the requests stay within."""
        taken = sorted(getattr(self, kind))
        return float(taken[int(0.99 * (len(taken) - 1))])


def other_range(day: str, number: int) -> str:
    """Return a range of about a day, of windows that slide by ten minutes; never one twice.

    It begins up to 35 windows later than the day: so long a history a forecast needs, so that
    also where the datapool holds nothing else as many windows can be forecast.
    """
    slide = timedelta(minutes=10)
    begin = datetime.fromisoformat(day) + (1 + number % 35) * slide
    end = begin + timedelta(days=1) - number // 35 * slide
    return f"<{begin.isoformat()},{end.isoformat()})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datapool", type=Path, help="a folder, or a zip")
    parser.add_argument("--day", default="2024-03-12")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--worker", action="store_true")
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
        elif options.worker:
            measure_worker(folder, options)
        else:
            measure(folder, options)


def measure(folder: Path, options: argparse.Namespace) -> None:
    with ExitStack() as open_ones:
        found: dict[str, Latency] = {}
        day = f"<{options.day},{options.day}>"
        # Whoever starts first would pay alone for reading TensorFlow from the disk.
        subprocess.run([sys.executable, "-c", "import tensorflow"], check=True, capture_output=True)

        def started(name: str, starting: Any) -> None:
            begun = time.perf_counter()
            opened = open_ones.enter_context(starting)
            service = opened[0] if isinstance(opened, tuple) else opened
            ready = time.perf_counter() - begun
            module = "nothing" if name == "nothing" else "mods"
            url = f"{service.url}/v2/models/{module}/predict/"
            found[name] = Latency(url, requests.Session(), ready)
            found[name].first, found[name].answer = found[name].ask(day, 0.9)

        started("deepaas-run", running(folder, "--model-name", "mods"))
        started("mods serve", serving(folder))
        install_nothing(folder, found["deepaas-run"].answer)
        started("nothing", running(folder, "--model-name", "nothing"))
        # In turn, so that whatever else the machine does meets all of them.
        for number in range(options.requests):
            for latency in found.values():
                latency.new.append(latency.ask(day, 0.8 + number * 1e-4)[0])
            for latency in found.values():
                latency.other.append(latency.ask(other_range(options.day, number), 0.9)[0])
        for number in range(options.requests + 1):
            for latency in found.values():
                took = latency.ask(day, 0.9)[0]
                if number:
                    latency.again.append(took)
    nothing = found.pop("nothing")
    tensorflow, told = starts(folder)
    base = statistics.median(nothing.new + nothing.other + nothing.again)
    print(f"a module that does nothing: median {shown(base)}, 99 % {shown(nothing.late('again'))}")
    print(f"its start {shown(nothing.ready)}; import tensorflow {shown(tensorflow)}")
    for name, latency in found.items():
        print(f"\n{name}")
        for kind in ("new", "other", "again"):
            median, late = latency.median(kind), latency.late(kind)
            line("median, " + kind, median, median / base, "times nothing's", 4, 2)
            line("99 %, " + kind, late, late / median, "times our median", 3)
        usual = latency.median("new")
        line("first request", latency.first, latency.first / usual, "times a later one", 2)
        start = tensorflow + nothing.ready
        line("ready", latency.ready, latency.ready / start, "times the two starts", 1.3)
    print("\ndeepaas-cli get_metadata")
    line("with MODS", told["mods"], told["mods"] / told["nothing"], "times nothing's", 1.3)


def starts(folder: Path) -> tuple[float, dict[str, float]]:
    """Return the medians of importing TensorFlow, and of the command with both modules."""
    cli = [str(SCRIPTS / "deepaas-cli"), "get_metadata"]
    taken: dict[str, list[float]] = {"tensorflow": [], "mods": [], "nothing": []}
    for _ in range(6):
        for name, each in taken.items():
            command = [sys.executable, "-c", "import tensorflow"] if name == "tensorflow" else cli
            begun = time.perf_counter()
            subprocess.run(
                command,
                env=environment(folder) | {"DEEPAAS_V2_MODEL": name},
                check=True,
                capture_output=True,
                cwd=folder,
            )
            each.append(time.perf_counter() - begun)
    # The first of each fills the disk's cache.
    medians = {name: statistics.median(each[1:]) for name, each in taken.items()}
    return medians.pop("tensorflow"), medians


def line(what: str, seconds: float, ratio: float, of: str, floor: float, aim: float = 0) -> None:
    wanted = f"at most {floor:g}" + (f", aim {aim:g}" if aim else "")
    told = "" if ratio <= floor else "   NOT REACHED"
    print(f"  {what:<16} {shown(seconds)} {ratio:6.2f} {of} ({wanted}){told}")


def shown(seconds: float) -> str:
    return f"{seconds * 1000:8.1f} ms"


def measure_worker(folder: Path, options: argparse.Namespace) -> None:
    """Print the processor time that a request takes where it is worked on, all threads together."""
    os.environ |= environment(folder)
    from mods.models import api

    api.warm()
    day = f"<{options.day},{options.day}>"
    kinds: dict[str, Callable[[int], tuple[str, float]]] = {
        "new": lambda number: (day, 0.8 + number * 1e-4),
        "other": lambda number: (other_range(options.day, number), 0.9),
        "again": lambda _: (day, 0.9),
    }
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(options.requests):
        for kind, asked in kinds.items():
            time_range, coverage = asked(number)
            begun = time.process_time()
            api.predict(time_range=time_range, coverage=coverage)
            taken[kind].append(time.process_time() - begun)
    for kind, each in taken.items():
        each = each[1:]  # the first compiles
        print(f"{kind:<6} median {shown(statistics.median(each))}, least {shown(min(each))}")


def count_memory(folder: Path, options: argparse.Namespace) -> None:
    """Print the worker's memory while it forecasts: every other request is another one."""
    with serving(folder) as (service, process):
        session = requests.Session()
        (worker,) = workers_of(process)
        part = {"time_range": f"<{options.day}T20,{options.day}T22)", "horizon": "3"}
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


if __name__ == "__main__":
    main()
