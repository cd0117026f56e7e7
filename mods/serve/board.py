"""TensorBoard beside the service: the losses of trainings as curves, on `monitorPORT`.

It is a process of the service's own, which ends with it.  A port that somebody
else listens on is left to them.
"""

from __future__ import annotations

import importlib.util
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mods.config import folders
from mods.errors import ConfigError
from mods.serve.workers import end_with_parent

__all__ = ["board", "board_port"]

#: The variable that says where to listen, and what it is where it says nothing.
VARIABLE, PORT = "monitorPORT", 6006

logger = logging.getLogger("mods.serve")


def board_port(host: str) -> int:
    """Return the port for TensorBoard; it is free now.

    Raises
    ------
    ConfigError
        Where the variable holds no port, the port is taken, or TensorBoard is not installed.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise ConfigError(
            "TensorBoard is not installed", mend="Install it: pip install 'mods[tensorboard]'."
        )
    text = os.environ.get(VARIABLE, "").strip() or str(PORT)
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65_536):
        raise ConfigError(f"{VARIABLE} is {text[:40]!r}", "a port from 1 to 65535")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # As TensorBoard binds it: a connection that has just been closed does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(text)))
        except OSError as error:
            raise ConfigError(
                f"TensorBoard cannot listen on {host!r}, port {text}: {error.strerror}",
                "a port that nobody uses",
                f"Set {VARIABLE} to another one, or leave --tensorboard out.",
            ) from None
    return int(text)


@contextmanager
def board(host: str, port: int) -> Iterator[None]:
    """Run TensorBoard over the checkpoints' folder inside; it is gone afterwards."""
    folder = folders().checkpoints
    process = multiprocessing.get_context("spawn").Process(
        target=_run, args=(host, port, folder), name="mods-tensorboard"
    )
    process.start()
    logger.info("TensorBoard is starting", extra={"told": {"host": host, "port": port}})
    try:
        yield
    finally:
        process.kill()
        process.join()


def _run(host: str, port: int, folder: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()
    # What it prints is not JSON, and nobody's log.
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, sys.stdout.fileno())
    os.dup2(silent, sys.stderr.fileno())
    os.nice(10)
    # TensorBoard's own sign for doing without TensorFlow, which would take 0.5 GB and seconds.
    sys.modules["tensorboard.compat.notf"] = types.ModuleType("notf")
    from tensorboard import main

    words = ["--logdir", str(folder), "--host", host, "--port", str(port), "--load_fast=false"]
    sys.argv = ["tensorboard", *words]
    main.run_main()
