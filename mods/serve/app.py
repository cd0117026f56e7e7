"""DEEPaaS's application with what it lacks, and the process that serves it."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from contextlib import nullcontext
from typing import Any

from aiohttp import web

from mods.errors import ConfigError, ModelError
from mods.serve.arguments import known_arguments
from mods.serve.board import board
from mods.serve.metrics import Metrics
from mods.serve.middleware import MODEL, accounted, keyed, limited, plain_page
from mods.serve.model import served_by
from mods.serve.options import ServeOptions
from mods.serve.routes import STOPPING, add_routes
from mods.serve.written import written
from mods.transfer import send_later

__all__ = ["make_app", "serve"]

#: The entry point's name, which DEEPaaS serves it under.
NAME = "mods"
#: Seconds between two attempts to send models to the remote storage.
SEND_EVERY = 300.0

logger = logging.getLogger("mods.serve")


async def make_app(options: ServeOptions) -> web.Application:
    """Return DEEPaaS's application with our middleware and routes; starts the workers.

    DEEPaaS keeps one application in a process, so this is called once.

    Raises
    ------
    ModelError
        Where DEEPaaS does not find this package's entry point.
    """
    from deepaas import api, config, model

    config.prepare_logging()
    # It reads its options from a command line; ours have been read. We warm in the background.
    config.parse_args(
        ["mods serve", "--nowarm", "--model-name", NAME, "--client-max-size", str(options.max_size)]
    )
    metrics = Metrics()
    with served_by(options, metrics):
        app: web.Application = await api.get_app()
    if NAME not in model.V2_MODELS:
        raise ModelError(
            "DEEPaaS cannot load the module 'mods'", mend="Install the package again with pip."
        )
    app[MODEL] = model.V2_MODELS[NAME]
    app[STOPPING] = asyncio.Event()
    add_routes(app, metrics)
    # The first is the outermost; DEEPaaS's own follow.
    added: list[Any] = [
        accounted(metrics),
        limited(options, metrics),
        plain_page,
        known_arguments(),
        written,
    ]
    if options.keys:
        added.insert(1, keyed(options.keys))
        _document_key(app["swagger_dict"])
    app.middlewares[:0] = added
    return app


def _document_key(document: dict[str, Any]) -> None:
    """Let Swagger UI ask for the key."""
    document["securityDefinitions"] = {
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}
    }
    document["security"] = [{"key": []}]


def serve(options: ServeOptions) -> float:
    """Serve until SIGTERM or Ctrl-C; return for how many seconds.

    Raises
    ------
    ConfigError
        Where the address cannot be listened on.
    """
    begun = time.monotonic()
    monitor = (
        nullcontext() if options.board_port is None else board(options.host, options.board_port)
    )
    with monitor:
        asyncio.run(_serve(options))
    return time.monotonic() - begun


def _send_models(loop: asyncio.AbstractEventLoop) -> None:
    """Send what the remote storage does not have yet, now and again; see `mods.transfer`."""
    send_later()
    loop.call_later(SEND_EVERY, _send_models, loop)


async def _serve(options: ServeOptions) -> None:
    app = await make_app(options)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, app[STOPPING].set)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=options.stop_timeout)
    await runner.setup()
    try:
        site = web.TCPSite(runner, options.host, options.port, ssl_context=options.tls)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {options.host!r}, port {options.port}: {error.strerror}",
                "an address of this machine and a port that nobody uses",
            ) from None
        scheme = "https" if options.tls else "http"
        host, port = runner.addresses[0][:2]
        told = {"url": f"{scheme}://{host}:{port}", "workers": options.workers}
        loop.call_soon(_send_models, loop)
        logger.info("listening", extra={"told": told})
        if not options.keys and not host.startswith("127.") and host != "::1":
            logger.warning("whoever reaches this address may use it: there is no --api-key-file")
        await app[STOPPING].wait()
        logger.info("stopping")
    finally:
        # Takes no new connections, lets requests end, then ends the workers.
        await runner.cleanup()
    logger.info("stopped")
