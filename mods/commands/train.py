"""`mods train`: train a model on a datapool or table."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from mods.commands import Report

HELP = (
    "Train a network on a datapool or table and keep it as a bundle. The last tenth of the range"
    " tells when to stop; nothing after the range is looked at. Progress is on stderr, and the"
    " state after each epoch under checkpoints/, from where --resume goes on."
)
EXAMPLE = (
    "mods train --data data/test/sample-test-w01h-s10m.tsv --model mine --model-type LSTM"
    " --range '<2024-03-04,2024-03-16)' --test-range '<2024-03-16,2024-03-18)'"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options; the hyper-parameters from where they are defined."""
    parser.add_argument(
        "--data",
        required=True,
        help="a datapool (directory or zip) or a table (TSV, CSV, Parquet)",
    )
    parser.add_argument(
        "--model", required=True, help="the name that the model gets, or a path ending in .zip"
    )
    parser.add_argument("--query", metavar="Q", help="which columns of a datapool")
    parser.add_argument("--window", metavar="W", help="the window's name, for example w01h-s10m")
    parser.add_argument(
        "--range",
        metavar="R",
        help="train on this range only, for example '<2019-06-01,2019-06-03)', or row numbers"
        " where the data carry no time",
    )
    parser.add_argument(
        "--exclude",
        metavar="R",
        action="append",
        default=[],
        help="count this range as missing (may be repeated)",
    )
    parser.add_argument("--test-range", metavar="R", help="judge the model on this range")
    parser.add_argument(
        "--from", dest="from_model", metavar="MODEL", help="go on from this model, or 'default'"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on where the same training was interrupted"
    )
    group = parser.add_argument_group("hyper-parameters")
    for item, text in _hyperparameters():
        group.add_argument(
            f"--{item.name.replace('_', '-')}",
            type=_reader(item.default),
            metavar=type(item.default).__name__.upper().replace("STR", "NAME"),
            help=f"{text} (default: {item.default})",
        )


def run(arguments: argparse.Namespace) -> Report:
    """Train, and judge where a test range is given."""
    from mods.models.train import train

    given: dict[str, Any] = {
        item.name: getattr(arguments, item.name)
        for item, _text in _hyperparameters()
        if getattr(arguments, item.name) is not None
    }
    training = train(
        arguments.data,
        arguments.model,
        query=arguments.query,
        window=arguments.window,
        include=arguments.range,
        exclude=arguments.exclude,
        test=arguments.test_range,
        from_model=arguments.from_model,
        resume=arguments.resume,
        **given,
    )
    told = training.model.config["training"]
    lines = [
        f"{training.model.settings.model_type} trained on {told['windows']:,} windows of"
        f" {len(training.model.columns)} columns in {told['seconds']} s,"
        f" best of {told['epochs']} epochs: {told['best_epoch']}.",
        f"Wrote {training.path}.",
    ]
    document: dict[str, Any] = {
        "model": str(training.path),
        "hyperparameters": training.model.settings.as_dict(),
        "training": told,
    }
    if training.evaluation is not None:
        from mods.commands.evaluate import evaluation_text

        document["evaluation"] = training.evaluation.document()
        lines += ["", evaluation_text(training.evaluation)]
    return Report("\n".join(lines), document)


def _hyperparameters() -> list[tuple[dataclasses.Field[Any], str]]:
    from mods.models.hyperparameters import Hyperparameters

    return [(item, str(item.metadata["help"])) for item in dataclasses.fields(Hyperparameters)]


def _reader(default: Any) -> Any:
    """Return what turns a word of the command line into a value like the default."""
    return _truth if isinstance(default, bool) else type(default)


def _truth(word: str) -> bool:
    if word.lower() in ("true", "yes", "1"):
        return True
    if word.lower() in ("false", "no", "0"):
        return False
    raise argparse.ArgumentTypeError(f"{word!r} is neither true nor false")
