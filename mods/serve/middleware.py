"""What every request passes on its way in and out."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import math
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

from mods.serve.metrics import Metrics
from mods.serve.model import ServedModel
from mods.serve.options import MEBIBYTE, ServeOptions
from mods.serve.problems import problem, problem_of
from mods.serve.state import RequestState, current

__all__ = [
    "MODEL",
    "Handler",
    "Middleware",
    "accounted",
    "keyed",
    "kind_of",
    "limited",
    "plain_page",
]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Middleware = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]

#: Where the application keeps the model that it serves.
MODEL = web.AppKey("model", ServedModel)

logger = logging.getLogger("mods.serve")

_IDENTIFIER = re.compile(r"[A-Za-z0-9._-]{1,64}")
#: What is open without a key: whether the service is up, and its documentation.
OPEN = ("/health/", "/static/swagger/")
OPEN_PAGES = ("/api", "/swagger.json")
_NO_TRAINING = (
    "no training of this uuid was started since the service began; expected one that an answer of "
    "train told. Earlier trainings are listed in the model's metadata, and by 'mods trainings'."
)
#: What the latest predictions took, for `Retry-After`: the weight of the newest.
NEWEST = 0.2


def accounted(metrics: Metrics) -> Middleware:
    """Give each request an identifier, turn errors into JSON, log and count the answer."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        begun = time.perf_counter()
        given = request.headers.get("X-Request-ID", "")
        state = RequestState(given if _IDENTIFIER.fullmatch(given) else secrets.token_hex(8))
        token = current.set(state)
        try:
            answer = await _answered(request, handler, state)
            answer.headers["X-Request-ID"] = state.identifier
            answer.headers["X-Content-Type-Options"] = "nosniff"
            seconds = time.perf_counter() - begun
            route = _route(request)
            metrics.requests.labels(request.method, route, str(answer.status)).inc()
            metrics.seconds.labels(request.method, route).observe(seconds)
            metrics.forecasts.inc(state.forecasts)
            told = {
                "method": request.method,
                "route": route,
                "status": answer.status,
                "seconds": round(seconds, 4),
                "bytes_in": request.content_length,
                "remote": request.remote,
                "forecasts": state.forecasts,
            }
            # Balancers ask for our health every second; nobody wants to read that.
            often = request.path.startswith("/health/")
            logger.log(logging.DEBUG if often else logging.INFO, "request", extra={"told": told})
        finally:
            current.reset(token)
        return answer

    return middleware


async def _answered(
    request: web.Request, handler: Handler, state: RequestState
) -> web.StreamResponse:
    try:
        answer = await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            error.headers["X-Request-ID"] = state.identifier
            raise
        if error.status == 404 and "uuid" in request.match_info:
            return problem(404, "NotFound", _NO_TRAINING, state.identifier)
        return problem_of(error, state.identifier)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # It is the training that was cancelled, as asked, and not this request.
        return web.json_response({"status": "cancelled", "uuid": request.match_info.get("uuid")})
    except Exception:
        logger.exception("a failure of ours")
        return problem(
            500,
            "InternalError",
            "a failure of ours. Please report it with its request_id.",
            state.identifier,
        )
    if answer.status >= 400 and isinstance(answer, web.Response) and not _is_ours(answer):
        return problem_of(answer, state.identifier)
    return answer


def _is_ours(answer: web.Response) -> bool:
    return answer.content_type == "application/json" and '"request_id"' in (answer.text or "")


def _route(request: web.Request) -> str:
    """Return the route's pattern: paths as they come would be as many labels."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "other"


def keyed(keys: Iterable[str]) -> Middleware:
    """Let nobody in without one of the keys, except to what is open."""
    known = [key.encode() for key in keys]

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in OPEN_PAGES or request.path.startswith(OPEN):
            return await handler(request)
        given = request.headers.get("X-API-Key", "")
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        if not given and scheme.lower() == "bearer":
            given = credentials.strip()
        brought = given.encode("utf-8", "surrogateescape")
        # Each comparison takes its full time, whatever was brought.
        if sum(hmac.compare_digest(brought, key) for key in known) == 0:
            state = current.get()
            return problem(
                401,
                "Unauthorized",
                "this service wants an API key. Send it in the header X-API-Key, or as "
                "'Authorization: Bearer KEY'.",
                state.identifier if state else "",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return await handler(request)

    return middleware


@web.middleware
async def plain_page(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let Swagger UI show answers without colours: those of a day would stop it for a minute."""
    answer = await handler(request)
    if request.path == "/api" and isinstance(answer, web.Response) and answer.text:
        plain = "deepLinking: true, syntaxHighlight: {activated: false}"
        answer.text = answer.text.replace("deepLinking: true", plain)
    return answer


def limited(options: ServeOptions, metrics: Metrics) -> Middleware:
    """Bound the size of a request, its time, and how many wait."""
    usual, unfinished = 1.0, 0

    async def predicted(request: web.Request, handler: Handler) -> web.StreamResponse:
        nonlocal usual, unfinished
        begun = time.perf_counter()
        unfinished += 1
        metrics.predictions.set(unfinished)
        try:
            answer = await handler(request)
        finally:
            unfinished -= 1
            metrics.predictions.set(unfinished)
        usual += NEWEST * (time.perf_counter() - begun - usual)
        return answer

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        state = current.get()
        assert state is not None
        if (request.content_length or 0) > options.max_size:
            return _too_large(options, state)
        kind = kind_of(request)
        model = request.config_dict[MODEL]
        waiting = 0
        if kind == "predict":
            waiting = unfinished - options.workers
        elif kind == "train":
            waiting = model.trainings.unfinished - options.trainings
        if kind and waiting >= options.queue:
            return problem(
                429,
                "TooManyRequests",
                f"{int(waiting)} requests wait already. Send it again later.",
                state.identifier,
                headers={"Retry-After": str(max(1, math.ceil(usual)))},
            )
        try:
            async with asyncio.timeout(options.timeout):
                request = _without_empty_form(request)
                await _read_body(request)
                if kind == "predict":
                    return await predicted(request, handler)
                return await handler(request)
        except TimeoutError:
            return _too_slow(options, state)
        except web.HTTPRequestEntityTooLarge:
            return _too_large(options, state)

    return middleware


def kind_of(request: web.Request) -> str:
    """Return `predict` or `train` for what starts one, else nothing."""
    last = request.path.rstrip("/").rpartition("/")[2]
    return last if request.method == "POST" and last in ("predict", "train") else ""


def _without_empty_form(request: web.Request) -> web.Request:
    """Return the request as one without a form where there is no body.

    Swagger UI says `multipart/form-data` also where no file was chosen, and sends nothing.
    """
    if request.can_read_body or not request.content_type.startswith("multipart/"):
        return request
    headers = request.headers.copy()
    del headers["Content-Type"]
    return request.clone(headers=headers)


async def _read_body(request: web.Request) -> None:
    """Read a form or JSON; what is none is the client's mistake and not a failure of ours."""
    kind = request.content_type
    try:
        if kind.startswith(("multipart/", "application/x-www-form-urlencoded")):
            await request.post()
        elif kind.endswith("json") and await request.read():
            await request.json()
    except web.HTTPException:
        raise
    except (ValueError, LookupError, AssertionError, RuntimeError) as error:
        # RuntimeError: also JSON that is nested too deeply.
        document = {
            "error": "BadRequest",
            "message": f"the body cannot be read as {kind}, which Content-Type says it is. Send "
            "arguments in the address, and a file as multipart/form-data, as curl -F does.",
        }
        raise web.HTTPBadRequest(
            text=json.dumps(document), content_type="application/json"
        ) from error


def _too_large(options: ServeOptions, state: RequestState) -> web.Response:
    return problem(
        413,
        "TooLarge",
        f"the request's body has more than {options.max_size / MEBIBYTE:g} MiB. "
        "Send less, or a compressed file.",
        state.identifier,
        # What is still on its way is not read.
        headers={"Connection": "close"},
    )


def _too_slow(options: ServeOptions, state: RequestState) -> web.Response:
    if not state.begun:
        return problem(
            408,
            "RequestTimeout",
            f"the request did not arrive within {options.timeout:g} seconds.",
            state.identifier,
            headers={"Connection": "close"},
        )
    return problem(
        503,
        "Timeout",
        f"no answer within {options.timeout:g} seconds. Ask for a shorter range, or try again "
        "when fewer others do.",
        state.identifier,
        headers={"Retry-After": str(math.ceil(options.timeout))},
    )
