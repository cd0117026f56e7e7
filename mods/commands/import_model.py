"""`mods import`: turn a bundle of the original into one of ours."""

from __future__ import annotations

import argparse

from mods.commands import Report

HELP = (
    "Turn a model bundle of the original MODS (HDF5 of Keras 2.2 or 2.3, pickled scaler) into a"
    " bundle of this version that gives the same numbers. Nothing in it is executed."
)
EXAMPLE = "mods import model_2019.zip --model campus-2019"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("old", metavar="OLD.zip", help="the original's bundle")
    parser.add_argument(
        "--model", required=True, help="the name to keep it under, or the path of a bundle to write"
    )


def run(arguments: argparse.Namespace) -> Report:
    """Import the model."""
    from mods.models.legacy import import_bundle
    from mods.models.registry import locate_model

    target = locate_model(arguments.model, must_exist=False)
    config = import_bundle(arguments.old, target)
    settings = config["hyperparameters"]
    step = settings["steps_ahead"]
    text = (
        f"Wrote {target}: {settings['model_type']} for {', '.join(config['columns'])}, from"
        f" {settings['sequence_len']} windows to the one {step} later."
    )
    if config["forecasts"] == "change":
        text += (
            f"\nIt forecasts the change x[t+{step}] - x[t+{step - 1}] and not a level, as the"
            " original did: the level in between is not known."
        )
    return Report(text, {"model": str(target), **config})
