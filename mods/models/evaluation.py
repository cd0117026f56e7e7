"""Judging a model: aligned, on a range of origins, beside the rungs of the ladder.

The model and the baselines (`mods.models.baselines`) are scored by one function
(`mods.models.scores.score`) on the same rows.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd

from mods.errors import DataError, ModelError, ModsWarning, did_you_mean
from mods.models.baselines import GradientBoosting, naive_period, persistence, seasonal_naive
from mods.models.scores import METRICS, FloatArray, Scores, score
from mods.timerange import Window, parse_range, select

__all__ = [
    "BASELINES",
    "Evaluation",
    "Forecaster",
    "Loss",
    "cube",
    "evaluate",
    "evaluate_table",
]

BASELINES = ("persistence", "seasonal_naive", "gradient_boosting")
#: Steps at which the trees are fitted: each costs a fit for every column.
BOOSTED_STEPS = (1, 3, 6, 12)
#: Fewer rows before the judged range than this teach the trees nothing.
BOOSTED_ROWS = 1000
#: More columns than this and the trees are fitted only where they are asked for by name.
BOOSTED_COLUMNS = 8
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
            "loses_to": [vars(loss) for loss in self.losses()],
            "notes": list(self.notes),
        }

    def _by_step(
        self, scores: Scores, steps: Sequence[int]
    ) -> dict[str, dict[str, list[float | None]]]:
        return {
            str(step): {
                metric: [_finite(value) for value in scores[metric][self.steps.index(step)]]
                for metric in METRICS
            }
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
    origins = pd.Index(table["origin"].drop_duplicates().sort_values())
    steps = np.unique(table["step"].to_numpy(dtype=np.int64))
    values = np.full((3, len(origins), len(steps), len(columns)), np.nan)
    column = pd.Index(columns).get_indexer(pd.Index(table["column"]))
    inside = column >= 0
    place = (
        origins.get_indexer(pd.Index(table["origin"]))[inside],
        np.searchsorted(steps, table["step"].to_numpy()[inside]),
        column[inside],
    )
    for row, name in enumerate(("forecast", "lower", "upper")):
        values[row][place] = table[name].to_numpy(dtype=np.float64)[inside]
    return origins, steps, values


def evaluate(
    model: Forecaster,
    frame: pd.DataFrame,
    *,
    include: str | None = None,
    baselines: Sequence[str] | None = None,
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

    Raises
    ------
    DataError, RangeError
        Where no origin in the range has both enough history and an actual value.
    ModelError
        Where a baseline is not known.
    """
    first, end = origin_rows(frame, include)
    start = max(0, first - CONTEXT)
    part = frame.iloc[start : end + model.horizon]
    part.attrs = dict(frame.attrs)
    table = model.backtest(part)
    labels = frame.index[first:end]
    table = table[table["origin"].isin(labels)]
    return evaluate_table(table, frame, baselines=baselines, coverage=model.coverage)


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
    """
    columns = [str(name) for name in frame.columns if (table["column"] == name).any()]
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
    values = frame[columns].to_numpy(dtype=np.float64)
    actual = _actual(values, rows, steps)
    if not (np.isfinite(actual) & np.isfinite(point)).any():
        raise DataError(
            "no forecast in the range has an actual value to be compared with",
            "data that go on after the range's first origin",
            "Use 'mods predict' for forecasts past the end of the data.",
        )
    naive = persistence(values, rows, steps)
    ladder = _Ladder(frame[columns], values, rows, steps, naive, baselines)
    return Evaluation(
        columns=tuple(columns),
        steps=tuple(int(step) for step in steps),
        model=score(point, actual, naive, lower, upper, coverage=coverage),
        baselines={
            name: score(np.where(np.isfinite(point), forecast, np.nan), actual, naive)
            for name, forecast in ladder.forecasts.items()
        },
        boosted_steps=ladder.boosted_steps,
        periods=ladder.periods,
        origins=len(rows),
        first=origins[0],
        last=origins[-1],
        notes=tuple(ladder.notes),
    )


class _Ladder:
    """The baselines' forecasts, learned from the rows up to the first judged origin."""

    def __init__(
        self,
        frame: pd.DataFrame,
        values: FloatArray,
        rows: np.ndarray,
        steps: np.ndarray,
        naive: FloatArray,
        asked: Sequence[str] | None,
    ) -> None:
        self.notes: list[str] = []
        history = int(rows[0]) + 1
        names = _baseline_names(asked)
        self.periods: tuple[int, ...] = ()
        if "seasonal_naive" in names or "gradient_boosting" in names:
            self.periods = self._find_periods(values, history, int(steps[-1]))
        self.boosted_steps: tuple[int, ...] = ()
        self.forecasts: dict[str, FloatArray] = {}
        if "persistence" in names:
            self.forecasts["persistence"] = naive
        if "seasonal_naive" in names:
            self.forecasts["seasonal_naive"] = seasonal_naive(values, rows, steps, self.periods)
        if "gradient_boosting" in names and self._worth_boosting(history, values.shape[1], asked):
            self.boosted_steps = tuple(int(k) for k in steps if k in BOOSTED_STEPS)
            window = frame.attrs.get("window")
            trees = GradientBoosting(self.periods, Window.parse(window).per_day if window else 0)
            trees.fit(values[:history], frame.index[:history], self.boosted_steps)
            self.forecasts["gradient_boosting"] = trees.forecast(values, frame.index, rows, steps)

    def _find_periods(self, values: FloatArray, history: int, horizon: int) -> tuple[int, ...]:
        if history >= BOOSTED_ROWS:
            learned = values[:history]
        else:
            learned = values
            self.notes.append(
                f"only {history} windows lie before the judged ones, so the periods of seasonal"
                " naive were found on the judged rows too, in its favour"
            )
        return tuple(naive_period(series, horizon=horizon) for series in learned.T)

    def _worth_boosting(self, history: int, columns: int, asked: Sequence[str] | None) -> bool:
        if history < BOOSTED_ROWS:
            reason = f"it needs {BOOSTED_ROWS} windows before the judged ones, there are {history}"
            if asked is not None:
                warnings.warn(f"gradient boosting is left out: {reason}", ModsWarning, stacklevel=2)
        elif columns > BOOSTED_COLUMNS and asked is None:
            reason = f"{columns} columns take long; ask for it by name"
        else:
            return True
        self.notes.append(f"gradient boosting is left out: {reason}")
        return False


def _baseline_names(asked: Sequence[str] | None) -> Sequence[str]:
    for name in asked or ():
        if name not in BASELINES:
            raise ModelError(f"baseline {name!r}", "a known one", did_you_mean(name, BASELINES))
    return BASELINES if asked is None else asked


def _actual(values: FloatArray, rows: np.ndarray, steps: np.ndarray) -> FloatArray:
    """Return what came at each origin's targets: `(origins, steps, columns)`."""
    target = rows[:, None] + steps
    padded = np.vstack([values, np.full((1, values.shape[1]), np.nan)])
    came: FloatArray = padded[np.minimum(target, len(values))]
    return came


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
