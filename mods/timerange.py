"""`Window` and `TimeRange`: the value types in which everything speaks of time.

All times are UTC.  Instants are kept as integer microseconds since the epoch,
so that arithmetic is exact on every engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from mods.errors import RangeError

if TYPE_CHECKING:
    # Windowed features are made without pandas, whose import takes longer than a day of logs.
    import pandas as pd

__all__ = ["RowRange", "TimeRange", "Window", "parse_range", "select"]

MICROSECONDS = 1_000_000
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_WINDOW = re.compile(r"w(\d\d)([smhd])-s(\d\d)([smhd])", re.ASCII)
_ROW = re.compile(r"\d{1,15}", re.ASCII)
_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:[T ](?P<hour>\d\d)(?::?(?P<minute>\d\d)"
    r"(?::?(?P<second>\d\d)(?:\.(?P<fraction>\d{1,6}))?)?)?"
    r"(?P<zone>Z|[+-]\d\d:?\d\d)?)?)?)?",
    re.ASCII,
)


@dataclass(frozen=True, order=True)
class Window:
    """A sliding window: `length` and `slide`, both in seconds.

    Window starts are aligned to the UTC epoch, and a window is the half-open
    interval `[start, start + length)`.

    Examples
    --------
    >>> window = Window.parse("w01h-s10m")
    >>> window.length, window.slide, window.slots, window.per_day, window.name
    (3600, 600, 6, 144, 'w01h-s10m')
    """

    length: int
    slide: int

    def __post_init__(self) -> None:
        if self.length <= 0 or self.slide <= 0 or self.length % self.slide:
            raise RangeError(
                f"window of {self.length} s that slides by {self.slide} s",
                "a positive length that is a multiple of the slide",
                "Use for example w01h-s10m, w10m-s01m or w10m-s10m.",
            )

    @classmethod
    def parse(cls, name: str) -> Window:
        """Parse a window name; raise `RangeError` where it is none."""
        match = _WINDOW.fullmatch(name)
        if match is None:
            raise RangeError(
                f"window name {name!r}",
                "'w<length>-s<slide>', each two digits and one of s m h d",
                "Use for example w01h-s10m, a window of one hour every ten minutes.",
            )
        length = int(match[1]) * _UNITS[match[2]]
        slide = int(match[3]) * _UNITS[match[4]]
        if length == 0 or slide == 0 or length % slide:
            raise RangeError(
                f"window name {name!r}",
                "a slide that divides the length",
                "Use for example w01h-s10m.",
            )
        return cls(length, slide)

    @property
    def name(self) -> str:
        """The window's name, in the largest unit that needs at most two digits."""
        return f"w{_two_digits(self.length)}-s{_two_digits(self.slide)}"

    @property
    def slots(self) -> int:
        """How many slides make one window."""
        return self.length // self.slide

    @property
    def per_day(self) -> int:
        """How many windows start on one day (rounded down where that is not whole)."""
        return 86400 // self.slide


def _two_digits(seconds: int) -> str:
    for unit in "dhms":
        count, rest = divmod(seconds, _UNITS[unit])
        if rest == 0 and 0 < count < 100:
            return f"{count:02d}{unit}"
    raise RangeError(f"{seconds} s has no name", "at most two digits and one of s m h d")


@dataclass(frozen=True, order=True)
class TimeRange:
    """A half-open range of instants `[start, end)`, microseconds since the epoch, UTC.

    Examples
    --------
    >>> TimeRange.parse("<2019-06-01,2019-06-03)").text
    '<2019-06-01T00:00:00Z,2019-06-03T00:00:00Z)'
    >>> TimeRange.parse("<2019-05,2019-06>").text   # an inclusive end is the whole period
    '<2019-05-01T00:00:00Z,2019-07-01T00:00:00Z)'
    >>> [day.isoformat() for day in TimeRange.parse("<2019-06-01,2019-06-03)").days()]
    ['2019-06-01', '2019-06-02']
    """

    start: int
    end: int

    @classmethod
    def parse(cls, text: str) -> TimeRange:
        """Parse `<start,end)`; raise `RangeError` where it is no range or an empty one."""
        opening, first, second, closing = _split(text, "<2019-06-01,2019-06-03)")
        start, _ = _period(first, text)
        end, after_end = _period(second, text)
        # A part date stands for its first instant; only an inclusive end is the whole period.
        chosen = cls(start + (opening == "("), after_end if closing == ">" else end)
        if chosen.start >= chosen.end:
            raise RangeError(f"time range {text!r} is empty", "a start before its end")
        return chosen

    @property
    def text(self) -> str:
        """The range in the form that `parse` reads."""
        return f"<{_iso(self.start)},{_iso(self.end)})"

    def mask(self, index: pd.Index) -> np.ndarray:
        """Return which window starts lie in the range: `(rows,)`, bool."""
        import pandas as pd

        times = pd.DatetimeIndex(index).as_unit("us").asi8
        inside: np.ndarray = (times >= self.start) & (times < self.end)
        return inside

    def days(self) -> list[date]:
        """Return the UTC days that the range touches, in order."""
        first = datetime.fromtimestamp(self.start // MICROSECONDS, UTC).date()
        last = datetime.fromtimestamp((self.end - 1) // MICROSECONDS, UTC).date()
        return [first + timedelta(days=n) for n in range((last - first).days + 1)]


@dataclass(frozen=True, order=True)
class RowRange:
    """A half-open range of row numbers `[start, end)`, for tables without times.

    Examples
    --------
    >>> RowRange.parse("<0,12960)").text
    '<0,12960)'
    """

    start: int
    end: int

    @classmethod
    def parse(cls, text: str) -> RowRange:
        """Parse `<first,last)` in row numbers; raise `RangeError` where it is none."""
        opening, first, second, closing = _split(text, "<0,12960)")
        if not (_ROW.fullmatch(first) and _ROW.fullmatch(second)):
            raise RangeError(
                f"range {text!r} on a table without times",
                "row numbers, for example '<0,12960)'",
                "Count rows from 0, or give the table a window_start column.",
            )
        chosen = cls(int(first) + (opening == "("), int(second) + (closing == ">"))
        if chosen.start >= chosen.end:
            raise RangeError(f"row range {text!r} is empty", "a start before its end")
        return chosen

    @property
    def text(self) -> str:
        """The range in the form that `parse` reads."""
        return f"<{self.start},{self.end})"

    def mask(self, index: pd.Index) -> np.ndarray:
        """Return which rows lie in the range: `(rows,)`, bool."""
        rows = index.to_numpy()
        inside: np.ndarray = (rows >= self.start) & (rows < self.end)
        return inside


def parse_range(text: str, index: pd.Index) -> TimeRange | RowRange:
    """Parse a range as the kind that fits the index: times, or row numbers."""
    import pandas as pd

    if isinstance(index, pd.DatetimeIndex):
        return TimeRange.parse(text)
    return RowRange.parse(text)


def select(
    frame: pd.DataFrame, include: str | None = None, exclude: Iterable[str] = ()
) -> pd.DataFrame:
    """Return the rows in range `include` (all by default); those in `exclude` become missing.

    Rows left out from the middle stay as rows without values, so that windows
    stay consecutive.  Raise `RangeError` where nothing is left.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"conn_in": [1.0, 2.0, 3.0, 4.0]})
    >>> select(frame, "<1,4)", ["<2,3)"])["conn_in"].tolist()
    [2.0, nan, 4.0]
    """
    import pandas as pd

    chosen = frame
    if include is not None:
        chosen = frame.loc[parse_range(include, frame.index).mask(frame.index)]
        if chosen.empty:
            raise RangeError(
                f"range {include!r} holds no row of the data",
                f"a range that overlaps {_extent(frame)}",
            )
    if not chosen.notna().to_numpy().any():
        where = "the data hold" if include is None else f"range {include!r} holds"
        raise RangeError(f"{where} no value, only missing ones", "at least one known value")
    for text in [exclude] if isinstance(exclude, str) else exclude:
        mask = parse_range(text, chosen.index).mask(chosen.index)
        chosen = chosen.mask(pd.Series(mask, index=chosen.index), axis=0)
    if not chosen.notna().to_numpy().any():
        raise RangeError("nothing is left after leaving ranges out", mend="Leave out less.")
    return chosen


def _extent(frame: pd.DataFrame) -> str:
    if frame.empty:
        return "the data (there is none)"
    import pandas as pd

    if isinstance(frame.index, pd.DatetimeIndex):
        first, last = frame.index.as_unit("us").asi8[[0, -1]]
        return f"<{_iso(int(first))},{_iso(int(last))}>"
    return f"<{frame.index[0]},{frame.index[-1]}>"


def _split(text: str, example: str) -> tuple[str, str, str, str]:
    trimmed = text.strip()
    parts = trimmed[1:-1].split(",")
    if len(trimmed) < 3 or trimmed[0] not in "<(" or trimmed[-1] not in ">)" or len(parts) != 2:
        raise RangeError(
            f"range {text!r}",
            "'<' or '(', a start, a comma, an end, and '>' or ')'",
            f"Use for example '{example}'; < and > include, ( and ) leave out.",
        )
    return trimmed[0], parts[0].strip(), parts[1].strip(), trimmed[-1]


def _period(text: str, whole: str) -> tuple[int, int]:
    """Return the first instant of a (part) date and the first instant after it."""
    match = _DATE.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        given = {k: v for k, v in match.groupdict().items() if v is not None}
        zone = given.pop("zone", None)
        fraction = given.pop("fraction", None)
        numbers = {k: int(v) for k, v in given.items()}
        first = datetime(
            numbers["year"],
            numbers.get("month", 1),
            numbers.get("day", 1),
            numbers.get("hour", 0),
            numbers.get("minute", 0),
            numbers.get("second", 0),
            int(fraction.ljust(6, "0")) if fraction else 0,
            tzinfo=UTC,
        )
        if "month" not in numbers:
            after = first.replace(year=first.year + 1)
        elif "day" not in numbers:
            after = (first + timedelta(days=32)).replace(day=1)
        elif "hour" not in numbers:
            after = first + timedelta(days=1)
        else:
            # A date-time is an instant: including it means the instant itself.
            after = first + timedelta(microseconds=1)
        shift = _zone_shift(zone)
    except (ValueError, OverflowError):
        raise RangeError(
            f"{text!r} in range {whole!r}",
            "an ISO 8601 date or date-time, or a part of one",
            "Use for example 2019, 2019-06, 2019-06-01 or 2019-06-01T12:00:00Z.",
        ) from None
    return _microseconds(first) - shift, _microseconds(after) - shift


def _zone_shift(zone: str | None) -> int:
    if zone is None or zone == "Z":
        return 0
    digits = zone[1:].replace(":", "")
    if int(digits[:2]) > 23 or int(digits[2:]) > 59:
        raise ValueError
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return (seconds if zone[0] == "+" else -seconds) * MICROSECONDS


def _microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _iso(microseconds: int) -> str:
    seconds, rest = divmod(microseconds, MICROSECONDS)
    text = (datetime(1970, 1, 1) + timedelta(seconds=seconds)).isoformat()
    return f"{text}.{rest:06d}Z" if rest else f"{text}Z"
