"""Arguments that are sent under a name, or in a place, where DEEPaaS would pass them over."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from aiohttp import web
from marshmallow import fields

from mods.errors import did_you_mean
from mods.models import schemas
from mods.serve.middleware import Handler, Middleware, kind_of

__all__ = ["known_arguments"]

#: Where a field is read from alone, and how to say it.
_PLACES = {"headers": "a header", "form": "the form, beside the file"}
#: Looking for what was meant stops every other request: more names than these are no mistake of
#: typing, nor are longer ones.
MOST, LONGEST = 20, 80


def known_arguments() -> Middleware:
    """Refuse arguments that nobody would read: a mistyped one would change nothing, unseen."""
    declared = {"predict": schemas.predict_arguments(), "train": schemas.train_arguments()}

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        known = declared.get(kind_of(request))
        if known is not None:
            in_body, place = await _in_body(request)
            wrong = _complaints(request.query, known, "query")
            wrong |= _complaints(in_body, known, place)
            if wrong:
                raise web.HTTPUnprocessableEntity(
                    text=json.dumps(wrong), content_type="application/json"
                )
        return await handler(request)

    return middleware


async def _in_body(request: web.Request) -> tuple[Iterable[str], str]:
    """Return the names in a form or in JSON, and which it is; the body has been read before."""
    if request.content_type.endswith("json"):
        found = await request.json() if await request.read() else {}
        return found if isinstance(found, dict) else (), "json"
    return await request.post(), "form"


def _complaints(
    names: Iterable[str], known: Mapping[str, fields.Field], place: str
) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        if len(found) == MOST:
            break
        if name not in known:
            said = name[:LONGEST]
            if said not in found:
                found[said] = [f"there is no such argument. {did_you_mean(said, known)}"]
            continue
        only = known[name].metadata.get("location", place)
        if only != place:
            found[name] = [f"it is read from {_PLACES[only]}, and nowhere else."]
    return found
