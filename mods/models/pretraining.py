"""The shipped checkpoints: trained on many simulated networks, and on nothing else.

A checkpoint has no columns and no window of its own.  It learns from series of
all three window names, each from its own first 36 windows on, with the periods
found from the past of each origin, as they are when it is used.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mods.dataset.simulate_series import SimulatedNetworks, simulate_networks
from mods.models.architectures import build_network
from mods.models.encoding import ScaleFree, typical_targets
from mods.models.fitting import Arrays, fit_network, seeded
from mods.models.hyperparameters import Hyperparameters
from mods.models.mods_model import Model
from mods.timerange import Window

__all__ = ["CHECKPOINTS", "Recipe", "pretrain"]

logger = logging.getLogger(__name__)

#: Which windows a checkpoint sees, and the share of the networks that have it.
WINDOWS = {"w01h-s10m": 0.6, "w10m-s01m": 0.2, "w10m-s10m": 0.2}
#: Networks that tell the margins of the intervals; the network learns from none of them.
CALIBRATION_NETWORKS = 60
#: 1970-01-05, a Monday, in seconds: what `SimulatedNetworks.start` counts from.
MONDAY = 4 * 86400


@dataclass(frozen=True)
class Recipe:
    """How a checkpoint is made.

    Attributes
    ----------
    settings
        The network's hyper-parameters and the training's.
    networks
        Simulated networks to learn from; a tenth as many others tell when to stop.
    windows
        Windows of each network.
    origins
        Forecasts that are learned from each network, at origins drawn at random.
    seed
        Of the first simulated network.
    """

    settings: Hyperparameters
    networks: int = 4000
    windows: int = 2100
    origins: int = 100
    seed: int = 20_000


CHECKPOINTS = {
    "model_default_cpu": Recipe(
        Hyperparameters(
            model_type="LSTM",
            blocks=48,
            num_epochs=8,
            epochs_patience=8,
            batch_size=512,
            learning_rate=2e-3,
        )
    ),
    "model_default_gpu": Recipe(
        Hyperparameters(
            model_type="LSTM",
            blocks=128,
            num_epochs=6,
            epochs_patience=6,
            batch_size=512,
            learning_rate=2e-3,
        )
    ),
}


def pretrain(recipe: Recipe, *, progress: bool = True) -> Model:
    """Make a checkpoint; equal for equal recipes on the same hardware.

    Parameters
    ----------
    recipe
        How it is made.
    progress
        Show bars on stderr.
    """
    started = time.perf_counter()
    settings = recipe.settings
    encodings = {name: ScaleFree(settings, name) for name in WINDOWS}
    scale = _step_scale(recipe, encodings)
    for encoding in encodings.values():
        encoding.step_scale = scale
    train = _learned(recipe, encodings, recipe.seed, recipe.networks, progress)
    judged = _learned(recipe, encodings, recipe.seed + 1, recipe.networks // 10, progress)
    encoding = ScaleFree(settings, None)
    encoding.step_scale = scale
    with seeded(settings.seed):
        network = build_network(settings, **encoding.shape)
        state = fit_network(
            network,
            train,
            judged,
            settings,
            masks=encoding.mask,
            progress=progress,
            label="pre-training",
        )
    training = {
        "source": "simulated networks only",
        "networks": recipe.networks,
        "windows": len(train),
        "seed": recipe.seed,
        "epochs": state.epoch,
        "best_epoch": state.best_epoch,
        "history": state.history,
        "seconds": round(time.perf_counter() - started, 1),
    }
    model = Model.of_parts(settings, network, encoding, training)
    model.metrics["validation_loss"] = state.best_loss
    model.pool_margins(_together(recipe))
    return model


def _together(recipe: Recipe) -> pd.DataFrame:
    """Return networks of their own, a column each, for the intervals' margins."""
    name = "w01h-s10m"
    many = simulate_networks(
        1000 * (recipe.seed + 2),
        networks=CALIBRATION_NETWORKS,
        windows=recipe.windows,
        window=Window.parse(name),
    )
    frame = pd.DataFrame(
        many.values.T, columns=[f"network {n}" for n in range(CALIBRATION_NETWORKS)]
    )
    frame.index.name = "row"
    frame.attrs["window"] = name
    return frame


def _networks(recipe: Recipe, seed: int, count: int) -> Iterator[tuple[str, SimulatedNetworks]]:
    for place, (name, share) in enumerate(WINDOWS.items()):
        networks = max(1, round(count * share))
        window = Window.parse(name)
        # Each window's networks come from seeds of their own.
        yield (
            name,
            simulate_networks(
                1000 * seed + place, networks=networks, windows=recipe.windows, window=window
            ),
        )


def _frames(name: str, many: SimulatedNetworks) -> Iterator[pd.DataFrame]:
    slide = Window.parse(name).slide
    for values, start in zip(many.values, many.start, strict=True):
        times = pd.to_datetime(
            MONDAY + int(start) + np.arange(values.size) * slide, unit="s", utc=True
        )
        frame = pd.DataFrame(
            {"simulated": values}, index=pd.DatetimeIndex(times, name="window_start")
        )
        frame.attrs["window"] = name
        yield frame


def _step_scale(recipe: Recipe, encodings: dict[str, ScaleFree]) -> np.ndarray:
    """Return the typical distance of targets to their anchor a step, over all networks."""
    random = np.random.default_rng(recipe.seed)
    sizes = [
        typical_targets(encodings[name], frame, _origins(frame, recipe, random))
        for name, many in _networks(recipe, recipe.seed, max(10, recipe.networks // 10))
        for frame in _frames(name, many)
    ]
    scale: np.ndarray = np.maximum(np.nanmedian(np.stack(sizes), axis=0), 1e-3)
    return scale


def _learned(
    recipe: Recipe, encodings: dict[str, ScaleFree], seed: int, count: int, progress: bool
) -> Arrays:
    from tqdm import tqdm

    random = np.random.default_rng(seed)
    parts = []
    with tqdm(
        total=count, desc="simulating", unit="network", disable=None if progress else True
    ) as bar:
        for name, many in _networks(recipe, seed, count):
            for frame in _frames(name, many):
                origins = _origins(frame, recipe, random)
                if len(origins):
                    parts.append(encodings[name].arrays(frame, origins))
                bar.update()
    return Arrays(
        np.concatenate([part.sequence for part in parts]),
        np.concatenate([part.context for part in parts]),
        np.concatenate([part.target for part in parts]),
    )


def _origins(frame: pd.DataFrame, recipe: Recipe, random: np.random.Generator) -> np.ndarray:
    """Draw origins at which something was observed lately, early ones as well as late ones."""
    values = frame["simulated"].to_numpy()
    first, last = recipe.settings.sequence_len - 1, len(values) - recipe.settings.horizon - 1
    observed = np.flatnonzero(np.isfinite(values))
    observed = observed[(observed >= first) & (observed <= last)]
    size = min(recipe.origins, observed.size)
    return np.sort(random.choice(observed, size=size, replace=False))


def main() -> None:
    """Make the shipped checkpoints."""
    parser = argparse.ArgumentParser(
        prog="python -m mods.models.pretraining",
        description="Make the shipped checkpoints from simulated networks.",
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to write them to")
    parser.add_argument("--only", choices=sorted(CHECKPOINTS), help="this one only")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name, recipe in CHECKPOINTS.items():
        if options.only in (None, name):
            path = options.out / f"{name}.zip"
            pretrain(recipe).save(path)
            logger.info("%s: %s bytes", path, f"{path.stat().st_size:,}")


if __name__ == "__main__":
    main()
