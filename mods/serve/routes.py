"""`/health/live`, `/health/ready` and `/metrics`."""

from __future__ import annotations

import asyncio

from aiohttp import web

from mods.serve.metrics import Metrics
from mods.serve.middleware import MODEL
from mods.serve.problems import problem
from mods.serve.state import current

__all__ = ["STOPPING", "add_routes"]

#: Set while the service ends: it is no longer ready, so that a balancer sends no more.
STOPPING = web.AppKey("stopping", asyncio.Event)


def add_routes(app: web.Application, metrics: Metrics) -> None:
    """Add the routes to the application."""

    def ready(request: web.Request) -> bool:
        now = request.app[MODEL].predictions.ready and not request.app[STOPPING].is_set()
        metrics.ready.set(int(now))
        return now

    async def live(_request: web.Request) -> web.Response:
        return web.json_response({"status": "live"})

    async def readiness(request: web.Request) -> web.Response:
        if ready(request):
            return web.json_response({"status": "ready"})
        state = current.get()
        return problem(
            503,
            "NotReady",
            "the default model is not loaded in every worker.",
            state.identifier if state else "",
            headers={"Retry-After": "1"},
        )

    async def told(request: web.Request) -> web.Response:
        ready(request)
        text = await asyncio.to_thread(metrics.text)
        return web.Response(body=text, headers={"Content-Type": metrics.content_type})

    app.router.add_get("/health/live", live)
    app.router.add_get("/health/ready", readiness)
    app.router.add_get("/metrics", told)
