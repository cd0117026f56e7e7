"""`mods tune`: search for the hyper-parameters of a model type."""

from __future__ import annotations

import argparse
from typing import Any

from mods.commands import Report
from mods.commands.arguments import (
    add_data,
    add_exclude,
    add_hyperparameters,
    add_selection,
    given_hyperparameters,
)

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
    add_data(parser)
    parser.add_argument("--model", required=True, help="the name of the model to train afterwards")
    parser.add_argument(
        "--trials", type=int, default=20, metavar="N", help="finished trials in all (default: 20)"
    )
    add_selection(
        parser,
        query="columns of a datapool to train on",
        time_range="search on this range only",
    )
    add_exclude(parser)
    add_hyperparameters(parser, "hyper-parameters that are fixed")


def run(arguments: argparse.Namespace) -> Report:
    """Search, and say what was found."""
    from mods.models.tuning import tune

    document = tune(
        arguments.data,
        arguments.model,
        trials=arguments.trials,
        query=arguments.query,
        window=arguments.window,
        time_range=arguments.range,
        exclude=arguments.exclude,
        **given_hyperparameters(arguments),
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
