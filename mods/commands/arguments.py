"""The options that several commands share: data, what to take of them, hyper-parameters."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from mods.models.legacy import ImportedModel
    from mods.models.mods_model import Model

__all__ = [
    "add_data",
    "add_data_and_model",
    "add_exclude",
    "add_hyperparameters",
    "add_selection",
    "given_hyperparameters",
    "read_for_model",
]

_WINDOW = "the window's name, for example w01h-s10m"


def add_data(parser: argparse.ArgumentParser) -> None:
    """Declare `--data`."""
    parser.add_argument(
        "--data",
        required=True,
        help="a datapool (directory or zip) or a table (TSV, CSV, Parquet)",
    )


def add_data_and_model(parser: argparse.ArgumentParser) -> None:
    """Declare `--data`, `--model`, `--query`, `--window` and `--range`: what a model is asked."""
    add_data(parser)
    parser.add_argument(
        "--model", required=True, help="the name of a model, or the path of its bundle"
    )
    parser.add_argument(
        "--query",
        metavar="Q",
        help="which columns, for example 'ssl|in~ssl_in|out~ssl_out#window_start,window_end'"
        " (default: those of the model, or four; of a table all)",
    )
    parser.add_argument("--window", metavar="W", help=f"{_WINDOW} (default: the model's)")
    parser.add_argument(
        "--range",
        metavar="R",
        help="origins in this range only, for example '<2019-06-01,2019-06-03)', or row numbers"
        " where the data carry no time; rows before it are history",
    )


def add_selection(parser: argparse.ArgumentParser, *, query: str, time_range: str) -> None:
    """Declare `--query`, `--window` and `--range`, for what is learned from the data alone.

    `query` and `time_range` are the help of their options.
    """
    parser.add_argument("--query", metavar="Q", help=query)
    parser.add_argument("--window", metavar="W", help=_WINDOW)
    parser.add_argument("--range", metavar="R", help=time_range)


def add_exclude(parser: argparse.ArgumentParser) -> None:
    """Declare `--exclude`."""
    parser.add_argument(
        "--exclude", metavar="R", action="append", default=[], help="leave this range out"
    )


def add_hyperparameters(parser: argparse.ArgumentParser, title: str) -> None:
    """Declare a group of an option for each hyper-parameter, from where they are defined."""
    from mods.models.hyperparameters import Hyperparameters

    group = parser.add_argument_group(title)
    for item in dataclasses.fields(Hyperparameters):
        option = "--" + item.name.replace("_", "-")
        text = f"{item.metadata['help']} (default: {item.default})"
        if isinstance(item.default, bool):
            group.add_argument(option, action=argparse.BooleanOptionalAction, help=text)
        else:
            group.add_argument(option, type=type(item.default), metavar="X", help=text)


def given_hyperparameters(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the hyper-parameters that were given, by name."""
    from mods.models.hyperparameters import Hyperparameters

    names = [item.name for item in dataclasses.fields(Hyperparameters)]
    return {n: getattr(arguments, n) for n in names if getattr(arguments, n) is not None}


def read_for_model(arguments: argparse.Namespace) -> tuple[Model | ImportedModel, pd.DataFrame]:
    """Return the model, and all of the data as it wants them."""
    from mods.dataset import read_data
    from mods.dataset.datapool import is_datapool
    from mods.models.loading import load_bundle
    from mods.models.registry import locate_model

    model = load_bundle(locate_model(arguments.model))
    if is_datapool(arguments.data):
        window = arguments.window or model.window
        query = arguments.query or model.config.get("query")
        return model, read_data(arguments.data, query=query, window=window)
    # A table with times says itself what its windows are.
    frame = read_data(arguments.data, query=arguments.query, window=arguments.window)
    if frame.attrs.get("window") is None:
        frame.attrs["window"] = model.window
    return model, frame
