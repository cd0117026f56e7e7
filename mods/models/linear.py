"""The forecast of a linear model that each column's own past fits, as an input of networks.

A network for any column has to guess how one series moves from a window of it; a few
dozen coefficients, fitted to all of that series' past, know.  The fit is least absolute
errors by reweighting (Schlossmacher, 1973), block by block: a row is weighed once, by how far
the fit before its block was from what came, and earlier blocks are forgotten slowly.  So the
past is gone through once, and what stands at a row is made of rows up to it only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mods.models.scaling import CHANNELS, ColumnInputs, InputPlan, context_names

__all__ = ["Regressors", "linear_forecast", "linear_inputs", "linear_names"]

#: Rows between two fits; the first is made after so many rows whose future is known.
EVERY = 48
#: What stays of a block's weight in the fit, and in how good the fit has been, a block later.
KEEP, KEEP_SKILL = 0.987, 0.95
#: Prior of the coefficients at one step, in rows; it grows with the square of the step, for
#: errors of far steps overlap.
RIDGE = 3.0
#: Errors below this share of the typical one count as if they were that large.
LEAST_ERROR = 0.6
#: Targets and forecasts are limited to so many typical targets.
LARGEST = 10.0
#: Last windows of the level and of the slots' departures that it sees.
LAGS = 12
_LEAST_SCALE = 1e-3


@dataclass(frozen=True)
class Regressors:
    """What the linear model sees.

    Attributes
    ----------
    common
        `(rows, features)`, float64: the same for all steps.
    ahead
        `(rows, horizon, features)`, float64: what is known of each step.
    """

    common: np.ndarray
    ahead: np.ndarray

    def block(self, first: int, end: int) -> np.ndarray:
        """Return the regressors of some rows: `(horizon, rows, features)`."""
        ahead = self.ahead[first:end].transpose(1, 0, 2)
        common = np.broadcast_to(
            self.common[first:end], (len(ahead), end - first, self.common.shape[1])
        )
        return np.concatenate([common, ahead], axis=2)


class _Fit:
    """The running sums of a fit of each step."""

    def __init__(self, horizon: int, features: int) -> None:
        self.products = np.zeros((horizon, features, features))
        self.moments = np.zeros((horizon, features))
        self.rows = np.zeros(horizon)
        self.weight = np.zeros(horizon)
        self.size = np.zeros(horizon)
        self.errors = np.zeros((2, horizon))
        self.coefficients: np.ndarray | None = None

    @property
    def scale(self) -> np.ndarray:
        """The typical target of each step, `(horizon,)`."""
        scale: np.ndarray = np.maximum(self.size / np.maximum(self.rows, 1.0), _LEAST_SCALE)
        return scale

    def add(self, regressors: np.ndarray, wanted: np.ndarray) -> None:
        """Take in a block: `(horizon, rows, features)` and `(horizon, rows)`, NaN unknown."""
        known = np.isfinite(wanted)
        wanted = np.where(known, wanted, 0.0)
        self.rows = KEEP * self.rows + known.sum(axis=1)
        self.size = KEEP * self.size + np.abs(wanted).sum(axis=1)
        scale = self.scale[:, None]
        wanted = np.clip(wanted, -LARGEST * scale, LARGEST * scale)
        if self.coefficients is None:
            error = np.abs(wanted)
        else:
            error = np.abs(wanted - self.say(regressors))
            seen = np.stack([(error * known).sum(axis=1), (np.abs(wanted) * known).sum(axis=1)])
            self.errors = KEEP_SKILL * self.errors + seen
        weight = known / np.maximum(error / scale, LEAST_ERROR)
        weighed = (regressors * weight[:, :, None]).transpose(0, 2, 1)
        self.products = KEEP * self.products + weighed @ regressors
        self.moments = KEEP * self.moments + (weighed @ wanted[:, :, None])[:, :, 0]
        self.weight = KEEP * self.weight + weight.sum(axis=1)

    def solve(self) -> None:
        """Fit to what was taken in, where that is enough."""
        if self.rows.min() < EVERY / 2:
            return
        squares = np.diagonal(self.products, axis1=1, axis2=2)
        mean = np.maximum(squares / np.maximum(self.weight, 1e-9)[:, None], 1e-3)
        prior = RIDGE * np.arange(1, len(self.rows) + 1) ** 2 * self.weight / self.rows
        ridge = mean * prior[:, None]
        system = self.products + ridge[:, :, None] * np.eye(squares.shape[1])
        self.coefficients = np.linalg.solve(system, self.moments[:, :, None])[:, :, 0]

    def say(self, regressors: np.ndarray) -> np.ndarray:
        """Return forecasts `(horizon, rows)`; a fit has to be there."""
        said = (regressors @ self.coefficients[:, :, None])[:, :, 0]  # type: ignore[index]
        scale = self.scale[:, None]
        limited: np.ndarray = np.clip(said, -LARGEST * scale, LARGEST * scale)
        return limited

    @property
    def skill(self) -> np.ndarray:
        """How much smaller than the targets the errors have been, `(horizon,)`: 1 is perfect."""
        ratio = self.errors[0] / np.maximum(self.errors[1], 1e-9)
        skill: np.ndarray = np.where(self.errors[1] > 0, 1.0 - np.minimum(ratio, 2.0), 0.0)
        return skill


def linear_forecast(
    regressors: Regressors, wanted: np.ndarray, first: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the model of each row's past says, and how good it has been lately.

    Parameters
    ----------
    regressors
        Of consecutive rows.
    wanted
        `(rows, horizon)`: what followed, NaN where it is not known.  Of a row's targets those
        are used that came before the row whose forecast they help.
    first
        The number of the first row: fits are made at multiples of `EVERY`.

    Returns
    -------
    forecast, skill
        `(rows, horizon)` each, float64; zeros before the first fit.

    Examples
    --------
    >>> random = np.random.default_rng(1)
    >>> x = random.standard_normal((960, 2))
    >>> wanted = 2 * x[:, :1] - x[:, 1:]
    >>> said, skill = linear_forecast(Regressors(x, np.zeros((960, 1, 1))), wanted, first=0)
    >>> bool(np.abs(said - wanted)[480:].mean() < 0.05), bool(skill[-1, 0] > 0.95)
    (True, True)
    """
    rows, horizon = wanted.shape
    fit = _Fit(horizon, regressors.common.shape[1] + regressors.ahead.shape[2])
    forecast, skill = np.zeros((2, rows, horizon))
    step = np.arange(horizon)[:, None]
    taken = 0
    for start in range(-first % EVERY, rows, EVERY):
        end = min(start + EVERY, rows)
        # At row `start` all targets of rows up to `start - horizon` have come.
        known = max(start - horizon + 1, 0)
        if known > taken:
            late = np.arange(taken, known)
            fit.add(regressors.block(taken, known), wanted[late, step])
            taken = known
            fit.solve()
        if fit.coefficients is not None:
            forecast[start:end] = fit.say(regressors.block(start, end)).T
            skill[start:end] = fit.skill
    return forecast, skill


def linear_names(horizon: int) -> list[str]:
    """Return the names of the inputs, in order.

    Examples
    --------
    >>> linear_names(2)
    ['linear_forecast+1', 'linear_forecast+2', 'linear_skill+1', 'linear_skill+2']
    """
    return [
        f"linear_{kind}+{step}" for kind in ("forecast", "skill") for step in range(1, horizon + 1)
    ]


def linear_inputs(
    inputs: ColumnInputs, wanted: np.ndarray, plan: InputPlan, step_scale: np.ndarray
) -> np.ndarray:
    """Return what a network is told of the linear model: `(rows, 2 * horizon)`, float32.

    Parameters
    ----------
    inputs
        Of one column at every row from `sequence_len - 1` on.
    wanted
        `(rows, horizon)`: `scaling.targets` of the same rows, NaN where unknown.
    plan
        What the inputs are made of.
    step_scale
        `(horizon,)`: the unit of the network's outputs, in which the forecast is told.
    """
    forecast, skill = linear_forecast(
        _regressors(inputs, plan), wanted.astype(np.float64), first=plan.sequence_len - 1
    )
    told = np.concatenate([np.clip(forecast / step_scale, -LARGEST, LARGEST), skill], axis=1)
    return told.astype(np.float32)


def _regressors(inputs: ColumnInputs, plan: InputPlan) -> Regressors:
    names = {name: place for place, name in enumerate(context_names(plan))}
    level = inputs.sequence[:, :, CHANNELS.index("level")]
    slot = inputs.sequence[:, :, CHANNELS.index("slot")]
    # The week's inputs are left out: few series are long enough for what they would tell.
    kinds = [f"{period}_{kind}" for period in ("own", "day") for kind in ("last", "median")]
    gaps = inputs.context[:, [names[f"{kind}_gap-0"] for kind in kinds]]
    rows = len(level)
    common = [level[:, -LAGS:], level.mean(axis=1)[:, None], slot[:, -LAGS:], gaps]
    ahead = [
        inputs.context[:, [names[f"{kind}+{step}"] for step in range(1, plan.horizon + 1)]]
        for kind in ("roll_off", *kinds)
    ]
    return Regressors(
        np.concatenate([*common, np.ones((rows, 1))], axis=1, dtype=np.float64),
        np.stack(ahead, axis=2, dtype=np.float64),
    )
