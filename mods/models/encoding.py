"""From frames to what a network takes, and from what it says to values: the two ways to train.

`ScaleFree` gives each column to the network by itself, relative to its own level
and spread; one network serves all columns, also those it was not trained on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mods.errors import DataError
from mods.models.fitting import Arrays
from mods.models.hyperparameters import Hyperparameters
from mods.models.linear import linear_inputs, linear_names
from mods.models.multivariate import Multivariate
from mods.models.phase import PHASE_SIZE, Phase, learn_phases, phase_inputs
from mods.models.scaling import (
    CHANNELS,
    CYCLES,
    LARGEST_TARGET,
    OWN_CYCLES,
    PERIODS,
    ColumnInputs,
    InputPlan,
    column_inputs,
    context_names,
    put_back,
    targets,
)
from mods.models.seasonality import seasonal_periods
from mods.timerange import Window

__all__ = ["Encoding", "ScaleFree", "check_frame", "encoding_for", "typical_targets"]

#: How often each group of context inputs is masked in training.
MASKED_SHARE = 0.1
#: Rows of the past from which the period of a column that was not trained on is found,
#: and after how many rows it is looked for again.
PERIOD_MEMORY, PERIOD_EVERY = 4032, 144
#: Columns that get an input of their own, by which a network may treat them in their own way.
MAX_IDENTITIES = 64


class ScaleFree:
    """Each column by itself, relative to its own recent level and spread.

    Parameters
    ----------
    settings
        The model's hyper-parameters.
    window
        The window's name, None where it is not known.

    Attributes
    ----------
    periods
        Column to the windows of its seasonal inputs, as found in the training part.
    step_scale
        `(horizon,)`, float64: typical distance to the anchor in spreads; unit of the outputs.
    identities
        Columns that have an input of their own, 1 for this column and 0 for all others. It is
        masked at random in training, so that columns never seen, for which all are 0, are
        forecast too. None in a checkpoint for any network.
    phases
        For the same columns what tells the place in their periods, masked in the same way.
    """

    def __init__(self, settings: Hyperparameters, window: str | None) -> None:
        self._settings = settings
        parsed = None if window is None else Window.parse(window)
        self.plan = InputPlan(
            sequence_len=settings.sequence_len,
            horizon=settings.horizon,
            slots=1 if parsed is None else parsed.slots,
            model_delta=settings.model_delta,
            interpolate=settings.interpolate,
            utc_offset=settings.utc_offset,
        )
        self.per_day = 0 if parsed is None else parsed.per_day
        self.periods: dict[str, tuple[int, ...]] = {}
        self.step_scale = np.ones(settings.horizon)
        self.identities: tuple[str, ...] = ()
        self.phases: dict[str, tuple[Phase, ...]] = {}

    @property
    def shape(self) -> dict[str, int]:
        """Sizes for `architectures.build_network`."""
        context = len(self._names()) + len(self.identities)
        context += PHASE_SIZE if self.phases else 0
        told = self.plan.horizon
        return {"channels": len(CHANNELS), "context": context, "columns": 1, "told": told}

    def for_window(self, window: str | None) -> ScaleFree:
        """Return the same for data of another window: a checkpoint of none serves them all."""
        other = ScaleFree(self._settings, window)
        other.periods = self.periods
        other.speak_as(self)
        return other

    def learn(self, frame: pd.DataFrame, origins: np.ndarray) -> None:
        """Find the periods and the outputs' unit, from rows up to the last origin's targets."""
        part = frame.iloc[: origins[-1] + 1]
        self.plan = replace(self.plan, cycles=OWN_CYCLES)
        for name in frame.columns:
            self.periods[str(name)] = self._find(part[name].to_numpy(dtype=np.float64))
        self.step_scale = np.maximum(typical_targets(self, frame, origins), 1e-3)
        if len(frame.columns) <= MAX_IDENTITIES:
            self.identities = tuple(map(str, frame.columns))
            self.phases = {
                str(name): learn_phases(part[name], self.periods[str(name)][:2], self.per_day)
                for name in frame.columns
            }

    def speak_as(self, other: ScaleFree) -> None:
        """Take over what a network's inputs and outputs mean that is trained already.

        A network that knows no column by itself grows, and learns those of the training part;
        the several of `auto` do not.
        """
        self.step_scale = other.step_scale
        self.plan = replace(self.plan, cycles=other.plan.cycles)
        if other.identities or self._settings.model_type == "auto":
            self.identities, self.phases = other.identities, other.phases

    def select(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the frame as it is: every column can be forecast."""
        return frame

    def arrays(self, frame: pd.DataFrame, origins: np.ndarray) -> Arrays:
        """Return what the network learns from at the origins, column after column.

        Each column and step counts alike, however far its targets spread.
        """
        parts = []
        for name, inputs in zip(frame.columns, self.inputs(frame, origins), strict=True):
            wanted = _targets(frame[name], origins, inputs, self.plan.horizon)
            wanted = np.clip(wanted / self.step_scale, -LARGEST_TARGET, LARGEST_TARGET)
            weight = 1.0 / np.maximum(_typical(wanted), 0.05)
            counts = np.isfinite(wanted) & self._settled(frame[name], origins, wanted)
            target = np.stack([np.where(counts, wanted, 0.0), counts * weight], axis=-1)
            context = self._context(frame[name], origins, inputs)
            parts.append((inputs.sequence, context, target[:, :, None].astype(np.float32)))
        return Arrays(*(np.concatenate(p) for p in zip(*parts, strict=True)))

    def encode(
        self, frame: pd.DataFrame, origins: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, list[ColumnInputs]]:
        """Return sequence, context and what `decode` needs, column after column."""
        inputs = list(self.inputs(frame, origins))
        sequence = np.concatenate([own.sequence for own in inputs])
        context = np.concatenate(
            [
                self._context(frame[name], origins, own)
                for name, own in zip(frame.columns, inputs, strict=True)
            ]
        )
        return sequence, context, inputs

    def decode(self, outputs: np.ndarray, inputs: Any) -> np.ndarray:
        """Return values `(origins, horizon, columns, quantiles)` from the network's outputs."""
        outputs = outputs[:, :, 0] * self.step_scale[:, None]
        said = np.split(outputs, len(inputs))
        return np.stack(list(map(put_back, said, inputs)), axis=2)

    def inputs(self, frame: pd.DataFrame, origins: np.ndarray) -> Iterator[ColumnInputs]:
        """Yield the inputs of each column at the origins, with what its linear model says."""
        values = frame.to_numpy(dtype=np.float64)
        # The linear model learns from all rows of the past.
        rows = np.arange(self.plan.sequence_len - 1, origins[-1] + 1)
        periods = [
            self._periods_at(str(name), column, rows)
            for name, column in zip(frame.columns, values.T, strict=True)
        ]
        times = frame.index if isinstance(frame.index, pd.DatetimeIndex) else None
        each = column_inputs(values, rows, self.plan, periods, times)
        for column, inputs in zip(values.T, each, strict=True):
            wanted = targets(column, rows, inputs, self.plan.horizon)
            told = linear_inputs(inputs, wanted, self.plan, self.step_scale)
            inputs = replace(inputs, context=np.concatenate([told, inputs.context], axis=1))
            yield inputs.take(origins - rows[0])

    def mask(self, context: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Mask groups of context inputs at random, as they are where history is short."""
        for group in self._groups():
            context[random.random(len(context)) < MASKED_SHARE, group] = 0.0
        return context

    def state(self) -> dict[str, Any]:
        """Return what was learnt, as JSON can say it."""
        periods = {name: list(found) for name, found in self.periods.items()}
        return {
            "periods": periods,
            "step_scale": self.step_scale.tolist(),
            "identities": list(self.identities),
            "cycles": self.plan.cycles,
            "phases": {
                name: [phase.state() for phase in phases] for name, phases in self.phases.items()
            },
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned."""
        self.periods = {name: tuple(found) for name, found in state["periods"].items()}
        self.step_scale = np.asarray(state["step_scale"], dtype=np.float64)
        self.identities = tuple(state.get("identities", ()))
        self.plan = replace(self.plan, cycles=int(state.get("cycles", CYCLES)))
        self.phases = {
            name: tuple(Phase.restore(told) for told in phases)
            for name, phases in state.get("phases", {}).items()
        }

    def _settled(self, column: pd.Series, origins: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Return which targets are to be learned: `(windows, horizon)`, bool.

        Windows beside a gap hold a part of their slots only.  Changes from and to them are
        large, tell of the sensor and not of the traffic, and would decide when to stop.
        """
        gap = column.isna().to_numpy().astype(np.float64)
        near = np.convolve(gap, np.ones(2 * self.plan.slots + 1), mode="same") > 0.5
        whole = np.concatenate([~near[: len(gap)], np.zeros(self.plan.horizon, dtype=bool)])
        settled: np.ndarray = whole[origins[:, None] + np.arange(1, self.plan.horizon + 1)]
        settled = settled & whole[origins][:, None]
        known = np.isfinite(wanted)
        # A column full of gaps has nothing else to be learned from.
        return settled if (settled & known).sum() > 0.5 * known.sum() else known

    def _context(self, column: pd.Series, origins: np.ndarray, inputs: ColumnInputs) -> np.ndarray:
        """Return a column's context, identity and phases: `(windows, features)`, float32."""
        context = [inputs.context]
        own = np.array([one == str(column.name) for one in self.identities], dtype=np.float32)
        context.append(np.tile(own, (len(origins), 1)))
        if self.phases:
            phases = self.phases.get(str(column.name), ())
            context.append(phase_inputs(column, origins, phases, self.per_day))
        return np.concatenate(context, axis=1)

    def _names(self) -> list[str]:
        return linear_names(self.plan.horizon) + context_names(self.plan)

    def _groups(self) -> list[slice]:
        names = self._names()
        groups = []
        for prefix in (*(f"{p}_" for p in PERIODS), "calendar_", "linear_"):
            inside = [n for n, name in enumerate(names) if name.startswith(prefix)]
            groups.append(slice(inside[0], inside[-1] + 1))
        end = len(names) + len(self.identities)
        groups.append(slice(len(names), end))
        return [*groups, slice(end, end + PHASE_SIZE)] if self.phases else groups

    def _find(self, values: np.ndarray) -> tuple[int, ...]:
        return seasonal_periods(values, horizon=self.plan.horizon, per_day=self.per_day)

    def _periods_at(self, name: str, values: np.ndarray, origins: np.ndarray) -> np.ndarray:
        """Return a column's periods: `(3,)`, or `(windows, 3)` where each origin has its own."""
        if name in self.periods:
            return np.asarray(self.periods[name])
        # A column that was not trained on: at each origin only the past may tell its period.
        looks, places = np.unique((origins + 1) // PERIOD_EVERY, return_inverse=True)
        ends = looks * PERIOD_EVERY
        return np.array([self._find(values[max(0, n - PERIOD_MEMORY) : n]) for n in ends])[places]


#: How frames become inputs and outputs become values.
Encoding = ScaleFree | Multivariate


def encoding_for(settings: Hyperparameters, window: str | None) -> Encoding:
    """Return the encoding that the settings ask for."""
    return Multivariate(settings) if settings.multivariate else ScaleFree(settings, window)


def typical_targets(encoding: ScaleFree, frame: pd.DataFrame, origins: np.ndarray) -> np.ndarray:
    """Return the mean size of a frame's targets in spreads: `(horizon,)`, for `step_scale`."""
    sizes = [
        _typical(_targets(frame[name], origins, inputs, encoding.plan.horizon))
        for name, inputs in zip(frame.columns, encoding.inputs(frame, origins), strict=True)
    ]
    return np.asarray(np.nanmedian(np.stack(sizes), axis=0))


def _targets(
    column: pd.Series, origins: np.ndarray, inputs: ColumnInputs, horizon: int
) -> np.ndarray:
    return targets(column.to_numpy(dtype=np.float64), origins, inputs, horizon)


def _typical(wanted: np.ndarray) -> np.ndarray:
    """Return the mean size of the targets a step, 1 where nothing is known or all is constant."""
    known = np.isfinite(wanted)
    count = known.sum(axis=0)
    mean = np.where(known, np.abs(wanted), 0.0).sum(axis=0) / np.maximum(count, 1)
    return np.where(mean > 1e-6, mean, 1.0)


def check_frame(frame: pd.DataFrame, *, needed: int) -> None:
    """Raise `DataError` where a frame is too short, has infinite values or none at all."""
    if len(frame) < needed:
        raise DataError(
            f"{len(frame)} windows are too few",
            f"at least {needed}",
            "Give a longer range, or set a smaller sequence_len.",
        )
    values = frame.to_numpy(dtype=np.float64)
    infinite = np.isinf(values)
    if infinite.any():
        row, column = np.argwhere(infinite)[0]
        raise DataError(
            f"column {str(frame.columns[column])!r} is {values[row, column]} at {frame.index[row]}",
            "finite numbers, or empty cells",
        )
    if not np.isfinite(values).any():
        raise DataError("the data hold no value", "some windows with values")
