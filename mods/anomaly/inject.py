"""Incidents of given kind and strength placed into any table, with labels.

An incident adds to one column, or takes from it, slot by slot; a window is a
moving sum of its slots and sees it come and go so (for `w01h-s10m`, six of them).

=============  =================================================================
`burst`        so many more records in each slot: a scan, a flood, a brute force
`drip`         the same over hours: a slow scan, beaconing that starts
`ramp`         more and more, to its strength at the end: an exfiltration
`fade`         less and less, to its strength at the end: a service that fades
`outage`       so many fewer records in each slot: a service that is gone
`silence`      no values at all, in any column: the sensor is out
=============  =================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mods.anomaly.expected import known_median
from mods.anomaly.forecasts import FloatArray
from mods.anomaly.labels import Label
from mods.errors import DataError, did_you_mean
from mods.timerange import Window

__all__ = ["KINDS", "Injection", "inject", "injected_labels", "plan_injections"]

#: Slots that an incident of a kind takes, from and to.
KINDS = {
    "burst": (2, 12),
    "drip": (18, 72),
    "ramp": (6, 36),
    "fade": (12, 72),
    "outage": (2, 24),
    "silence": (2, 24),
}
#: A column keeps at least this share of its level, for a hundredth of its records always stays.
_LEFT = 0.01
#: What a change of strength 1 is a quantile of: the column's changes to the next window.
_CHANGE = 0.99
#: Windows at least between two incidents, in lengths of a window.
_APART = 4


@dataclass(frozen=True)
class Injection:
    """One incident to be placed.

    Attributes
    ----------
    row
        The first slot that it touches: a row number.
    slots
        How many slots it lasts.
    kind
        One of `KINDS`.
    column
        Which column; None for `silence`.
    strength
        The height of a window full of it, in 99 % quantiles of the column's change from one
        window to the next: 1 is hardly to be seen, 8 gross.  `silence` has none, which is 0.
    """

    row: int
    slots: int
    kind: str
    column: str | None
    strength: float = 0.0


def plan_injections(
    frame: pd.DataFrame,
    seed: int,
    *,
    count: int,
    first: int = 0,
    kinds: Sequence[str] = tuple(KINDS),
    strengths: Sequence[float] = (2.0, 3.0, 4.0, 6.0, 8.0),
) -> list[Injection]:
    """Draw incidents that do not touch one another; equal for equal arguments.

    Parameters
    ----------
    frame
        The table that they are for.
    seed
        Another seed, other incidents.
    count
        How many.
    first
        The first row that may be touched.
    kinds, strengths
        What is drawn from, each as often.

    Raises
    ------
    DataError
        Where a kind is not known, or so many do not fit.
    """
    slots = _window(frame).slots
    for kind in kinds:
        _check_kind(kind)
    longest = max(KINDS[kind][1] for kind in kinds) + (_APART + 1) * slots
    places = np.arange(first, len(frame) - longest, longest)
    if not 0 < count <= len(places):
        raise DataError(
            f"{count} incidents in {max(0, len(frame) - first)} rows",
            f"1 to {len(places)}" if len(places) else f"at least {2 * longest} rows",
            "Inject fewer, or shorter kinds.",
        )
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(places, size=count, replace=False))
    planned = []
    for row in chosen:
        kind = str(rng.choice(list(kinds)))
        least, most = KINDS[kind]
        length = int(rng.integers(least, most + 1))
        column, strength = str(rng.choice(frame.columns)), float(rng.choice(list(strengths)))
        silent = kind == "silence"
        planned.append(
            Injection(
                row=int(row) + int(rng.integers(slots)),
                slots=length,
                kind=kind,
                column=None if silent else column,
                strength=0.0 if silent else strength,
            )
        )
    return planned


def inject(frame: pd.DataFrame, injections: Iterable[Injection]) -> pd.DataFrame:
    """Return the table with the incidents in it.

    Parameters
    ----------
    frame
        `(rows, columns)`: levels; `attrs["window"]` names the window.
    injections
        What to place.

    Raises
    ------
    DataError
        Where the frame names no window, or an incident lies outside of it or is of an
        unknown kind, column or strength.

    Examples
    --------
    >>> frame = pd.DataFrame({"conn_in": [100.0, 110.0] * 20})
    >>> frame.attrs["window"] = "w01h-s10m"
    >>> changed = inject(frame, [Injection(10, 6, "burst", "conn_in", 6.0)])
    >>> (changed - frame)["conn_in"].iloc[9:22].tolist()
    [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 50.0, 40.0, 30.0, 20.0, 10.0, 0.0]
    """
    slots = _window(frame).slots
    values = frame.to_numpy(dtype=np.float64, copy=True)
    units = _units(values)
    for one in injections:
        _check(one, frame)
        touched = slice(one.row, min(one.row + one.slots + slots - 1, len(values)))
        if one.column is None:
            values[touched] = np.nan
            continue
        place = int(frame.columns.get_indexer(pd.Index([one.column]))[0])
        change = _shape(one, slots)[: touched.stop - touched.start] * one.strength * units[place]
        before = values[touched, place]
        less = one.kind in ("fade", "outage")
        after = np.maximum(before - change, _LEFT * before) if less else before + change
        values[touched, place] = np.round(after) if _whole(before) else after
    changed = pd.DataFrame(values, index=frame.index, columns=frame.columns)
    changed.attrs = dict(frame.attrs)
    return changed


def injected_labels(frame: pd.DataFrame, injections: Iterable[Injection]) -> pd.DataFrame:
    """Return the incidents as a table, in the form of `incidents.tsv`.

    Returns
    -------
    pandas.DataFrame
        `start,end,kind,columns,strength`, half-open: times of the records, or the row numbers
        of all windows that hold any of them, where the data have no times.
    """
    window = _window(frame)
    timed = isinstance(frame.index, pd.DatetimeIndex)
    rows = []
    for one in injections:
        label = _label(one, frame.index, window)
        start, end = label.start, label.end
        if timed:
            start, end = (f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (start, end))
        columns = ";".join(map(str, frame.columns)) if one.column is None else one.column
        rows.append((start, end, one.kind, columns, one.strength))
    return pd.DataFrame(rows, columns=["start", "end", "kind", "columns", "strength"])


def _label(one: Injection, index: pd.Index, window: Window) -> Label:
    if not isinstance(index, pd.DatetimeIndex):
        last = min(one.row + one.slots + window.slots - 1, len(index))
        return Label(int(index[one.row]), int(index[last - 1]) + 1, one.kind, one.strength)
    # The slot that a row's window is the first to hold is its last one.
    start = index[one.row] + pd.Timedelta(seconds=window.length - window.slide)
    return Label(
        start, start + pd.Timedelta(seconds=one.slots * window.slide), one.kind, one.strength
    )


def _shape(one: Injection, slots: int) -> FloatArray:
    """Return the height in each window it touches, 1 where a window is full of it."""
    heights = np.ones(one.slots)
    if one.kind in ("ramp", "fade"):
        heights = np.arange(1, one.slots + 1) / one.slots
    shape: FloatArray = np.convolve(heights, np.full(slots, 1 / slots))
    return shape


def _units(values: FloatArray) -> FloatArray:
    """Return by column the 99 % quantile of the changes from one window to the next."""
    changes = np.abs(np.diff(values, axis=0))
    known = [column[np.isfinite(column)] for column in changes.T]
    found = np.array([np.quantile(k, _CHANGE) if len(k) else 0.0 for k in known])
    # A column that never changes gives no unit; a hundredth of its level stands for one.
    level = np.nan_to_num(np.abs(known_median(values)))
    return np.where(found > 0, found, np.maximum(level / 100, 1.0))


def _whole(values: FloatArray) -> bool:
    known = values[np.isfinite(values)]
    return bool((known == np.round(known)).all())


def _window(frame: pd.DataFrame) -> Window:
    name = frame.attrs.get("window")
    if name is None:
        raise DataError(
            "the table does not name its window",
            "for example frame.attrs['window'] = 'w01h-s10m'",
        )
    return Window.parse(str(name))


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise DataError(f"kind of incident {kind!r} is not known", "", did_you_mean(kind, KINDS))


def _check(one: Injection, frame: pd.DataFrame) -> None:
    _check_kind(one.kind)
    if not (0 <= one.row < len(frame) and one.slots >= 1):
        raise DataError(
            f"an incident of {one.slots} slots in row {one.row} of {len(frame)}",
            "at least one slot, and a row of the table",
        )
    if (one.column is None) != (one.kind == "silence"):
        raise DataError(f"{one.kind} of column {one.column!r}", "a column, and none for 'silence'")
    if one.column is not None and one.column not in frame:
        raise DataError(
            f"no column {one.column!r}", "", did_you_mean(one.column, map(str, frame.columns))
        )
    if one.column is not None and not 0 < one.strength < float("inf"):
        raise DataError(f"strength {one.strength}", "more than 0")
