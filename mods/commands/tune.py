"""`mods tune`: search for the hyper-parameters of a model type."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from mods.commands import Report
from mods.commands.train import add_hyperparameters

HELP = (
    "Search for good hyper-parameters by rolling validation inside the range, and print the"
    " best as a ready 'mods train' line. The search is kept under checkpoints/: run it again to"
    " go on. What is given as an option is not searched."
)
EXAMPLE = (
    "mods tune --data data/test/sample-test-w01h-s10m.tsv --model mine --model-type GRU --trials 10"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--data",
        required=True,
        help="a datapool (directory or zip) or a table (TSV, CSV, Parquet)",
    )
    parser.add_argument("--model", required=True, help="the name of the model to train afterwards")
    parser.add_argument(
        "--trials", type=int, default=20, metavar="N", help="finished trials in all (default: 20)"
    )
    parser.add_argument("--query", metavar="Q", help="columns of a datapool to train on")
    parser.add_argument("--window", metavar="W", help="the window's name, for example w01h-s10m")
    parser.add_argument("--range", metavar="R", help="search on this range only")
    parser.add_argument(
        "--exclude", metavar="R", action="append", default=[], help="leave this range out"
    )
    add_hyperparameters(parser.add_argument_group("hyper-parameters that are fixed"))


def run(arguments: argparse.Namespace) -> Report:
    """Search, and say what was found."""
    from mods.models.hyperparameters import Hyperparameters
    from mods.models.tuning import tune

    names = [item.name for item in dataclasses.fields(Hyperparameters)]
    given = {n: getattr(arguments, n) for n in names if getattr(arguments, n) is not None}
    document = tune(
        arguments.data,
        arguments.model,
        trials=arguments.trials,
        query=arguments.query,
        window=arguments.window,
        time_range=arguments.range,
        exclude=arguments.exclude,
        **given,
    )
    return Report(_text(document), document)


def _text(document: dict[str, Any]) -> str:
    best = ", ".join(f"{name} {value}" for name, value in document["best"].items())
    before = document["default_mase"]
    beside = "" if before is None else f" (the defaults: {before:.4f})"
    return "\n".join(
        [
            f"{document['finished']} trials finished, {document['pruned']} pruned early.",
            f"Best for {document['model_type']}: {best}.",
            f"Mean MASE {document['mase']:.4f} on the last two fifths of the range{beside}.",
            f"The study: {document['study']}. Train with:",
            document["command"],
        ]
    )
