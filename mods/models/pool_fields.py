"""Fields of a training's arguments that are checked against the service's datapool.

So a training that cannot begin is refused when it is asked for, and not later in
its status.  A training on a kept upload (`data_id`) asks nothing of the datapool.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import ValidationError, fields

from mods.dataset.query import parse_query
from mods.errors import ModsError, RangeError
from mods.models.request_data import require_pool
from mods.timerange import RowRange, TimeRange

__all__ = ["PoolQuery", "PoolRange", "any_range"]


class PoolQuery(fields.Str):  # type: ignore[misc]  # marshmallow is followed without types
    """A selection query, checked also where none is given."""

    def deserialize(
        self, value: Any, attr: Any = None, data: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """Return the query; raise `ValidationError` where the datapool cannot answer it."""
        found = super().deserialize(value, attr, data, **options)
        try:
            wanted = parse_query(found)
            if not _is_upload(data):
                wanted.check_protocols(str(entry["protocol"]) for entry in require_pool())
        except ModsError as error:
            raise ValidationError(str(error)) from None
        return found


class PoolRange(fields.Str):  # type: ignore[misc]  # marshmallow is followed without types
    """A range that holds a day of the datapool."""

    def deserialize(
        self, value: Any, attr: Any = None, data: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """Return the range, None for a blank one; raise `ValidationError` where it fits nothing."""
        found = super().deserialize(value, attr, data, **options)
        if found is None or not found.strip():
            return None
        try:
            (any_range if _is_upload(data) else _in_pool)(found)
        except ModsError as error:
            raise ValidationError(str(error)) from None
        return found


def any_range(text: str) -> None:
    """Raise `RangeError` where a text is no range of time and none of rows.

    Examples
    --------
    >>> any_range("<0,144)"), any_range("<2019-06-01,2019-06-03)")
    (None, None)
    """
    try:
        TimeRange.parse(text)
    except RangeError:
        if not text.strip("<(>) ").replace(",", "").strip().isdigit():
            raise
        RowRange.parse(text)


def _is_upload(data: Mapping[str, Any] | None) -> bool:
    return bool(str((data or {}).get("data_id") or "").strip())


def _in_pool(text: str) -> None:
    chosen = TimeRange.parse(text)
    stored = require_pool()
    first, last = (pick(str(entry[day]) for entry in stored) for pick, day in _EXTENT)
    held = TimeRange.parse(f"<{first},{last}>")
    if chosen.end <= held.start or chosen.start >= held.end:
        raise RangeError(
            f"range {text!r} holds no day of the datapool",
            f"a range that overlaps <{first},{last}>",
        )


_EXTENT: tuple[tuple[Callable[..., str], str], ...] = ((min, "first_day"), (max, "last_day"))
