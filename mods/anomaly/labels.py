"""Labelled incidents: what is known to have happened, as `mods simulate` writes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mods.errors import DataError, NotFoundError
from mods.timerange import Window

__all__ = ["Label", "Span", "read_labels", "spans"]

_NEEDED = ("start", "end", "kind")


@dataclass(frozen=True)
class Label:
    """An incident that is known to have happened.

    Attributes
    ----------
    start, end
        Half-open: UTC times, or row numbers of the windows that it touches.
    kind
        What it was.
    strength
        As its maker measured it; NaN where nobody did.
    """

    start: Any
    end: Any
    kind: str
    strength: float = float("nan")


@dataclass(frozen=True)
class Span:
    """The windows of a label: positions `first` to `last`, both included."""

    first: int
    last: int
    kind: str
    strength: float


def read_labels(path: Path | str) -> list[Label]:
    """Read `incidents.tsv`: tab-separated, with at least `start`, `end` and `kind`.

    Raises
    ------
    NotFoundError
        Where there is no such file.
    DataError
        Where columns are missing, or a start is not before its end.
    """
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise NotFoundError(f"no file {str(path)!r} with incidents") from None
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read the incidents in {str(path)!r}: {error}") from None
    missing = [name for name in _NEEDED if name not in table]
    if missing:
        raise DataError(
            f"{str(path)!r} has no column {', '.join(map(repr, missing))}",
            f"a tab-separated table with {', '.join(_NEEDED)}",
            "Give the incidents.tsv that mods simulate writes.",
        )
    return [_label(row, str(path)) for row in table.to_dict("records")]


def spans(labels: Sequence[Label], windows: pd.Index, window: str) -> list[Span]:
    """Return the windows that hold any part of each label; labels outside are left out.

    Parameters
    ----------
    windows
        `(windows,)`: consecutive window starts or row numbers.
    window
        The window's name: a window that started before the label reaches into it.

    Examples
    --------
    >>> hours = pd.date_range("2024-01-01", periods=144, freq="10min", tz="UTC")
    >>> scan = Label(hours[60], hours[63], "scan")
    >>> spans([scan], hours, "w01h-s10m")
    [Span(first=55, last=62, kind='scan', strength=nan)]
    """
    timed = isinstance(windows, pd.DatetimeIndex)
    length: Any = pd.Timedelta(seconds=Window.parse(window).length) if timed else 1
    found = []
    for label in labels:
        if isinstance(label.start, pd.Timestamp) != timed:
            raise DataError(
                f"incidents by {'row numbers' if timed else 'times'}, and data by"
                f" {'times' if timed else 'row numbers'}",
                "the same in both",
            )
        inside = (windows < label.end) & (windows + length > label.start)
        if inside.any():
            first = int(inside.argmax())
            last = first + int(inside.sum()) - 1
            found.append(Span(first, last, label.kind, label.strength))
    return found


def _label(row: dict[Any, str], path: str) -> Label:
    start, end = (_instant(row[name], path) for name in ("start", "end"))
    if isinstance(start, int) != isinstance(end, int) or not start < end:
        raise DataError(
            f"an incident from {row['start']} to {row['end']} in {path!r}", "a start before its end"
        )
    try:
        strength = float(row.get("strength", "nan") or "nan")
    except ValueError:
        strength = float("nan")
    return Label(start, end, row["kind"], strength)


def _instant(text: str, path: str) -> Any:
    if text.isdigit():
        return int(text)
    try:
        stamp = pd.Timestamp(text)
    except ValueError:
        raise DataError(f"{text!r} in {path!r}", "a time, or a row number") from None
    if pd.isna(stamp):
        raise DataError(f"an incident without a start or an end in {path!r}", "both")
    return stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
