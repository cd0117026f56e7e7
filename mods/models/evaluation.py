"""Judging a model: aligned, on a range of origins, beside the rungs of the ladder.

The model and the baselines (`mods.models.baselines`) are scored by one function
(`mods.models.scores.score`) on the same rows.  With `folds` the range is cut into
consecutive parts, before each of which the baselines, and with `refit` the model
too, learn anew from all that lies before it: a backtest with rolling origins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd

from mods.errors import DataError, ModelError
from mods.models.baselines import persistence
from mods.models.forecast import targets_of
from mods.models.ladder import BASELINES, climb
from mods.models.scores import METRICS, FloatArray, Scores, score
from mods.models.slices import Slices, slice_errors
from mods.timerange import parse_range, select

__all__ = [
    "BASELINES",
    "Evaluation",
    "Forecaster",
    "Loss",
    "cube",
    "evaluate",
    "evaluate_table",
]

#: Rows before the first judged origin that a backtest is given: five weeks for the inputs,
#: two for the calibration.
CONTEXT = 7 * 7 * 144


class Forecaster(Protocol):
    """What can be judged: anything that forecasts every origin of a frame."""

    @property
    def horizon(self) -> int:
        """Steps that it forecasts."""

    @property
    def coverage(self) -> float:
        """What its intervals state."""

    def backtest(self, frame: pd.DataFrame, /) -> pd.DataFrame:
        """Return the forecast table."""


@dataclass(frozen=True)
class Loss:
    """One place where a rung is ahead of the model; both figures are SMAPE in percent."""

    baseline: str
    step: int
    column: str
    model: float
    rung: float


@dataclass(frozen=True)
class Evaluation:
    """What a model scored beside its baselines.

    Attributes
    ----------
    columns, steps
        What the arrays run over.
    model
        For each name in `METRICS` an array `(steps, columns)`; NaN where it is not defined.
    baselines
        The same for each rung; the trees only at the steps in `boosted_steps`.
    boosted_steps
        At which steps there are trees.
    periods
        For each column the period that seasonal naive uses, windows, 0 for none; empty where
        no rung was asked for that uses one.
    origins
        How many origins were judged.
    first, last
        The first and last of them.
    folds
        The first origin of each part before which was learned anew.
    refit
        Whether the model learned anew too, and not the baselines only.
    slices
        Errors by hour and by level.
    notes
        What the reader has to know, for example why a rung is left out.
    """

    columns: tuple[str, ...]
    steps: tuple[int, ...]
    model: Scores
    baselines: dict[str, Scores]
    boosted_steps: tuple[int, ...] = ()
    periods: tuple[int, ...] = ()
    origins: int = 0
    first: Any = None
    last: Any = None
    folds: tuple[Any, ...] = ()
    refit: bool = False
    slices: tuple[Slices, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def rung_steps(self, baseline: str) -> tuple[int, ...]:
        """Return the steps at which this rung has figures."""
        return self.boosted_steps if baseline == "gradient_boosting" else self.steps

    def losses(self) -> list[Loss]:
        """Return where a rung has the lower SMAPE, by step, rung and column."""
        return [
            Loss(baseline, step, column, float(mine), float(rung))
            for row, step in enumerate(self.steps)
            for baseline, scores in self.baselines.items()
            for place, column in enumerate(self.columns)
            if (rung := scores["smape"][row, place]) < (mine := self.model["smape"][row, place])
        ]

    def document(self) -> dict[str, Any]:
        """Return everything as one JSON document; null where a figure is not defined."""
        return {
            "columns": list(self.columns),
            "steps": self._by_step(self.model, self.steps),
            "baselines": {
                name: self._by_step(scores, self.rung_steps(name))
                for name, scores in self.baselines.items()
            },
            "origins": {"count": self.origins, "first": str(self.first), "last": str(self.last)},
            "periods": dict(zip(self.columns, self.periods, strict=False)),
            "folds": {"first": [str(first) for first in self.folds], "refit": self.refit},
            "slices": {part.kind: self._slice(part) for part in self.slices},
            "loses_to": [vars(loss) for loss in self.losses()],
            "notes": list(self.notes),
        }

    def _slice(self, part: Slices) -> dict[str, Any]:
        """Return SMAPE as `name -> step -> [[column, ...] of each key]`."""
        return {
            "keys": list(part.keys),
            "smape": {
                name: {
                    str(step): rows
                    for step, rows in zip(self.steps, _listed(values.swapaxes(0, 1)), strict=True)
                    if name == "model" or step in self.rung_steps(name)
                }
                for name, values in part.smape.items()
            },
        }

    def _by_step(
        self, scores: Scores, steps: Sequence[int]
    ) -> dict[str, dict[str, list[float | None]]]:
        listed = {metric: _listed(scores[metric]) for metric in METRICS}
        return {
            str(step): {metric: rows[self.steps.index(step)] for metric, rows in listed.items()}
            for step in steps
        }


def cube(table: pd.DataFrame, columns: Sequence[str]) -> tuple[pd.Index, np.ndarray, FloatArray]:
    """Return a forecast table as arrays.

    Parameters
    ----------
    table
        The forecast table, in any order.
    columns
        Which columns, in which order.

    Returns
    -------
    origins
        The origins, ascending.
    steps
        `(steps,)`, int: the steps that the table has, ascending.
    values
        `(3, origins, steps, columns)`: forecast, lower, upper; NaN where there is no row.
    """
    origin, origins = pd.factorize(table["origin"], sort=True)
    step, steps = pd.factorize(table["step"].to_numpy(dtype=np.int64), sort=True)
    # Names are compared once each and not in every row.
    named, names = pd.factorize(table["column"])
    column = pd.Index(columns).get_indexer(names)[named]
    inside = column >= 0
    place = origin[inside], step[inside], column[inside]
    values = np.full((3, len(origins), len(steps), len(columns)), np.nan)
    for row, name in enumerate(("forecast", "lower", "upper")):
        values[row][place] = table[name].to_numpy(dtype=np.float64)[inside]
    return pd.Index(origins), steps, values


def evaluate(
    model: Forecaster,
    frame: pd.DataFrame,
    *,
    include: str | None = None,
    baselines: Sequence[str] | None = None,
    folds: int = 1,
    refit: Callable[[pd.DataFrame], Forecaster] | None = None,
) -> Evaluation:
    """Judge a model on the origins in a range; rows before it are context.

    Parameters
    ----------
    model
        A trained model.
    frame
        `(rows, columns)`: the data, history included.
    include
        The range of origins, all by default.
    baselines
        Names from `BASELINES`; by default all that the history before the range allows.
    folds
        Into how many consecutive parts the range is cut.
    refit
        Trains a model on the frame it is given; called before each part with the rows that
        lie at least the horizon before it.  None judges `model` throughout.

    Raises
    ------
    DataError, RangeError
        Where no origin in the range has both enough history and an actual value.
    ModelError
        Where a baseline is not known, or there are more parts than origins.
    """
    first, end = origin_rows(frame, include)
    if not 1 <= folds <= end - first:
        raise ModelError(f"{folds} folds of {end - first} origins", "from 1 to as many as origins")
    starts = [first + (end - first) * n // folds for n in range(folds)]
    tables = []
    for start, stop in zip(starts, [*starts[1:], end], strict=True):
        judged = model
        if refit is not None:
            judged = refit(_rows(frame, 0, max(0, start + 1 - model.horizon)))
        table = judged.backtest(_rows(frame, start - CONTEXT, stop + model.horizon))
        tables.append(table[table["origin"].isin(frame.index[start:stop])])
    return evaluate_table(
        pd.concat(tables),
        frame,
        baselines=baselines,
        coverage=model.coverage,
        starts=starts,
        refit=refit is not None,
    )


def _rows(frame: pd.DataFrame, start: int, stop: int) -> pd.DataFrame:
    part = frame.iloc[max(0, start) : stop]
    part.attrs = dict(frame.attrs)
    return part


def origin_rows(frame: pd.DataFrame, include: str | None) -> tuple[int, int]:
    """Return the rows `[first, end)` of a range; `RangeError` where it holds none."""
    if include is None:
        return 0, len(frame)
    select(frame, include)  # says what is wrong with a range that fits nothing
    rows = np.flatnonzero(parse_range(include, frame.index).mask(frame.index))
    return int(rows[0]), int(rows[-1]) + 1


def evaluate_table(
    table: pd.DataFrame,
    frame: pd.DataFrame,
    *,
    baselines: Sequence[str] | None = None,
    coverage: float = 0.9,
    starts: Sequence[int] = (),
    refit: bool = False,
) -> Evaluation:
    """Judge a forecast table against the frame, beside the baselines on the same rows.

    Parameters
    ----------
    table
        The forecast table; what it calls `actual` is not looked at.
    frame
        `(rows, columns)`: the truth, and the history from which the baselines learn: the rows
        up to the table's first origin.
    baselines, coverage
        As for `evaluate` and `score`.
    starts
        Rows at which the baselines learn anew.
    refit
        Whether the model did so too, for the record.
    """
    forecast = set(table["column"].unique())
    columns = [str(name) for name in frame.columns if name in forecast]
    if not columns and len(table):
        raise ModelError(
            f"the model forecasts {table['column'].iloc[0]!r}, which the data have no column for",
            "a model that forecasts levels of the data's columns",
            "Use 'mods predict', which shows its forecasts beside what came.",
        )
    origins, steps, (point, lower, upper) = cube(table, columns)
    rows = frame.index.get_indexer(origins)
    if len(rows) == 0 or (rows < 0).any():
        raise DataError(
            "no origin to judge" if len(rows) == 0 else "the table has origins outside the data",
            "at least one origin in the range with enough history",
            "Give a longer range, or more data before it.",
        )
    judged = frame[columns]
    values = judged.to_numpy(dtype=np.float64)
    actual = _actual(values, rows, steps)
    if not (np.isfinite(actual) & np.isfinite(point)).any():
        raise DataError(
            "no forecast in the range has an actual value to be compared with",
            "data that go on after the range's first origin",
            "Use 'mods predict' for forecasts past the end of the data.",
        )
    naive = persistence(values, rows, steps)
    ladder = climb(judged, rows, steps, asked=baselines, starts=starts)
    known = np.isfinite(point)
    rungs = {name: np.where(known, values, np.nan) for name, values in ladder.forecasts.items()}
    targets = targets_of(frame.index, np.repeat(rows, len(steps)), np.tile(steps, len(rows)))
    slices = slice_errors(
        {"model": point} | rungs,
        np.where(np.isfinite(naive), actual, np.nan),
        naive[:, 0],
        targets if isinstance(targets, pd.DatetimeIndex) else None,
    )
    return Evaluation(
        columns=tuple(columns),
        steps=tuple(int(step) for step in steps),
        model=score(point, actual, naive, lower, upper, coverage=coverage),
        baselines={name: score(values, actual, naive) for name, values in rungs.items()},
        boosted_steps=ladder.boosted_steps,
        periods=ladder.periods,
        origins=len(rows),
        first=origins[0],
        last=origins[-1],
        folds=tuple(frame.index[start] for start in starts),
        refit=refit,
        slices=tuple(slices),
        notes=tuple(ladder.notes),
    )


def _actual(values: FloatArray, rows: np.ndarray, steps: np.ndarray) -> FloatArray:
    """Return what came at each origin's targets: `(origins, steps, columns)`."""
    target = rows[:, None] + steps
    padded = np.vstack([values, np.full((1, values.shape[1]), np.nan)])
    came: FloatArray = padded[np.minimum(target, len(values))]
    return came


def _listed(values: FloatArray) -> list[Any]:
    """Return nested lists with null for what is not defined."""
    listed = values.astype(object)
    listed[~np.isfinite(values)] = None
    return list(listed.tolist())
