"""Which of some media types a client takes, by its `Accept` header."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import fields

__all__ = ["MediaType", "preferred"]


class MediaType(fields.Str):  # type: ignore[misc]  # marshmallow is followed without types
    """One of the media types that its validator `OneOf` names.

    Browsers and libraries send lists, `text/html,*/*;q=0.8`: the one that the client likes best
    is taken, the first one where it likes some as well. What fits none stays as it is, for the
    validator to refuse.
    """

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **options: Any
    ) -> Any:
        text = super()._deserialize(value, attr, data, **options)
        known = [kind for kind in self.validate.choices if "*" not in kind]
        return text if text in self.validate.choices else preferred(text, known) or text


def preferred(header: str, known: Sequence[str]) -> str | None:
    """Return the media type that an `Accept` header likes best, None where it takes none.

    Examples
    --------
    >>> known = ("application/json", "text/csv", "text/html")
    >>> preferred("text/html,application/xhtml+xml,*/*;q=0.8", known)
    'text/html'
    >>> preferred("application/json, text/plain, */*", known)
    'application/json'
    >>> preferred("text/csv;q=0.4, text/*;q=0.5", known)
    'text/html'
    >>> preferred("image/gif", known), preferred("text/csv;q=0", known)
    (None, None)
    """
    weights = {kind: _weight(kind, header) for kind in known}
    best = max(weights.values(), default=0.0)
    return next((kind for kind in known if weights[kind] == best), None) if best > 0 else None


def _weight(kind: str, header: str) -> float:
    """Return how much the header likes a type: what names it most exactly says."""
    ranges = (kind, f"{kind.partition('/')[0]}/*", "*/*")
    found: dict[str, float] = {}
    for item in header.split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        found[name.lower()] = _quality(parameters)
    return next((found[each] for each in ranges if each in found), 0.0)


def _quality(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0
