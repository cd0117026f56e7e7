"""The windowed features: one expression for every engine, and the small end of it.

The heavy part is written once, in narwhals, and runs on Polars, DuckDB or Spark:
`directed` says where each record flows, `slot_sums` adds up what can be added a
*slot* (a whole number of seconds that divides every slide), `slot_keys` keeps
each distinct value once a slot, and `key_changes` turns those into changes of
the number of distinct values: +1 at the first window that holds a value, -1
after the last, whatever the windows overlap.  So a record is never copied into
the windows that it lies in, and the cost does not grow with window / slide.

The end (`window_table`) is a few thousand rows and always Polars: sums over
consecutive slots on a complete grid of window starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import narwhals as nw
import polars as pl

from mods.dataset.direction import Hosts, in_hosts
from mods.dataset.protocols import DIRECTIONS, Feature, Protocol
from mods.timerange import MICROSECONDS, Window

__all__ = [
    "all_sums",
    "directed",
    "key_changes",
    "observed_minutes",
    "slot_keys",
    "slot_sums",
    "sum_columns",
    "window_table",
]

IN, OUT, INTERNAL = range(len(DIRECTIONS))
MINUTE = 60 * MICROSECONDS
Lazy = nw.LazyFrame[Any]


def directed(
    records: Lazy,
    hosts: Hosts,
    slot: int,
    hidden: Mapping[Hosts, Sequence[str]] = MappingProxyType({}),
    own: bool = False,
) -> Lazy:
    """Add `slot` and `direction` (its place in `DIRECTIONS`; null between two outside hosts).

    Parameters
    ----------
    records
        As `mods.dataset.records` describes them.
    hosts
        The local networks.
    slot
        Seconds of a slot.
    hidden
        Those among the records' hosts that lie in `hosts.hidden`, by `hosts`.
    own
        Whether `local_orig` and `local_resp` are taken where a record has them.
    """

    def local(name: str, field: str) -> nw.Expr:
        inside = in_hosts(name, hosts, hidden)
        return nw.coalesce(nw.col(field), inside) if own else inside

    marked = records.with_columns(
        from_local=local("id_orig_h", "local_orig"),
        to_local=local("id_resp_h", "local_resp"),
        slot=nw.col("ts") // (slot * MICROSECONDS),
    )
    origin, target = nw.col("from_local"), nw.col("to_local")
    direction = (
        nw.when(origin & target)
        .then(nw.lit(INTERNAL))
        .otherwise(
            nw.when(origin & ~target)
            .then(nw.lit(OUT))
            .otherwise(nw.when(~origin & target).then(nw.lit(IN)).otherwise(nw.lit(None)))
        )
    )
    return marked.with_columns(direction=direction.cast(nw.Int64))


def observed_minutes(records: Lazy) -> Lazy:
    """Return `minute, first, last`: the first and last time in each minute that has a record."""
    minutes = records.select("ts", minute=nw.col("ts") // MINUTE)
    return minutes.group_by("minute").agg(first=nw.col("ts").min(), last=nw.col("ts").max())


def sum_columns(protocol: Protocol) -> dict[str, tuple[str, ...]]:
    """Return for each feature that is added up the sums it needs: `{name: columns}`.

    >>> from mods.dataset.protocols import PROTOCOLS
    >>> sum_columns(PROTOCOLS["conn"])["avg_duration"]
    ('sum_duration', 'with_duration')
    """
    needed = {
        "records": ("records",),
        "sum": ("sum_{}",),
        "mean": ("sum_{}", "with_{}"),
        "true": ("true_{}",),
        "false": ("false_{}",),
    }
    return {
        f.name: tuple(column.format(f.field) for column in needed[f.of])
        for f in protocol.features
        if f.of in needed
    }


def all_sums(protocol: Protocol) -> list[str]:
    """Return the columns of `slot_sums` after the slot and the direction."""
    needed = (column for columns in sum_columns(protocol).values() for column in columns)
    return list(dict.fromkeys(["records", *needed]))


def slot_sums(records: Lazy, protocol: Protocol) -> Lazy:
    """Return `slot, direction`, `records` and the sums of `sum_columns`, all Int64."""
    made: dict[str, nw.Expr] = {"records": nw.len()}
    for name in all_sums(protocol)[1:]:
        kind, _, field = name.partition("_")
        if kind == "sum":
            made[name] = nw.col(field).sum()
        elif kind == "with":
            made[name] = nw.col(field).count()
        else:
            made[name] = nw.col(name).sum()
    flags = {
        name: nw.when(nw.col(name.partition("_")[2]) == nw.lit(name.startswith("true")))
        .then(nw.lit(1))
        .otherwise(nw.lit(0))
        for name in made
        if name.startswith(("true_", "false_"))
    }
    known = records.filter(~nw.col("direction").is_null())
    if flags:
        known = known.with_columns(**flags)
    sums = known.group_by("slot", "direction").agg(**made)
    # engines differ in the type of a sum: decimals, unsigned
    return sums.select(
        "slot", "direction", *(nw.col(n).cast(nw.Int64).fill_null(0).alias(n) for n in made)
    )


def distinct_features(protocol: Protocol) -> list[Feature]:
    """Return the features that count distinct values, in order."""
    return [f for f in protocol.features if f.of == "distinct"]


def slot_keys(records: Lazy, protocol: Protocol) -> Lazy | None:
    """Return each value once a slot: `slot, direction, feature, key`; None where none is counted.

    `feature` is the place in `distinct_features`, `key` the value as text.
    """
    parts = []
    for place, feature in enumerate(distinct_features(protocol)):
        known = records.filter(~nw.col("direction").is_null() & ~nw.col(feature.field).is_null())
        parts.append(
            known.select(
                "slot",
                "direction",
                feature=nw.lit(place).cast(nw.Int64),
                key=nw.col(feature.field).cast(nw.String),
            ).unique()
        )
    return nw.concat(parts) if parts else None


def key_changes(keys: Lazy, window: Window, slot: int) -> Lazy:
    """Return how the number of distinct values changes: `start, direction, feature, change`.

    `start` counts window starts in slides since the epoch.  A value that is seen in slot s
    lies in the windows that start in (s - n, s], n slots a window; of those, the windows up
    to its previous slot p hold it already.
    """
    each = (
        keys.with_columns(slot=nw.col("slot") // (window.slide // slot))
        .select("slot", "direction", "feature", "key")
        .unique()
    )
    before = nw.col("slot").shift(1).over("direction", "feature", "key", order_by="slot")
    first = nw.col("slot") - (window.slots - 1)
    entering = each.with_columns(before=before).select(
        "direction",
        "feature",
        start=nw.when(nw.col("before") >= first).then(nw.col("before") + 1).otherwise(first),
        change=nw.lit(1).cast(nw.Int64),
    )
    leaving = each.select(
        "direction", "feature", start=nw.col("slot") + 1, change=nw.lit(-1).cast(nw.Int64)
    )
    changes = nw.concat([entering, leaving])
    total = changes.group_by("start", "direction", "feature").agg(change=nw.col("change").sum())
    return total.with_columns(nw.col("change").cast(nw.Int64))


def window_table(
    sums: pl.DataFrame,
    changes: pl.DataFrame | None,
    protocol: Protocol,
    window: Window,
    slot: int,
    starts: range,
    known: pl.Series,
) -> pl.DataFrame:
    """Return the features of consecutive windows.

    Parameters
    ----------
    sums
        Of `slot_sums`; slots outside of the windows are ignored.
    changes
        Of `key_changes`; all those before the last window.
    protocol, window, slot
        What was summed; `slot` in seconds.
    starts
        The window starts, in slides since the epoch, one after the other.
    known
        Whether the sensor was observing for each whole window: `(windows,)`, bool.

    Returns
    -------
    polars.DataFrame
        `window_start` (Int64, microseconds, UTC) and the protocol's columns, Int64, averages
        Float64; null where a window is not known, or where nothing can be averaged.
    """
    slots = range(starts.start, starts.stop + window.slots - 1)
    by_slide = (
        sums.with_columns(slot=pl.col("slot") // (window.slide // slot))
        .filter(pl.col("slot").is_between(slots.start, slots.stop - 1))
        .group_by("slot", "direction")
        .sum()
    )
    columns: dict[str, pl.Series] = {}
    for code, direction in enumerate(DIRECTIONS):
        moving = _moving_sums(by_slide.filter(pl.col("direction") == code), slots, window.slots)
        for feature in protocol.features:
            column = feature.column(direction)
            if feature.of == "distinct":
                place = distinct_features(protocol).index(feature)
                columns[column] = _running(changes, code, place, starts)
            else:
                columns[column] = _of_sums(feature, moving, sum_columns(protocol)[feature.name])
    table = pl.DataFrame({name: columns[name] for name in protocol.columns})
    table = table.with_columns(pl.when(known).then(pl.all()).name.keep())
    begin = pl.int_range(starts.start, starts.stop, eager=True) * (window.slide * MICROSECONDS)
    return table.insert_column(0, begin.alias("window_start"))


def _moving_sums(sums: pl.DataFrame, slots: range, length: int) -> pl.DataFrame:
    """Sum `length` consecutive slots: `(slots - length + 1,)` rows, Int64."""
    grid = pl.DataFrame({"slot": pl.int_range(slots.start, slots.stop, eager=True)})
    dense = grid.join(sums, on="slot", how="left", maintain_order="left").drop("slot", "direction")
    total = dense.fill_null(0).select(pl.all().cum_sum())
    return total.select((pl.all() - pl.all().shift(length, fill_value=0)).slice(length - 1))


def _of_sums(feature: Feature, moving: pl.DataFrame, columns: tuple[str, ...]) -> pl.Series:
    total = moving[columns[0]]
    if feature.of == "mean":
        # one division of two whole numbers, so that every engine gives the same last digit
        having = moving[columns[1]]
        mean = total / (having * MICROSECONDS)
        return mean.zip_with(having > 0, pl.Series([None], dtype=pl.Float64))
    return total


def _running(changes: pl.DataFrame | None, direction: int, place: int, starts: range) -> pl.Series:
    """Sum the changes up to each window: `(windows,)`, Int64."""
    grid = pl.DataFrame({"start": pl.int_range(starts.start, starts.stop, eager=True)})
    if changes is None or changes.is_empty():
        return pl.repeat(0, len(starts), dtype=pl.Int64, eager=True)
    total = (
        changes.filter(
            (pl.col("direction") == direction)
            & (pl.col("feature") == place)
            & (pl.col("start") < starts.stop)
        )
        .sort("start")
        .select("start", total=pl.col("change").cum_sum())
    )
    joined = grid.join_asof(total, on="start", strategy="backward")
    return joined["total"].fill_null(0)
