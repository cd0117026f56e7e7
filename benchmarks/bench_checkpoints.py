"""How well the shipped checkpoints forecast networks that they never saw, and what going on adds.

    python benchmarks/bench_checkpoints.py [--networks 60] [--seed 777000] [--first 600]
    python benchmarks/bench_checkpoints.py --data TABLE [--window w01h-s10m] [--days 7]
        [--until 3000 5000 7000 9000 10000]

The first simulates networks from which no checkpoint has learned and prints a line of JSON for
each checkpoint, and one for the linear model that both are told of, alone.  With `--data` each
checkpoint is judged on the whole table, and `model_default_cpu` goes on with so many days before
each of the rows `--until`; what came of it is judged at the origins of the 20 days after: weights
a quarter, half and all of the way from where they began to where they ended, and what `mods train`
keeps.

Figures are MASE at 1, 3, 6 and 12 steps, mean over the columns and places; below 1 is better than
persistence.  A column counts at most 3, for a series that hardly moves has no scale.
"""

from __future__ import annotations

import argparse
import json
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

from mods.dataset import read_data
from mods.dataset.simulate_series import simulate_networks
from mods.models import recipe
from mods.models.baselines import persistence
from mods.models.fitting import quieten
from mods.models.forecast import actual_after
from mods.models.hyperparameters import FINE_TUNING
from mods.models.mods_model import Model
from mods.models.pretraining import CHECKPOINTS
from mods.models.registry import model_path
from mods.models.scores import score
from mods.timerange import Window

STEPS = np.array([1, 3, 6, 12])
#: Rows before the first judged origin that a forecast is given, and days that are judged.
BEFORE, JUDGED = 1500, 20


def say(**told: Any) -> None:
    print(json.dumps(told), flush=True)


def rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 3) for value in values]


def mase(point: np.ndarray, frame: pd.DataFrame, origins: np.ndarray) -> np.ndarray:
    """Return MASE, `(steps, columns)`, of forecasts `(origins, horizon, columns)`."""
    naive = persistence(frame.to_numpy(dtype=float), origins, STEPS)
    actual = actual_after(frame, origins, point.shape[1])[:, STEPS - 1]
    found: np.ndarray = np.minimum(score(point[:, STEPS - 1], actual, naive)["mase"], 3.0)
    return found


def judged(model: Model, frame: pd.DataFrame, first: int) -> np.ndarray:
    """Return MASE, `(steps, columns)`, at every origin from a row on."""
    origins = np.arange(first, len(frame) - model.horizon)
    return mase(model._quantiles(frame, origins)[..., 1], frame, origins)


def linear(model: Model, frame: pd.DataFrame, first: int) -> np.ndarray:
    """Return the same of the linear model alone."""
    encoding: Any = model._encoding
    encoding = encoding.for_window(frame.attrs["window"])
    origins = np.arange(first, len(frame) - model.horizon)
    _, context, inputs = encoding.encode(frame, origins)
    told = context[:, : model.horizon, None, None]
    return mase(encoding.decode(told, inputs)[..., 0], frame, origins)


def simulated(networks: int, seed: int, first: int) -> None:
    name = "w01h-s10m"
    many = simulate_networks(seed, networks=networks, windows=2100, window=Window.parse(name))
    frame = pd.DataFrame(many.values.T, columns=[f"network {n}" for n in range(networks)])
    frame.attrs["window"] = name
    for checkpoint in CHECKPOINTS:
        model = Model.load(model_path(checkpoint))
        found = judged(model, frame, first)
        say(simulated=networks, model=checkpoint, mase=rounded(np.nanmean(found, axis=1)))
    found = linear(model, frame, first)
    say(simulated=networks, model="linear model alone", mase=rounded(np.nanmean(found, axis=1)))


def real(frame: pd.DataFrame) -> None:
    for checkpoint in CHECKPOINTS:
        path = model_path(checkpoint)
        model = Model.load(path)
        found = judged(model, frame, model.settings.sequence_len - 1)
        worst = round(float(np.nanmax(found)), 3)
        say(
            model=checkpoint,
            mase=rounded(np.nanmean(found, axis=1)),
            worst_column=worst,
            bundle=path.stat().st_size,
        )


def going_on(frame: pd.DataFrame, days: int, places: list[int]) -> None:
    """Judge going on from the checkpoint before each of some places of the table."""
    start = Model.load(model_path("model_default_cpu"))
    per_day = Window.parse(frame.attrs["window"]).per_day
    found: dict[str, list[np.ndarray]] = {}
    for until in places:
        part = cut(frame, until - days * per_day, until)
        ahead = cut(frame, until - BEFORE, until + JUDGED * per_day)
        whole = trained(start, part, way=(1.0,), doubt=np.inf)
        begun = recipe._begin(start.network, whole.settings, whole._encoding.shape).get_weights()
        ended = whole.network.get_weights()
        kept = trained(start, part, way=recipe.WAY, doubt=recipe.DOUBT)
        for name, model in {"untouched": start, "all of the way": whole, "kept": kept}.items():
            found.setdefault(name, []).append(judged(model, ahead, BEFORE))
        for share in (0.25, 0.5):
            whole.network.set_weights(recipe._mixed(begun, ended, share))
            found.setdefault(f"{share:g} of the way", []).append(judged(whole, ahead, BEFORE))
    better = {
        name: sum(
            np.mean(one) < np.mean(other)
            for one, other in zip(all_, found["untouched"], strict=True)
        )
        for name, all_ in found.items()
    }
    for name, all_ in found.items():
        say(
            days=days,
            model=name,
            mase=rounded(np.mean(all_, axis=(0, 2))),
            better_at=f"{better[name]} of {len(places)} places",
        )


def trained(start: Model, part: pd.DataFrame, *, way: tuple[float, ...], doubt: float) -> Model:
    """Go on from a model, and keep what judges best of these shares of the way."""
    with mock.patch.multiple(recipe, WAY=way, DOUBT=doubt):
        model = Model(**start.settings.as_dict() | FINE_TUNING)
        return model.fit(part, from_model=start, progress=False)


def cut(frame: pd.DataFrame, first: int, end: int) -> pd.DataFrame:
    part = frame.iloc[first:end]
    part.attrs.update(frame.attrs)
    return part


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=60, help="how many are simulated")
    parser.add_argument("--seed", type=int, default=777_000, help="of the simulated networks")
    parser.add_argument("--first", type=int, default=600, help="the first of 2,100 rows judged")
    parser.add_argument("--data", help="a table of at least 13,000 rows, instead of simulating")
    parser.add_argument("--window", default="w01h-s10m")
    parser.add_argument("--days", type=int, default=7, help="days that going on learns from")
    parser.add_argument("--until", type=int, nargs="+", default=[3000, 5000, 7000, 9000, 10_000])
    options = parser.parse_args()
    quieten()
    if options.data is None:
        simulated(options.networks, options.seed, options.first)
        return
    frame = read_data(options.data, window=options.window)
    real(frame)
    going_on(frame, options.days, options.until)


if __name__ == "__main__":
    main()
