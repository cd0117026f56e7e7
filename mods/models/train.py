"""Stage 3 as a call: data in, a trained model's bundle out.

`python -m mods.models.train` takes the options of `mods train`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mods.errors import ModelError

if TYPE_CHECKING:
    import pandas as pd

    from mods.models.mods_model import Model

__all__ = ["train"]


def train(
    data: Path | str,
    model: str,
    *,
    query: str | None = None,
    window: str | None = None,
    time_range: str | None = None,
    exclude: Sequence[str] = (),
    test_range: str | None = None,
    test_exclude: Sequence[str] = (),
    from_model: str | None = None,
    resume: bool = False,
    progress: bool = True,
    keep_interrupted: bool = False,
    **hyperparameters: Any,
) -> dict[str, Any]:
    """Train a model on a datapool or table and write its bundle.

    Parameters
    ----------
    data
        A datapool (directory or zip) or a table.
    model
        The name of the model to write, or a path that ends in `.zip`.
    query, window
        What to read from a datapool; `window` also names the rows of a table without times.
    time_range, exclude
        What to train on: a range (by default all), and ranges in it to leave out.
    test_range, test_exclude
        A later range to judge the model on, beside its baselines, once it is trained, and
        ranges in it that count as missing.
    from_model
        Go on from this model (a name or a path); hyper-parameters are its own unless given.
    resume
        Go on from the last checkpoint of the same training.
    progress
        Show a bar on stderr.
    keep_interrupted
        At Ctrl-C, write the best model so far.
    **hyperparameters
        See `hyperparameters.Hyperparameters`.

    Returns
    -------
    dict
        `model`, `path`, `columns`, `window`, `steps_ahead`, `batch_size`, `training` (rows,
        epochs, losses, seconds), and `evaluation` where a test range was given.

    Raises
    ------
    ModsError
        Where the data, the name or a hyper-parameter cannot be used; nothing is written then.
    """
    from mods.config import folders
    from mods.dataset import read_data
    from mods.models.registry import locate_model

    path = locate_model(model, must_exist=False)
    begun, prototype = _prototype(from_model, hyperparameters)
    frame = read_data(data, query=query, window=window)
    part = _part(frame, time_range, exclude)
    if test_range is not None:
        _check_later(frame, part, test_range)
    prototype.fit(
        part,
        from_model=begun,
        checkpoints=folders().checkpoints / path.stem,
        resume=resume,
        progress=progress,
        keep_interrupted=keep_interrupted,
    )
    prototype.config["query"] = query
    prototype.config["training"] |= {
        "range": time_range,
        "excluded": list(exclude),
        "from": from_model,
    }
    document: dict[str, Any] = {
        "model": model,
        "path": str(path),
        "columns": prototype.columns,
        "window": prototype.window,
        "steps_ahead": prototype.horizon,
        "batch_size": prototype.settings.batch_size,
        "training": prototype.config["training"],
    }
    if test_range is not None:
        document["evaluation"] = _judged(prototype, frame, test_range, test_exclude)
        prototype.metrics["test"] = document["evaluation"]
    prototype.save(path)
    return document


def _prototype(
    from_model: str | None, hyperparameters: dict[str, Any]
) -> tuple[Model | None, Model]:
    """Return the model to go on from, if any, and the one to train."""
    from mods.models.hyperparameters import settings_on
    from mods.models.loading import require_trained_here
    from mods.models.mods_model import Model
    from mods.models.registry import locate_model

    if from_model is None:
        return None, Model(**hyperparameters)
    path = locate_model(from_model)
    require_trained_here(path)
    begun = Model.load(path)
    return begun, Model(**settings_on(begun.settings, hyperparameters).as_dict())


def _part(frame: pd.DataFrame, time_range: str | None, exclude: Sequence[str]) -> pd.DataFrame:
    from mods.timerange import select

    part = select(frame, time_range, exclude)
    part.attrs.update(frame.attrs)
    return part


def _check_later(frame: pd.DataFrame, part: pd.DataFrame, test_range: str) -> None:
    from mods.models.evaluation import origin_rows

    first, _ = origin_rows(frame, test_range)
    last = int(frame.index.get_indexer(part.index[-1:])[0])
    if first <= last:
        raise ModelError(
            f"test range {test_range!r} begins before the training ends, at {part.index[-1]}",
            "a range after the training's",
            "Give --range and --test-range that do not overlap.",
        )


def _judged(
    model: Model, frame: pd.DataFrame, test_range: str, exclude: Sequence[str]
) -> dict[str, Any]:
    from mods.models.evaluation import evaluate

    judged = _part(frame, None, exclude)
    document: dict[str, Any] = evaluate(model, judged, include=test_range).document()
    return document


if __name__ == "__main__":
    from mods.cli import main

    sys.exit(main(["train", *sys.argv[1:]]))
