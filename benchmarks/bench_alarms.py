"""How good the alarms are, beside the rungs, and what they cost.

    python benchmarks/bench_alarms.py injected --table CLEAN.tsv --judge JUDGE.py --seeds 11-13
    python benchmarks/bench_alarms.py simulated --seeds 2000-2003 [--folder DIR]
    python benchmarks/bench_alarms.py quiet --seeds 2000-2003 [--folder DIR]
    python benchmarks/bench_alarms.py memory --table CLEAN.tsv
    python benchmarks/bench_alarms.py cost

`injected` makes tables with labelled incidents from row 8640 on with a judge that
is not part of the package (`JUDGE.py make CLEAN FIRST SEED OUT`, then `JUDGE.py
judge OUT FIRST SCORES.csv`, one line of JSON), scores them with the default model,
and lets it judge.  `simulated` writes the logs of a network for each seed (half a
minute each; kept in DIR, where they are found again), with incidents and, from the
seed plus 100000, without; `quiet` looks at the latter alone.  Add `--json` for one
document.  Seeds that figures are reported for are never tuned on.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mods.anomaly.detect import detect_all
from mods.anomaly.inject import Injection, inject
from mods.anomaly.judging import judge
from mods.anomaly.labels import read_labels
from mods.anomaly.memory import without_departures
from mods.dataset import read_data
from mods.models.loading import load_bundle
from mods.models.registry import locate_model

WINDOW = "w01h-s10m"
FIRST, DAYS, HISTORY = 8640, 28, 7
#: What the incidents of the simulated networks may touch.
QUERY = (
    "conn|in_count_uid~conn_in|out_count_uid~conn_out|internal_count_uid~conn_internal"
    "|out_sum_orig_bytes~out_bytes;dns|in_distinct_query~dns_in_distinct;ssh|in~ssh_in;"
    "ssl|out~ssl_out#window_start,window_end"
)
FIGURES = {"ap": "average precision", "found_at_1_a_day": "found at one a day"}
QUIET = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("injected", "simulated", "quiet", "memory", "cost"))
    parser.add_argument("--table", type=Path, help="the clean series")
    parser.add_argument("--judge", type=Path, help="the program that injects and judges")
    parser.add_argument("--seeds", default="11-13", help="a seed, or first-last")
    parser.add_argument("--folder", type=Path, help="where simulated datapools are kept")
    parser.add_argument("--no-quiet", action="store_true", help="simulated: with incidents only")
    parser.add_argument("--model", default="default")
    parser.add_argument("--threshold", default="spot")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = globals()[arguments.what](arguments)
    if arguments.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:<52} {value}")


def injected(arguments: argparse.Namespace) -> dict[str, Any]:
    model = load_bundle(locate_model(arguments.model))
    judged = []
    for seed in seeds(arguments.seeds):
        with tempfile.TemporaryDirectory() as folder:
            prefix = str(Path(folder) / "table")
            call(arguments.judge, "make", arguments.table, FIRST, seed, prefix)
            table = model.backtest(read_data(f"{prefix}.tsv", window=WINDOW))
            detection = detect_all(table, window=WINDOW, threshold=arguments.threshold)
            detection.scores.to_csv(f"{prefix}.csv", index=False)
            judged.append(
                json.loads(call(arguments.judge, "judge", prefix, FIRST, f"{prefix}.csv"))
            )
        print(seed, judged[-1]["mods"], file=sys.stderr, flush=True)
    mine = [one["mods"] for one in judged]
    rungs = [[v for k, v in one.items() if k != "mods"] for one in judged]
    result: dict[str, Any] = {"seeds": arguments.seeds}
    for key, name in FIGURES.items():
        ratios = [
            a[key] / max(b[key] for b in others) for a, others in zip(mine, rungs, strict=True)
        ]
        result[f"{name}, ratio to the best rung, mean"] = round(float(np.mean(ratios)), 3)
        result[f"{name}, mean"] = round(float(np.mean([a[key] for a in mine])), 3)
    result["of strength 8, found"] = round(float(np.mean([a["found_8"] for a in mine])), 3)
    result["delay to the first alarm, windows, median"] = float(
        np.median([a["delay"] for a in mine])
    )
    false = [a["false_alarms_a_day_seen"] for a in mine]
    result["false alarms a day, one asked for, mean"] = round(float(np.mean(false)), 2)
    result["false alarms a day, each seed"] = false
    return result


def simulated(arguments: argparse.Namespace) -> dict[str, Any]:
    model = load_bundle(locate_model(arguments.model))
    ratios, found, recall, false, quiet, kinds = [], [], [], [], [], []
    for seed in seeds(arguments.seeds):
        pool, labels = network(arguments.folder, seed)
        detection = detected(model, pool, arguments.threshold)
        one = judge(detection, read_labels(labels), window=WINDOW, first=HISTORY * 144)
        ratios.append(one.ratio("vus_pr"))
        found.append(one.scores["mods"].found)
        recall.append(one.kinds["all"].recall)
        false.append(one.false_alarms)
        kinds.append(one.kinds)
        print(seed, round(ratios[-1], 2), round(false[-1], 2), file=sys.stderr, flush=True)
        if not arguments.no_quiet:
            quiet.append(false_alarms(model, arguments, seed))
    result: dict[str, Any] = {
        "seeds": arguments.seeds,
        "VUS-PR, ratio to the best rung, mean": round(float(np.mean(ratios)), 3),
        "VUS-PR, ratio, lowest and highest": [round(min(ratios), 2), round(max(ratios), 2)],
        "found at one a day (threshold by hindsight)": round(float(np.mean(found)), 3),
        "found by the alarms as given": round(float(np.mean(recall)), 3),
        "false alarms a day outside incidents": round(float(np.mean(false)), 2),
    }
    if quiet:
        result["false alarms a day without incidents"] = round(float(np.mean(quiet)), 2)
    for kind in sorted({name for one in kinds for name in one} - {"all"}):
        of_kind = [one[kind] for one in kinds if kind in one]
        number = sum(k.incidents for k in of_kind)
        hits = sum(k.recall * k.incidents for k in of_kind)
        result[f"  {kind}: found of {number}"] = round(hits / number, 2)
    return result


def quiet(arguments: argparse.Namespace) -> dict[str, Any]:
    """Count the alarms on networks without incidents, from the tenth day on."""
    model = load_bundle(locate_model(arguments.model))
    seen = [false_alarms(model, arguments, seed) for seed in seeds(arguments.seeds)]
    return {
        "seeds": arguments.seeds,
        "false alarms a day without incidents, mean": round(float(np.mean(seen)), 2),
        "false alarms a day, each seed": [round(one, 2) for one in seen],
    }


def false_alarms(model: Any, arguments: argparse.Namespace, seed: int) -> float:
    pool, _ = network(arguments.folder, seed + QUIET)
    alarms = detected(model, pool, arguments.threshold).scores["alarm"].to_numpy()
    return float(alarms[(HISTORY + 2) * 144 :].mean() * 144)


def memory(arguments: argparse.Namespace) -> dict[str, Any]:
    """Forecasts in the day after an outlier of two hours, against the undisturbed series."""
    model = load_bundle(locate_model(arguments.model))
    frame = read_data(arguments.table, window=WINDOW).interpolate().bfill()
    frame.attrs["window"] = WINDOW
    clean = model.backtest(frame)
    ratios: dict[str, list[float]] = {"as it came": [], "found ones masked": []}
    for row in range(FIRST, len(frame) - 400, 1000):
        column = str(frame.columns[row // 1000 % len(frame.columns)])
        hurt = inject(frame, [Injection(row, 12, "burst", column, 12.0)])
        part = hurt.iloc[: row + 12 + 6 + 144 + 12]
        part.attrs = dict(hurt.attrs)
        raw = model.backtest(part)
        incidents = detect_all(raw, window=WINDOW, threshold=arguments.threshold).incidents
        # What began by the end of the outlier: false alarms of the weeks before are masked too.
        known = [one for one in incidents if one.start < row + 18]
        masked = model.backtest(without_departures(part, known, per_day=144))
        base = error(clean, frame, row, column)
        ratios["as it came"].append(error(raw, frame, row, column) / base)
        ratios["found ones masked"].append(error(masked, frame, row, column) / base)
    return {
        f"error in the day after an outlier, {name}, mean and worst": [
            round(float(np.mean(values)), 3),
            round(max(values), 3),
        ]
        for name, values in ratios.items()
    }


def error(table: pd.DataFrame, frame: pd.DataFrame, row: int, column: str) -> float:
    """Return SMAPE of the targets in the day after the outlier has left the window."""
    first = row + 12 + 6
    part = table[(table["column"] == column) & (table["origin"] >= first)]
    part = part[part["target"] < first + 144]
    actual = frame[column].to_numpy()[part["target"].to_numpy()]
    gap = np.abs(part["forecast"].to_numpy() - actual)
    return float(np.mean(200 * gap / (np.abs(part["forecast"].to_numpy()) + np.abs(actual))))


def cost(arguments: argparse.Namespace) -> dict[str, Any]:
    """Forecast a year of ten-minute windows with four columns, then detect."""
    from mods.dataset.simulate_series import simulate_series
    from mods.timerange import Window

    model = load_bundle(locate_model(arguments.model))
    frame = simulate_series(1, windows=365 * 144, window=Window.parse(WINDOW))
    frame.attrs["window"] = WINDOW
    model.backtest(frame.iloc[:2000].copy())
    start = time.perf_counter()
    table = model.backtest(frame)
    middle = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    detection = detect_all(table, window=WINDOW, threshold=arguments.threshold)
    end = time.perf_counter()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "windows": len(detection.scores),
        "forecasting, s": round(middle - start, 1),
        "scoring and detecting, s": round(end - middle, 1),
        "peak memory before detecting, MiB": before // 1024,
        "peak memory after detecting, MiB": after // 1024,
    }


def detected(model: Any, pool: Path, threshold: str) -> Any:
    frame = read_data(pool, query=QUERY, window=WINDOW)
    return detect_all(model.backtest(frame), window=WINDOW, threshold=threshold)


def network(folder: Path | None, seed: int) -> tuple[Path, Path]:
    """Return the datapool and the labels of a simulated network, made where they are missing."""
    home = folder or Path(tempfile.gettempdir()) / "mods-bench-alarms"
    home.mkdir(parents=True, exist_ok=True)
    pool, labels, logs = home / f"pool{seed}", home / f"inc{seed}.tsv", home / f"logs{seed}"
    if not (pool / "manifest.json").is_file():
        quiet = ["--no-incidents"] if seed >= QUIET else []
        days = ["--days", DAYS, "--seed", seed]
        call("-m", "mods.cli", "simulate", "--out", logs, "--force", *days, *quiet)
        call("-m", "mods.cli", "features", logs, "--out", pool, "--window", WINDOW)
        shutil.copy(logs / "incidents.tsv", labels)
        shutil.rmtree(logs)
    return pool, labels


def call(*arguments: Any) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def seeds(text: str) -> list[int]:
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


if __name__ == "__main__":
    main()
