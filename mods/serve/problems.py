"""Errors as every client gets them: one JSON document, with the request's identifier."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from aiohttp import web

__all__ = ["problem", "problem_of"]


def problem(status: int, kind: str, message: str, identifier: str, **more: Any) -> web.Response:
    """Return an error's answer.

    Parameters
    ----------
    status
        The HTTP status.
    kind, message
        What kind of error, and what happened, what was expected, how to mend it.
    identifier
        The request's.
    **more
        `headers`, and more keys of the document.
    """
    headers = more.pop("headers", {})
    document = {"error": kind, "message": message, "request_id": identifier} | more
    return web.json_response(document, status=status, headers=headers)


def problem_of(answer: web.Response | web.HTTPException, identifier: str) -> web.Response:
    """Return the same error as our document; what it tells is kept.

    DEEPaaS tells wrong arguments as `{"name": ["what is wrong"]}`, the model tells
    `{"error": ..., "message": ...}`, and aiohttp a line of text.
    """
    kept = {
        name: answer.headers[name] for name in ("Allow", "Retry-After") if name in answer.headers
    }
    told = _json(answer)
    if "error" in told and "message" in told:
        return problem(
            answer.status, str(told["error"]), str(told["message"]), identifier, headers=kept
        )
    if told:
        message = " ".join(f"{name}: {_flat(texts)}" for name, texts in told.items())
        return problem(
            answer.status, "ArgumentError", message, identifier, headers=kept, fields=told
        )
    name = HTTPStatus(answer.status).phrase
    return problem(
        answer.status,
        name.replace(" ", ""),
        _MEND.get(answer.status, f"{name}."),
        identifier,
        headers=kept,
    )


_MEND = {
    404: "there is nothing at this address. See /api for what there is.",
    405: "this address takes other methods; the header Allow names them.",
    500: "a failure of ours. Please report it with its request_id.",
    501: "this is not implemented.",
}


def _json(answer: web.Response | web.HTTPException) -> dict[str, Any]:
    if answer.content_type != "application/json" or not answer.text:
        return {}
    try:
        found = json.loads(answer.text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _flat(texts: Any) -> str:
    if isinstance(texts, dict):
        return " ".join(f"{name}: {_flat(inner)}" for name, inner in texts.items())
    if isinstance(texts, list):
        return " ".join(map(_flat, texts))
    return str(texts)
