"""Which columns are worth forecasting: all statistics of a frame, a verdict each, a query."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mods.dataset.query import SelectionQuery, parse_query
from mods.errors import DataError, QueryError, did_you_mean
from mods.features.autocorrelation import autocorrelate
from mods.features.demand import describe_demand
from mods.features.dependence import dependent_columns
from mods.features.drift import measure_drift
from mods.features.information import STEPS, information
from mods.features.redundancy import redundant_groups
from mods.features.stationarity import judge_stationarity
from mods.features.verdict import LEAVE, Measured, Verdict, judge, rank

__all__ = ["LEAST_ROWS", "Selection", "select_features"]

#: Known values that a column needs before its statistics say anything.
LEAST_ROWS = 50


@dataclass(frozen=True)
class Selection:
    """The verdicts, best first, and the query that selects what is kept.

    `query` is None where no column is kept, or a name cannot stand in a query.
    """

    verdicts: tuple[Verdict, ...]
    targets: tuple[str, ...]
    windows: int
    query: str | None

    @property
    def kept(self) -> list[str]:
        """The columns that are worth it, best first."""
        return [one.column for one in self.verdicts if one.verdict != LEAVE]

    def table(self) -> pd.DataFrame:
        """Return one row a column, best first, `(columns, 18)`; NaN or '' where not measured."""
        return pd.DataFrame([_row(one) for one in self.verdicts])

    def document(self) -> dict[str, Any]:
        """Return all of it as a document that JSON takes; None for what is not known."""
        columns = []
        for one in self.verdicts:
            row = {name: _plain(value) for name, value in _row(one).items()}
            measured = one.measured
            found = measured.autocorrelation
            row["periods"] = [] if found is None else list(found.periods)
            row["autocorrelations"] = [] if found is None else found.at_periods()
            row["partial_autocorrelations"] = (
                [] if found is None else [_plain(float(v)) for v in found.partial[1:]]
            )
            row["depends_on"] = list(measured.depends_on)
            row["group"] = list(measured.group)
            row["information_by_step"] = self._by_step(measured)
            columns.append(row)
        return {
            "windows": self.windows,
            "targets": list(self.targets),
            "kept": self.kept,
            "query": self.query,
            "columns": columns,
        }

    def _by_step(self, measured: Measured) -> dict[str, dict[str, float | None]]:
        if measured.information is None:
            return {}
        targets = self.targets or (measured.column,)
        return {
            target: {
                str(step): _plain(float(measured.information[row, place]))
                for row, step in enumerate(STEPS)
            }
            for place, target in enumerate(targets)
        }


def select_features(
    frame: pd.DataFrame,
    targets: Sequence[str] | None = None,
    compare: pd.DataFrame | None = None,
    *,
    query: str | None = None,
) -> Selection:
    """Judge each column of a frame.

    Parameters
    ----------
    frame
        `(windows, columns)`, consecutive windows, NaN where missing.
    targets
        What is to be forecast: kept wherever it holds anything, and the information is about
        them. By default each column is to tell of itself.
    compare
        The same columns in another range, for drift; `(other windows, columns)`.
    query
        The selection query that read the frame, so that the result's selects from it.

    Raises
    ------
    DataError
        Where there is no column, fewer than 50 windows, or no such target.
    ConfigError
        Where statsmodels is not installed.

    Examples
    --------
    >>> day = np.sin(np.arange(600) * 2 * np.pi / 100)
    >>> frame = pd.DataFrame({"conn_in": 5 + day, "twice": 10 + 2 * day, "none": 0.0})
    >>> selection = select_features(frame)
    >>> selection.kept, selection.query
    (['conn_in'], 'table|conn_in#window_start,window_end')
    >>> selection.table().set_index("column")["reason"]["none"]
    'zero in every window'
    """
    chosen = _check(frame, targets, compare)
    frame = frame.replace([np.inf, -np.inf], np.nan)
    measured = {
        name: _measure(frame, name, chosen, compare) for name in sorted(map(str, frame.columns))
    }
    useful = frame[[name for name, one in measured.items() if not one.empty]]
    preferred = [name for name in chosen if name in useful.columns]
    for name, others in dependent_columns(useful, preferred).items():
        measured[name].depends_on = others
    places = _stand_ins(useful, measured, preferred)
    verdicts = rank(
        [
            judge(one, stands_in=places.get(name, ""), target=name in chosen)
            for name, one in measured.items()
        ]
    )
    kept = {one.column for one in verdicts if one.verdict != LEAVE}
    ready = _query([str(name) for name in frame.columns if name in kept], query)
    return Selection(tuple(verdicts), tuple(chosen), len(frame), ready)


def _check(
    frame: pd.DataFrame, targets: Sequence[str] | None, compare: pd.DataFrame | None
) -> list[str]:
    if frame.shape[1] == 0:
        raise DataError("the data have no column", "at least one")
    if len(frame) < LEAST_ROWS:
        raise DataError(
            f"{len(frame):,} windows are too few to tell anything",
            f"at least {LEAST_ROWS}",
            "Take a longer range.",
        )
    names = [str(name) for name in frame.columns]
    for name in targets or ():
        if name not in names:
            raise DataError(f"the data have no column {name!r}", mend=did_you_mean(name, names))
    if compare is not None and list(compare.columns) != list(frame.columns):
        raise DataError("the range to compare with has other columns", "the same columns")
    return list(dict.fromkeys(targets or ()))


def _measure(
    frame: pd.DataFrame, name: str, targets: list[str], compare: pd.DataFrame | None
) -> Measured:
    values = frame[name].to_numpy(dtype=np.float64)
    known = values[np.isfinite(values)]
    measured = Measured(name, len(known), 1 - len(known) / len(values))
    measured.empty = _empty(known)
    # A column that stood still here may move in the other range.
    if compare is not None:
        measured.drift = measure_drift(values, compare[name].to_numpy(dtype=np.float64))
    if measured.empty:
        return measured
    measured.demand = describe_demand(values)
    measured.autocorrelation = autocorrelate(values)
    measured.stationarity = judge_stationarity(values)
    measured.information = information(frame, name, targets)
    return measured


def _empty(known: np.ndarray) -> str:
    if not len(known):
        return "missing in every window"
    if not known.any():
        return "zero in every window"
    # Rounding of a constant is no movement.
    if np.ptp(known) <= 1e-12 * np.abs(known).max():
        return f"the same in every window ({known[0]:.6g})"
    if len(known) < LEAST_ROWS:
        return f"only {len(known)} known values, at least {LEAST_ROWS} tell anything"
    return ""


def _stand_ins(
    useful: pd.DataFrame, measured: dict[str, Measured], preferred: list[str]
) -> dict[str, str]:
    """Return, for each column of a group but the one that is kept, that one."""
    free = [n for n in useful.columns if not measured[n].depends_on or n in preferred]
    found = {}
    for group in redundant_groups(useful[free]):
        best = min(
            group,
            key=lambda name: (
                name not in preferred,
                round(measured[name].missing, 6),
                -round(measured[name].best_information, 2),
                name,
            ),
        )
        for name in group:
            measured[name].group = tuple(other for other in group if other != name)
            if name != best:
                found[name] = best
    return found


def _query(kept: list[str], source: str | None) -> str | None:
    if not kept:
        return None
    if source is not None:
        parsed = parse_query(source)
        columns = tuple(one for one in parsed.columns if one.name in kept)
        return SelectionQuery(columns, parsed.joins, source).text
    text = "|".join(["table", *kept])
    try:
        query = parse_query(text)
    except QueryError:
        return None
    return query.text if query.names == kept else None


def _row(one: Verdict) -> dict[str, Any]:
    measured = one.measured
    demand, found = measured.demand, measured.autocorrelation
    level, drift = measured.stationarity, measured.drift
    return {
        "column": one.column,
        "verdict": one.verdict,
        "reason": one.reason,
        "missing": measured.missing,
        "zeros": np.nan if demand is None else demand.zeros,
        "demand": "" if demand is None else demand.kind,
        "interval": np.nan if demand is None else demand.interval,
        "variation": np.nan if demand is None else demand.variation,
        "croston_error": np.nan if demand is None else demand.croston_error,
        "tsb_error": np.nan if demand is None else demand.tsb_error,
        "autocorrelation": np.nan if found is None else found.first,
        "period": np.nan if found is None or not found.periods else found.periods[0],
        "partial": np.nan if found is None else found.partial_lag,
        "stationarity": "" if level is None else level.kind,
        "adf": np.nan if level is None else level.adf,
        "kpss": np.nan if level is None else level.kpss,
        "information": np.nan if measured.information is None else measured.best_information,
        "drift": np.nan if drift is None else drift.index,
    }


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
