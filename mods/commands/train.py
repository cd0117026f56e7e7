"""`mods train`: train a model on a datapool or table."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from mods.commands import Report

HELP = (
    "Train a model and write its bundle. The last tenth of the range tells when to stop; each"
    " epoch is kept as a checkpoint, from which --resume goes on."
)
EXAMPLE = "mods train --data data/test/sample-test-w01h-s10m.tsv --model mine --model-type LSTM"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options; the hyper-parameters come from where they are defined."""
    parser.add_argument(
        "--data",
        required=True,
        help="a datapool (directory or zip) or a table (TSV, CSV, Parquet)",
    )
    parser.add_argument(
        "--model", required=True, help="the name of the model to write, or a path ending in .zip"
    )
    parser.add_argument("--query", metavar="Q", help="columns of a datapool to train on")
    parser.add_argument("--window", metavar="W", help="the window's name, for example w01h-s10m")
    parser.add_argument(
        "--range",
        metavar="R",
        help="train on this range only, for example '<2019-01-01,2019-04-01)', or row numbers"
        " where the data carry no time",
    )
    parser.add_argument(
        "--exclude", metavar="R", action="append", default=[], help="leave this range out"
    )
    parser.add_argument(
        "--test-range", metavar="R", help="judge the model on this later range once it is trained"
    )
    parser.add_argument(
        "--from", dest="from_model", metavar="MODEL", help="go on from this model's weights"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on from the last checkpoint of this training"
    )
    parser.add_argument(
        "--keep-interrupted", action="store_true", help="at Ctrl-C, write the best model so far"
    )
    parser.add_argument(
        "--figure", metavar="FILE", help="draw the losses of each epoch to FILE.png"
    )
    add_hyperparameters(parser.add_argument_group("hyper-parameters"))


def run(arguments: argparse.Namespace) -> Report:
    """Train, and say what came out."""
    from mods.models.hyperparameters import Hyperparameters
    from mods.models.train import train
    from mods.visualization.style import check_figure

    check_figure(arguments.figure)
    names = [item.name for item in dataclasses.fields(Hyperparameters)]
    given = {n: getattr(arguments, n) for n in names if getattr(arguments, n) is not None}
    document = train(
        arguments.data,
        arguments.model,
        query=arguments.query,
        window=arguments.window,
        time_range=arguments.range,
        exclude=arguments.exclude,
        test_range=arguments.test_range,
        from_model=arguments.from_model,
        resume=arguments.resume,
        keep_interrupted=arguments.keep_interrupted,
        **given,
    )
    text = _text(document)
    if arguments.figure is not None:
        from mods.visualization.style import save_figure
        from mods.visualization.training_figure import plot_training

        title = f"{document['model']}: losses"
        save_figure(plot_training(document["training"], title=title), arguments.figure)
        document["figure"] = arguments.figure
        text += f"\nWrote {arguments.figure}."
    return Report(text, document)


def add_hyperparameters(group: Any) -> None:
    """Declare an option for each hyper-parameter, from where they are defined."""
    from mods.models.hyperparameters import Hyperparameters

    for item in dataclasses.fields(Hyperparameters):
        option = "--" + item.name.replace("_", "-")
        text = f"{item.metadata['help']} (default: {item.default})"
        if isinstance(item.default, bool):
            group.add_argument(option, action=argparse.BooleanOptionalAction, help=text)
        else:
            group.add_argument(option, type=type(item.default), metavar="X", help=text)


def _text(document: dict[str, Any]) -> str:
    training = document["training"]
    lines = [
        f"Trained on {training['rows']} windows of {', '.join(document['columns'])}"
        f" in {training['seconds']:.0f} s: best of {training['epochs']} epochs was"
        f" {training['best_epoch']}."
    ]
    steps = document.get("evaluation", {}).get("steps", {})
    for step, scores in steps.items():
        known = [value for value in scores["smape"] if value is not None]
        if known:
            lines.append(f"SMAPE at step {step}: {sum(known) / len(known):.2f} % (columns' mean)")
    lines.append(f"Wrote {document['path']}.")
    return "\n".join(lines)
