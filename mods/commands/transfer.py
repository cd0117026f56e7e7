"""`mods transfer`: models and datapools to and from remote storage."""

from __future__ import annotations

import argparse

from mods.commands import Report

HELP = (
    "Send models or datapools to the remote storage that APP_REMOTE_BASE_DIR names (a mounted"
    " folder, or a remote of rclone such as rshare:mods), or fetch them. Only what is new is sent;"
    " what is here is never replaced. The service sends each model by itself after its training."
)
EXAMPLE = "APP_REMOTE_BASE_DIR=rshare:mods mods transfer send models"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the direction and what."""
    parser.add_argument("direction", choices=("send", "fetch"), help="to the remote, or from it")
    parser.add_argument("what", choices=("models", "datapools"), help="which files")


def run(arguments: argparse.Namespace) -> Report:
    """Transfer the files."""
    from mods.transfer import fetch, send

    result = (send if arguments.direction == "send" else fetch)(arguments.what)
    done = "sent" if arguments.direction == "send" else "fetched"
    lines = [f"{done} {name}" for name in result.done]
    lines += [f"not {done}, kept for the next time: {name}: {why}" for name, why in result.failed]
    document = {done: list(result.done), "failed": dict(result.failed)}
    return Report("\n".join(lines) or f"Nothing to be {done}.", document, 2 if result.failed else 0)
