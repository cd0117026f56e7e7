"""Answers as JSON that are written where they are made.

DEEPaaS passes an answer from the worker as objects, checks it against its schema and
writes it as JSON in the process that every request goes through, which on the forecasts of a
day takes longer than the network.  Here the worker does all of that, and text comes back.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web
from marshmallow import Schema, ValidationError

from mods.models.responses import RESPONSE

__all__ = ["WrittenAnswer", "answer_written", "written"]

_SCHEMA = Schema.from_dict(RESPONSE, name="Answer")()
Handler = Callable[[web.Request], Any]


class WrittenAnswer(Exception):  # noqa: N818 - an answer, and no error
    """An answer that is JSON already.

    It is an exception so that it can leave DEEPaaS's handler, which would write it once more.
    """

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text


def answer_written(predict: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Return what `predict` answers: JSON as a `WrittenAnswer`, files as they are.

    Raises
    ------
    RuntimeError
        Where the answer does not fit its schema, which is a failure of ours.
    """
    answer = predict(**arguments)
    if not isinstance(answer, dict):
        return answer
    try:
        _SCHEMA.load(answer)
    except ValidationError as error:
        raise RuntimeError(f"the answer does not fit its schema: {error.messages}") from None
    try:
        text = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    except orjson.JSONEncodeError:
        # Half a surrogate pair, which a log in JSON may hold and a warning quote, and numbers of
        # more than 64 bits are JSON, but not orjson's.
        text = json.dumps(answer).encode()
    return WrittenAnswer(text)


@web.middleware
async def written(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Send an answer that was written by a worker as it is."""
    try:
        answer: web.StreamResponse = await handler(request)
    except WrittenAnswer as done:
        return web.Response(body=done.text, content_type="application/json", charset="utf-8")
    return answer
