"""Training as a call: data in, a judged model in its bundle out.

Also `python -m mods.models.train`, which takes what `mods train` takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mods import config
from mods.dataset import read_data
from mods.dataset.datapool import is_datapool
from mods.models.evaluation import Evaluation, evaluate
from mods.models.mods_model import Model
from mods.models.registry import locate_model
from mods.timerange import select

__all__ = ["Training", "train"]

#: The trees take longer than the networks: `mods evaluate` has them, a training does without.
QUICK_BASELINES = ("persistence", "seasonal_naive")


@dataclass(frozen=True)
class Training:
    """What a training made: the model, where its bundle is, and how it did on the test part."""

    model: Model
    path: Path
    evaluation: Evaluation | None


def train(
    data: Path | str,
    name: str,
    *,
    query: str | None = None,
    window: str | None = None,
    include: str | None = None,
    exclude: Sequence[str] = (),
    test: str | None = None,
    from_model: str | None = None,
    resume: bool = False,
    progress: bool = True,
    **hyperparameters: Any,
) -> Training:
    """Train a model and write its bundle.

    Parameters
    ----------
    data
        A datapool or a table.
    name
        The model's name, or a path that ends in `.zip`.
    query, window
        Which columns and windows of a datapool; for a table without times the window says
        what a row is.
    include, exclude
        The range to train on, all by default, and ranges in it that count as missing.
    test
        The range of origins to judge the model on, None for none.
    from_model
        Name or path of a model to go on from.
    resume
        Go on from the checkpoint of the same training that was interrupted.
    progress
        Show a bar on stderr.
    **hyperparameters
        See `mods.models.hyperparameters.Hyperparameters`.

    Raises
    ------
    ModsError
        Before anything is written, where the data, the name or a setting cannot be used.
    """
    path = locate_model(name, must_exist=False)
    start = Model.load(locate_model(from_model)) if from_model is not None else None
    if start is not None:
        hyperparameters = start.settings.as_dict() | hyperparameters
    model = Model(**hyperparameters)
    if is_datapool(data):
        query = query or config.DEFAULT_QUERY
    frame = read_data(data, query=query, window=window)
    chosen = select(frame, include, exclude)
    chosen.attrs = dict(frame.attrs)
    model.fit(
        chosen,
        from_model=start,
        checkpoints=config.folders().checkpoints / path.stem,
        resume=resume,
        progress=progress,
    )
    model.config["query"] = query
    model.config["training"] |= {"from_model": from_model, "range": include}
    evaluation = None
    if test is not None:
        evaluation = evaluate(model, frame, include=test, baselines=QUICK_BASELINES)
        model.metrics["evaluation"] = evaluation.document()
    model.save(path)
    return Training(model, path, evaluation)


if __name__ == "__main__":
    import sys

    from mods.cli import main

    sys.exit(main(["train", *sys.argv[1:]]))
