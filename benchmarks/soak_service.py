"""Fifty clients for two minutes while two trainings run, one of which is cancelled half way.

    python benchmarks/soak_service.py [--seconds 120] [--clients 50] [--workers 2]

Each client knows the right answer to what it asks. Prints the median of the good answers, how
many there were, and what went wrong; the exit status is 1 where anything did.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from mods.tests.crowd import Question, crowd
from mods.tests.running_service import Service, serving, workers_of, write_pool

DAY = {"time_range": "<2024-03-09,2024-03-10)"}
TRAINING = {"model_type": "LSTM", "num_epochs": 2}
ENDLESS = {"model_type": "Conv1D", "num_epochs": 100_000, "epochs_patience": 100_000}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pool(folder / "data" / "features" / "datapools", days=10)
        limits = ("--workers", str(options.workers), "--trainings", "2", "--queue", "64")
        with serving(folder, *limits) as (service, process):
            wrong = soak(service, options)
            deadline = time.monotonic() + 60
            while len(workers_of(process)) > options.workers and time.monotonic() < deadline:
                time.sleep(0.5)
            left = len(workers_of(process)) - options.workers
            print(f"processes left behind: {left}")
            return int(wrong or left > 0)


def soak(service: Service, options: argparse.Namespace) -> bool:
    """Print what the clients met; return whether anything went wrong."""
    questions = [
        Question.of(service, params=DAY),
        Question.of(service, params=DAY, headers={"accept": "text/csv"}),
        Question.of(service, params=DAY | {"columns": "ssh_in"}),
        Question.of(service, params={"model_name": "none"}),
    ]
    trained = service.train(model_name="trained", **TRAINING).json()["uuid"]
    endless = service.train(model_name="endless", **ENDLESS).json()["uuid"]

    def cancel() -> None:
        time.sleep(options.seconds / 2)
        requests.delete(f"{service.model}/train/{endless}", timeout=60).raise_for_status()

    with ThreadPoolExecutor(1) as pool:
        cancelled = pool.submit(cancel)
        met = crowd(service, questions, clients=options.clients, seconds=options.seconds)
        cancelled.result()
    status = service.finished(trained, seconds=600)
    answered = sorted(met.seconds)
    print(f"answers: {dict(sorted(met.statuses.items()))}")
    print(f"median of the {len(answered)} good ones: {met.median:.3f} s")
    print(f"99 % of them within {answered[int(0.99 * (len(answered) - 1))]:.3f} s")
    print(f"wrong: {len(met.wrong)} {met.wrong[:3]}")
    print(f"training: {status['status']}; uploads left: {len(list(service.uploads.iterdir()))}")
    models = {path.name for path in service.models.iterdir()}
    print(f"models: {', '.join(sorted(models))}")
    return bool(met.wrong) or status["status"] != "done" or models != {"trained.zip"}


if __name__ == "__main__":
    sys.exit(main())
