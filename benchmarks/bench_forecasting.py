"""How fast and how well models learn and forecast, beside peers in the same run.

    python benchmarks/bench_forecasting.py --data TABLE [--window w01h-s10m] [--rows 12960]
        [--model-type LSTM MLP ...] [--adapt] [--peers]

Prints a line of JSON for each:

- the fit of a model of each type, and its SMAPE, MASE and coverage at 1, 3, 6 and 12 steps, mean
  over the columns;
- with `--adapt`, the shipped model untouched and gone on from with 30 and with 7 days, beside an
  LSTM from scratch on the same days;
- the bundle's bytes and the time to load it (of the last type,
  or of the shipped model where none is given);
- with `--peers`, a forecast of 10,000 windows beside Keras' own `predict` on the same arrays; one
  epoch with the original's settings (LSTM of 12 units on 12 windows, batches of 1), whose 50
  epochs are extrapolated; LightGBM (`pip install lightgbm`; absolute error, one fit a step over
  all columns, the same inputs and targets).

Origins after the training rows judge, all on the same rows.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mods.dataset import read_data
from mods.models.evaluation import evaluate_table
from mods.models.fitting import quieten
from mods.models.forecast import forecast_table
from mods.models.hyperparameters import FINE_TUNING
from mods.models.mods_model import Model
from mods.models.registry import model_path
from mods.timerange import Window

STEPS = (1, 3, 6, 12)


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    result = work()
    return round(time.perf_counter() - begin, 2), result


def lightgbm(model: Model, frame: pd.DataFrame, rows: int) -> dict[str, Any]:
    """Fit LightGBM on the very inputs and targets of a model's network."""
    import lightgbm as library

    encoding: Any = model._encoding
    train = np.arange(model.settings.sequence_len - 1, rows - model.horizon)
    origins = np.arange(rows, len(frame) - model.horizon)
    arrays = encoding.arrays(first(frame, rows), train)
    sequence, context, state = encoding.encode(frame, origins)
    learned = np.concatenate([arrays.sequence.reshape(len(arrays), -1), arrays.context], axis=1)
    asked = np.concatenate([sequence.reshape(len(sequence), -1), context], axis=1)
    said = np.zeros((len(asked), model.horizon, 1, 3), dtype=np.float32)

    def fit() -> None:
        for step in STEPS:
            target, weight = arrays.target[:, step - 1, 0, 0], arrays.target[:, step - 1, 0, 1]
            trees = library.LGBMRegressor(
                objective="l1", n_estimators=300, learning_rate=0.05, num_leaves=31, verbose=-1
            )
            trees.fit(learned, target, sample_weight=weight)
            said[:, step - 1, 0, :] = np.asarray(trees.predict(asked))[:, None]

    spent, _ = seconds(fit)
    quantiles = encoding.decode(said, state)
    table = forecast_table(frame, origins, *(quantiles[..., n] for n in (1, 0, 2)))
    table = table[table["step"].isin(STEPS)]
    steps = evaluate_table(table, frame, baselines=["persistence"]).document()["steps"]
    means = [round(float(np.mean(steps[str(s)]["smape"])), 3) for s in STEPS]
    return {"fit_seconds": spent, "smape": means}


def original(frame: pd.DataFrame, rows: int) -> dict[str, Any]:
    """One epoch with the original's settings; its 50 are extrapolated."""
    import keras

    values = frame.iloc[:rows].ffill().to_numpy()
    changes = np.diff(values, axis=0) / np.abs(np.diff(values, axis=0)).max(axis=0)
    windows = np.lib.stride_tricks.sliding_window_view(changes, 12, axis=0)[:-1].transpose(0, 2, 1)
    network = keras.Sequential([keras.layers.LSTM(12), keras.layers.Dense(changes.shape[1])])
    network.compile(optimizer="adam", loss="mse", jit_compile=False)
    network.fit(windows[:2], changes[12:14], batch_size=1, verbose=0)
    spent, _ = seconds(lambda: network.fit(windows, changes[12:], batch_size=1, verbose=0))
    return {"epoch_seconds": spent, "fit_seconds_of_50_epochs": round(50 * spent)}


def forecasting(model: Model, frame: pd.DataFrame) -> dict[str, Any]:
    """Forecast 10,000 windows, beside Keras' own way; both after a first call."""
    encoding: Any = model._encoding
    origins = np.arange(len(frame) - 10_000 // frame.shape[1], len(frame))
    sequence, context, _ = encoding.encode(frame, origins)

    def ours() -> Any:
        return model._run(sequence, context, 4096)

    def naive() -> Any:
        return model.network.predict([sequence, context], verbose=0)

    ours()
    naive()
    times = {"ours": seconds(ours)[0], "keras_predict": seconds(naive)[0]}
    return {"windows": len(sequence), **times}


def judged(model: Model, frame: pd.DataFrame, rows: int) -> dict[str, Any]:
    """Judge a model on the rows after the first `rows`."""
    table = model.backtest(frame)
    table = table[table["origin"].isin(frame.index[rows : -model.horizon])]
    steps = evaluate_table(table, frame, baselines=["persistence"]).document()["steps"]
    return {
        name: [round(float(np.mean(steps[str(s)][name])), 3) for s in STEPS]
        for name in ("smape", "mase", "coverage")
    }


def learning(kind: str, frame: pd.DataFrame, rows: int) -> tuple[Model, dict[str, Any]]:
    model = Model(kind)
    begin = time.process_time()
    spent, _ = seconds(lambda: model.fit(first(frame, rows), progress=False))
    cpu = round(time.process_time() - begin, 1)
    return model, {"fit_seconds": spent, "cpu_seconds": cpu, **judged(model, frame, rows)}


def adapting(frame: pd.DataFrame, rows: int) -> dict[str, Any]:
    """Judge the shipped model untouched, gone on from, and one from scratch, on few days."""
    per_day = Window.parse(frame.attrs["window"]).per_day
    default = Model.load(model_path("default"))
    found = {"untouched": judged(default, frame, rows)}
    for days in (30, 7):
        part = first(frame, rows).iloc[-days * per_day :]
        part.attrs.update(frame.attrs)
        for name, start in (("adapted", default), ("scratch", None)):
            given: dict[str, Any] = {"model_type": "LSTM"}
            if start is not None:
                given = start.settings.as_dict() | FINE_TUNING
            model = Model(**given).fit(part, from_model=start, progress=False)
            found[f"{name}, {days} days"] = judged(model, frame, rows)
    return found


def first(frame: pd.DataFrame, rows: int) -> pd.DataFrame:
    part = frame.iloc[:rows]
    part.attrs.update(frame.attrs)
    return part


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--window", default="w01h-s10m")
    parser.add_argument("--rows", type=int, default=12_960, help="rows to learn from")
    parser.add_argument("--model-type", nargs="*", default=["LSTM"])
    parser.add_argument("--peers", action="store_true", help="measure beside the peers too")
    parser.add_argument("--adapt", action="store_true", help="judge going on from the default")
    options = parser.parse_args()
    quieten()
    frame = read_data(options.data, window=options.window)

    def say(**told: Any) -> None:
        print(json.dumps(told), flush=True)

    model = Model.load(model_path("default"))
    for kind in options.model_type:
        model, told = learning(kind, frame, options.rows)
        say(model=kind, **told)
    if options.adapt:
        for name, told in adapting(frame, options.rows).items():
            say(model=name, **told)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.zip")
        model.save(path)
        loading, _ = seconds(lambda: Model.load(path).network)
        say(bundle=path.stat().st_size, load_seconds=loading)
    if options.peers:
        say(forecast=forecasting(model, frame))
        say(original=original(frame, options.rows))
        say(lightgbm=lightgbm(model, frame, options.rows))


if __name__ == "__main__":
    main()
