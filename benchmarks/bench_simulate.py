"""How many records a second `mods simulate` writes on one core, and with how much memory.

Run as `python benchmarks/bench_simulate.py`; add `--json` for one JSON document.
Each case is a process of its own, held to one core and one thread, which makes
and writes whole logs.  Beside the time on the clock stands the processor's time,
which other work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CASES: dict[str, dict[str, Any]] = {
    "default, 21 days": {"days": 21},
    "default, gzip": {"days": 21, "compressed": True},
    "default, JSON": {"days": 21, "log_format": "json"},
    "one file a log": {"days": 21, "rotate": "none"},
    "ten times the rate, 3 days": {"days": 3, "rate": 800_000},
    "ten times the rate, 6 days": {"days": 6, "rate": 800_000},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(measure(CASES[arguments.case])))
        return
    results = {}
    for name in CASES:
        seen = results[name] = _run(name)
        if not arguments.json:
            print(
                f"{name:28} {seen['records']:>8} records in {seen['seconds']:5.1f} s: "
                f"{seen['records_a_second']:>7} a second; {seen['processor_seconds']:5.1f} s "
                f"of the processor: {seen['records_a_processor_second']:>7}; {seen['peak_mib']} MiB"
            )
    if arguments.json:
        print(json.dumps(results))


def measure(options: dict[str, Any]) -> dict[str, Any]:
    from mods.dataset.simulate import simulate

    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        summary = simulate(Path(folder) / "logs", **options)
    spent = time.process_time() - began
    total = sum(summary.records.values())
    return {
        "records": total,
        "seconds": summary.seconds,
        "records_a_second": round(total / summary.seconds),
        "processor_seconds": round(spent, 3),
        "records_a_processor_second": round(total / spent),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _run(name: str) -> dict[str, Any]:
    def one_core() -> None:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    result = subprocess.run(
        [sys.executable, __file__, "--case", name],
        env={**os.environ, "POLARS_MAX_THREADS": "1"},
        preexec_fn=one_core,
        stdout=subprocess.PIPE,
        check=True,
    )
    parsed: dict[str, Any] = json.loads(result.stdout)
    return parsed


if __name__ == "__main__":
    main()
