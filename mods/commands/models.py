"""`mods models`: the models at hand."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from mods.commands import Report
from mods.errors import ConfigError

if TYPE_CHECKING:
    from mods.models.registry import ModelEntry

HELP = (
    "List the models in the models folder and the shipped checkpoints; 'default' stands for the"
    " shipped one that fits the hardware. With --figure, draw the losses of a model's training."
)
EXAMPLE = "mods models --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="with --figure: whose losses, a name or a path (default: default)",
    )
    parser.add_argument(
        "--figure", metavar="FILE", help="draw the losses of the model's training to FILE.png"
    )


def run(arguments: argparse.Namespace) -> Report:
    """List the models, or draw the losses of one."""
    if arguments.figure is not None:
        return _drawn(arguments.model or "default", arguments.figure)
    if arguments.model is not None:
        raise ConfigError("--model alone", "--model and --figure", "Name a file to draw to.")
    from mods.models.registry import default_name, list_models

    entries, default = list_models(), default_name()
    document = {
        "default": default,
        "models": [_document(entry, default) for entry in entries],
    }
    if not entries:
        return Report("There is no model yet. Train one with 'mods train'.", document)
    width = max(len(entry.name) for entry in entries)
    lines = [_line(entry, width, default) for entry in entries]
    return Report("\n".join(lines), document)


def _drawn(name: str, path: str) -> Report:
    from mods.models.bundle import read_bundle
    from mods.models.registry import locate_model
    from mods.visualization.style import check_figure, save_figure
    from mods.visualization.training_figure import plot_training

    check_figure(path)
    training = read_bundle(locate_model(name), with_network=False).config.get("training")
    figure = plot_training(training if isinstance(training, dict) else {}, title=f"{name}: losses")
    save_figure(figure, path)
    return Report(f"Wrote {path}.", {"figure": path})


def _document(entry: ModelEntry, default: str) -> dict[str, Any]:
    return {
        "name": entry.name,
        "path": str(entry.path),
        "default": entry.name == default,
        "config": entry.config,
        "metrics": entry.metrics,
        "problem": entry.problem or None,
    }


def _line(entry: ModelEntry, width: int, default: str) -> str:
    mark = "*" if entry.name == default else " "
    if entry.problem:
        return f"{mark} {entry.name:<{width}}  cannot be used: {entry.problem}"
    settings = entry.config.get("hyperparameters")
    kind = settings.get("model_type", "?") if isinstance(settings, dict) else "?"
    columns = entry.config.get("columns")
    names = ", ".join(map(str, columns)) if isinstance(columns, list) else ""
    window = entry.config.get("window") or "any window"
    return f"{mark} {entry.name:<{width}}  {kind:<15}  {window}  {names or 'any columns'}"
