"""What the calibration of the intervals is made of, and what each part gives.

    python benchmarks/bench_intervals.py --data TABLE [--window w01h-s10m] [--model default]
        [--days 30]

Takes a model's raw quantiles at the last `2 * days` of the table; the first half of them is what
the margins learn from, the second is judged.  Prints a line of JSON for each way: how much the
intervals of 90 % hold at 1, 3, 6 and 12 steps (mean of the columns), the worst column at any of
these steps, and their interval score (width, and twenty times what lies outside; Gneiting and
Raftery, 2007) as a share of that of the raw quantiles.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from typing import Any
from unittest import mock

import numpy as np

from mods.dataset import read_data
from mods.models import calibration
from mods.models.calibration import Calibration
from mods.models.fitting import quieten
from mods.models.forecast import actual_after
from mods.models.loading import load_model
from mods.timerange import Window

STEPS = np.array([1, 3, 6, 12])
COVERAGE = 0.9
#: Days of the rolling window (0: none), and the feedback's rate.
WAYS = {
    "rolling, 7 days": (7, 0.0),
    "rolling, 14 days": (14, 0.0),
    "rolling, 28 days": (28, 0.0),
    "feedback alone, rate 0.01": (0, 0.01),
    "feedback alone, rate 0.05": (0, 0.05),
    "14 days and feedback at rate 0.002 (as it is)": (14, 0.002),
    "14 days and feedback at rate 0.01": (14, 0.01),
}


def bounds(
    quantiles: np.ndarray, actual: np.ndarray, days: int, rate: float, per_day: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds that one way gives, `(origins, steps, columns)` each."""
    low, point, high = (quantiles[..., n] for n in range(3))
    names = [str(n) for n in range(point.shape[2])]
    start = Calibration.empty(
        point.shape[1], coverage=COVERAGE, window=days * per_day or calibration.DEFAULT_WINDOW
    )
    with contextlib.ExitStack() as patched:
        patched.enter_context(mock.patch.object(calibration, "_RATE", rate))
        if not days:
            patched.enter_context(mock.patch.object(calibration, "_lagged", _no_window))
        return start.bounds(point, low, high, actual, columns=names)


def _no_window(rolled: np.ndarray, prior: int, origins: int) -> np.ndarray:
    return np.zeros((origins, *rolled.shape[1:]))


def interval_score(low: np.ndarray, high: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """Return the mean interval score, `(steps, columns)`."""
    outside = np.maximum(low - actual, 0) + np.maximum(actual - high, 0)
    found: np.ndarray = np.nanmean(high - low + 2 / (1 - COVERAGE) * outside, axis=0)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--window", default="w01h-s10m")
    parser.add_argument("--model", default="default")
    parser.add_argument("--days", type=int, default=30, help="days that are judged")
    options = parser.parse_args()
    quieten()
    frame = read_data(options.data, window=options.window)
    per_day = Window.parse(options.window).per_day
    model: Any = load_model(options.model)
    count = options.days * per_day
    origins = np.arange(len(frame) - 2 * count - model.horizon, len(frame) - model.horizon)
    quantiles = model._quantiles(frame, origins)
    actual = actual_after(frame, origins, model.horizon)
    low, _, high = (quantiles[..., n] for n in range(3))
    found = {"raw quantiles": (low, high)}
    for name, (days, rate) in WAYS.items():
        found[name] = bounds(quantiles, actual, days, rate, per_day)
    judged = np.s_[-count:, STEPS - 1]
    truth = actual[judged]
    raw = interval_score(low[judged], high[judged], truth)
    for name, (lower, upper) in found.items():
        lower, upper = lower[judged], upper[judged]
        known = np.isfinite(truth)
        held = ((lower <= truth) & (truth <= upper)).sum(axis=0) / known.sum(axis=0)
        told = {
            "way": name,
            "coverage": [round(float(value), 3) for value in held.mean(axis=1)],
            "worst_column": round(float(held.min()), 3),
            "score": round(float(np.mean(interval_score(lower, upper, truth) / raw)), 3),
        }
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
