"""The options that every command shares which takes data and a model."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from mods.models.legacy import ImportedModel
    from mods.models.mods_model import Model

__all__ = ["add_data_arguments", "read_for_model"]


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `--data`, `--model`, `--query`, `--window` and `--range`."""
    parser.add_argument(
        "--data",
        required=True,
        help="a datapool (directory or zip) or a table (TSV, CSV, Parquet)",
    )
    parser.add_argument(
        "--model", required=True, help="the name of a model, or the path of its bundle"
    )
    parser.add_argument(
        "--query",
        metavar="Q",
        help="which columns, for example 'ssl|in~ssl_in|out~ssl_out#window_start,window_end'"
        " (default: those of the model, or four; of a table all)",
    )
    parser.add_argument(
        "--window",
        metavar="W",
        help="the window's name, for example w01h-s10m (default: the model's)",
    )
    parser.add_argument(
        "--range",
        metavar="R",
        help="origins in this range only, for example '<2019-06-01,2019-06-03)', or row numbers"
        " where the data carry no time; rows before it are history",
    )


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
