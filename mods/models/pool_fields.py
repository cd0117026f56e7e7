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
from mods.models.api_errors import client_text
from mods.models.request_data import check_extent, require_pool
from mods.timerange import RowRange, TimeRange

__all__ = ["LaterRange", "PoolQuery", "PoolRange", "any_range"]


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
            raise ValidationError(client_text(error)) from None
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
            raise ValidationError(client_text(error)) from None
        return found


class LaterRange(PoolRange):
    """The range to judge on, which begins where the one to train on has ended."""

    def deserialize(
        self, value: Any, attr: Any = None, data: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """Return the range; raise `ValidationError` where it begins before the training ends."""
        found = super().deserialize(value, attr, data, **options)
        trained = str((data or {}).get("train_time_range") or "").strip()
        if found is not None and trained and _begins_before_the_end(found, trained):
            raise ValidationError(
                f"range {found!r} begins before the training's, {trained!r}, ends; expected a "
                "later one. Choose two that do not overlap."
            )
        return found


def any_range(text: str) -> None:
    """Raise `RangeError` where a text is no range of time and none of rows.

    Examples
    --------
    >>> any_range("<0,144)"), any_range("<2019-06-01,2019-06-03)")
    (None, None)
    """
    _parsed(text)


def _parsed(text: str) -> TimeRange | RowRange:
    try:
        return TimeRange.parse(text)
    except RangeError:
        if not text.strip("<(>) ").replace(",", "").strip().isdigit():
            raise
        return RowRange.parse(text)


def _begins_before_the_end(later: str, earlier: str) -> bool:
    try:
        one, other = _parsed(later), _parsed(earlier)
    except RangeError:
        return False  # the earlier one's own field says so
    return type(one) is type(other) and one.start < other.end


def _is_upload(data: Mapping[str, Any] | None) -> bool:
    return bool(str((data or {}).get("data_id") or "").strip())


def _in_pool(text: str) -> None:
    TimeRange.parse(text)
    stored = require_pool()
    first, last = (pick(str(entry[day]) for entry in stored) for pick, day in _EXTENT)
    check_extent(text, first, last)


_EXTENT: tuple[tuple[Callable[..., str], str], ...] = ((min, "first_day"), (max, "last_day"))
