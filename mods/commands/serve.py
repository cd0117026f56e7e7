"""`mods serve`: the service."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from mods.commands import Report

HELP = (
    "Serve MODS over HTTP: DEEPaaS's API and Swagger UI (/api), with health (/health/live,"
    " /health/ready), metrics (/metrics), limits, and forecasts that never wait for a training."
    " Logs are JSON lines on stderr. Stops on Ctrl-C or SIGTERM when open requests have ended;"
    " trainings that run then are stopped."
)
EXAMPLE = "mods serve --port 5000 --workers 2"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where to listen and the limits."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument(
        "--port", type=_count(0, 65_535), default=5000, help="port (%(default)s); 0: a free one"
    )
    parser.add_argument(
        "--workers",
        type=_count(1, 256),
        default=1,
        help="processes that forecast (%(default)s); each takes about 0.8 GB",
    )
    parser.add_argument(
        "--trainings",
        type=_count(1, 64),
        default=1,
        help="trainings at the same time, each in a process of its own (%(default)s)",
    )
    parser.add_argument(
        "--queue",
        type=_count(0, 100_000),
        default=16,
        help="requests that may wait for a process; more get status 429 (%(default)s)",
    )
    parser.add_argument(
        "--timeout",
        type=_count(1, 86_400),
        default=60,
        metavar="SECONDS",
        help="what a request may take, waiting included (%(default)s)",
    )
    parser.add_argument(
        "--max-size",
        type=_count(1, 1 << 20),
        default=100,
        metavar="MIB",
        help="what a request's body may have (%(default)s)",
    )
    parser.add_argument(
        "--stop-timeout",
        type=_count(0, 3600),
        default=30,
        metavar="SECONDS",
        help="what open requests have to end when the service is stopped (%(default)s)",
    )
    parser.add_argument(
        "--api-key-file",
        type=Path,
        metavar="FILE",
        help="let in only who sends one of this file's keys, one a line, as X-API-Key",
    )
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate chain, PEM")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its key, PEM")
    parser.add_argument(
        "--tensorboard",
        action="store_true",
        help="show the losses of trainings with TensorBoard on the same address, on the port that"
        " monitorPORT names (6006); it asks for no key",
    )


def run(arguments: argparse.Namespace) -> Report:
    """Serve until told to stop."""
    from mods.serve.board import board_port
    from mods.serve.options import MEBIBYTE, ServeOptions, read_keys, tls_context

    options = ServeOptions(
        host=arguments.host,
        port=arguments.port,
        workers=arguments.workers,
        trainings=arguments.trainings,
        queue=arguments.queue,
        timeout=arguments.timeout,
        max_size=arguments.max_size * MEBIBYTE,
        stop_timeout=arguments.stop_timeout,
        keys=read_keys(arguments.api_key_file) if arguments.api_key_file else (),
        tls=tls_context(arguments.tls_cert, arguments.tls_key),
        board_port=board_port(arguments.host) if arguments.tensorboard else None,
    )
    from mods.serve.logs import log_as_json

    # Before DEEPaaS is imported, which has much to say about its own code.
    log_as_json()
    from mods.serve.app import serve

    seconds = serve(options)
    return Report(f"Served for {seconds:.0f} s.", {"seconds": round(seconds, 1)})


def _count(low: int, high: int) -> Callable[[str], int]:
    """Return a type of argument that takes the integers of a range."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r}; expected a number from {low} to {high}")
        return value

    return parse
