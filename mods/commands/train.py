"""`mods train`: train a model on a datapool or table."""

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
    "Train a model and write its bundle. The last tenth of the range tells when to stop; each"
    " epoch is kept as a checkpoint, from which --resume goes on."
)
EXAMPLE = "mods train --data data/test/sample-test-w01h-s10m.tsv --model mine --model-type LSTM"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options; the hyper-parameters come from where they are defined."""
    add_data(parser)
    parser.add_argument(
        "--model", required=True, help="the name of the model to write, or a path ending in .zip"
    )
    add_selection(
        parser,
        query="columns of a datapool to train on",
        time_range="train on this range only, for example '<2019-01-01,2019-04-01)', or row"
        " numbers where the data carry no time",
    )
    add_exclude(parser)
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
    add_hyperparameters(parser, "hyper-parameters")


def run(arguments: argparse.Namespace) -> Report:
    """Train, and say what came out."""
    from mods.models.train import train
    from mods.visualization.style import check_figure

    check_figure(arguments.figure)
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
        **given_hyperparameters(arguments),
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
