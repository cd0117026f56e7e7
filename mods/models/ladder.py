"""The ladder: what each baseline forecasts for the judged origins, and why one is left out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from mods.errors import ModelError, ModsWarning, did_you_mean
from mods.models.baselines import GradientBoosting, naive_period, persistence, seasonal_naive
from mods.models.scores import FloatArray
from mods.timerange import Window

__all__ = ["BASELINES", "Ladder", "climb"]

BASELINES = ("persistence", "seasonal_naive", "gradient_boosting")
#: Steps at which the trees are fitted: each costs a fit for every column.
BOOSTED_STEPS = (1, 3, 6, 12)
#: Fewer rows before the judged range than this teach the trees nothing.
BOOSTED_ROWS = 1000
#: More columns than this and the trees are fitted only where they are asked for by name.
BOOSTED_COLUMNS = 8


@dataclass
class Ladder:
    """The baselines' forecasts for the judged origins.

    Attributes
    ----------
    forecasts
        By name `(origins, steps, columns)`; the trees' are NaN at steps that have none.
    periods
        For each column, windows, 0 for none; empty where no rung asked for uses them.
    boosted_steps
        At which steps there are trees.
    notes
        What was left out, and why.
    """

    forecasts: dict[str, FloatArray] = field(default_factory=dict)
    periods: tuple[int, ...] = ()
    boosted_steps: tuple[int, ...] = ()
    notes: list[str] = field(default_factory=list)


def climb(
    frame: pd.DataFrame,
    rows: np.ndarray,
    steps: np.ndarray,
    *,
    asked: Sequence[str] | None = None,
    starts: Sequence[int] = (),
) -> Ladder:
    """Let each baseline forecast the judged origins.

    Parameters
    ----------
    frame
        `(rows, columns)`: the data.
    rows
        `(origins,)`, int, ascending: the judged origins.
    steps
        `(steps,)`, int.
    asked
        Names from `BASELINES`; None for all that the history allows.
    starts
        Rows at which the baselines learn anew, all that lies before; they always do at the
        first origin.

    Raises
    ------
    ModelError
        Where a name is not known.
    """
    for name in asked or ():
        if name not in BASELINES:
            raise ModelError(f"baseline {name!r}", "a known one", did_you_mean(name, BASELINES))
    cuts = np.searchsorted(rows, sorted(starts))
    parts = [part for part in np.split(rows, cuts) if len(part)]
    rungs = [_rungs(frame, part, steps, asked) for part in parts]
    names = [n for n in BASELINES if all(n in rung.forecasts for rung in rungs)]
    last = rungs[-1]
    return Ladder(
        {n: np.concatenate([rung.forecasts[n] for rung in rungs]) for n in names},
        last.periods,
        last.boosted_steps if "gradient_boosting" in names else (),
        list(dict.fromkeys(note for rung in rungs for note in rung.notes)),
    )


def _rungs(
    frame: pd.DataFrame, rows: np.ndarray, steps: np.ndarray, asked: Sequence[str] | None
) -> Ladder:
    ladder = Ladder()
    values = frame.to_numpy(dtype=np.float64)
    history = int(rows[0]) + 1
    names = BASELINES if asked is None else asked
    if "seasonal_naive" in names or "gradient_boosting" in names:
        ladder.periods = _find_periods(ladder, values, history, int(steps[-1]))
    if "persistence" in names:
        ladder.forecasts["persistence"] = persistence(values, rows, steps)
    if "seasonal_naive" in names:
        ladder.forecasts["seasonal_naive"] = seasonal_naive(values, rows, steps, ladder.periods)
    if "gradient_boosting" in names and _worth_boosting(ladder, history, values.shape[1], asked):
        ladder.boosted_steps = tuple(int(k) for k in steps if k in BOOSTED_STEPS)
        window = frame.attrs.get("window")
        trees = GradientBoosting(ladder.periods, Window.parse(window).per_day if window else 0)
        trees.fit(values[:history], frame.index[:history], ladder.boosted_steps)
        ladder.forecasts["gradient_boosting"] = trees.forecast(values, frame.index, rows, steps)
    return ladder


def _find_periods(
    ladder: Ladder, values: FloatArray, history: int, horizon: int
) -> tuple[int, ...]:
    learned = values[:history]
    if history < BOOSTED_ROWS:
        learned = values
        ladder.notes.append(
            f"only {history} windows lie before the judged ones, so the periods of seasonal"
            " naive were found on the judged rows too, in its favour"
        )
    return tuple(naive_period(series, horizon=horizon) for series in learned.T)


def _worth_boosting(
    ladder: Ladder, history: int, columns: int, asked: Sequence[str] | None
) -> bool:
    if history < BOOSTED_ROWS:
        reason = f"it needs {BOOSTED_ROWS} windows before the judged ones, there are {history}"
        if asked is not None:
            warnings.warn(f"gradient boosting is left out: {reason}", ModsWarning, stacklevel=2)
    elif columns > BOOSTED_COLUMNS and asked is None:
        reason = f"{columns} columns take long; ask for it by name"
    else:
        return True
    ladder.notes.append(f"gradient boosting is left out: {reason}")
    return False
