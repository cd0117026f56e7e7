"""`mods trainings`: the trainings that the service runs and has run."""

from __future__ import annotations

import argparse
from typing import Any

from mods.commands import Report

HELP = (
    "List the trainings of the service, the latest first: running (with epoch, loss and time"
    " left), done, error, or stopped where its process was killed or cancelled."
)
EXAMPLE = "mods trainings --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare no options."""


def run(arguments: argparse.Namespace) -> Report:
    """List the records."""
    from mods.models.trainings import list_trainings

    records = list_trainings()
    text = "\n".join(map(_line, records)) or "The service has trained nothing yet."
    return Report(text, {"trainings": records})


def _line(record: dict[str, Any]) -> str:
    line = f"{record['started']}  {record['state']:<8} {record['model']}"
    epoch = record.get("epoch")
    if epoch is not None:
        line += (
            f", {epoch['label']}: epoch {epoch['number']} of {epoch['of']},"
            f" loss {epoch['loss']:.4f}, validation {epoch['validation_loss']:.4f}"
        )
    if record.get("seconds_left") is not None:
        line += f", about {record['seconds_left']:.0f} s left"
    if record.get("message"):
        line += f": {record['message']}"
    return line
