"""Fixed columns together: what each one did bears on the forecasts of all.

The original's way: a network sees all columns of a window at once and forecasts
all of them, so it serves these columns only.  Scaling is fitted on the training
part, never on what is judged.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mods.errors import DataError, did_you_mean
from mods.models.clock import CALENDAR, calendar
from mods.models.fitting import Arrays
from mods.models.hyperparameters import Hyperparameters
from mods.models.levels import hold
from mods.models.scaling import LARGEST_TARGET, InputPlan, row_windows

__all__ = ["Multivariate"]

_LIMIT = 20.0


class Multivariate:
    """Fixed columns together, each in its own unit of the training part.

    Parameters
    ----------
    settings
        The model's hyper-parameters. With `model_delta` the network sees changes from window to
        window and forecasts the change since the last one; otherwise levels.

    Attributes
    ----------
    columns
        Their names, in the order of the network's outputs.
    centre, unit
        `(columns,)`, float64: mean and spread of what the network sees, in the training part.
    step_unit
        `(horizon, columns)`, float64: typical size of what it forecasts.
    signed
        `(columns,)`, bool: negative values were seen in the training part.
    """

    def __init__(self, settings: Hyperparameters) -> None:
        self.plan = InputPlan(
            settings.sequence_len,
            settings.horizon,
            model_delta=settings.model_delta,
            interpolate=settings.interpolate,
            utc_offset=settings.utc_offset,
        )
        self.columns: tuple[str, ...] = ()
        self.centre = self.unit = np.zeros(0)
        self.step_unit = np.zeros((settings.horizon, 0))
        self.signed = np.zeros(0, dtype=bool)

    @property
    def shape(self) -> dict[str, int]:
        """Sizes for `architectures.build_network`."""
        count = len(self.columns)
        return {"channels": 2 * count, "context": len(CALENDAR), "columns": count}

    def for_window(self, window: str | None) -> Multivariate:
        """Return itself: the window is part of what it was trained on."""
        del window
        return self

    def select(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the frame's columns that it was trained on, in its order.

        Raises
        ------
        DataError
            Where one is missing.
        """
        names = [str(name) for name in frame.columns]
        for name in self.columns:
            if name not in names:
                raise DataError(
                    f"the data have no column {name!r}, which the model was trained on",
                    f"the columns {', '.join(self.columns)}",
                    did_you_mean(name, names),
                )
        return frame.iloc[:, [names.index(name) for name in self.columns]]

    def learn(self, frame: pd.DataFrame, origins: np.ndarray) -> None:
        """Fit the units on rows up to the last origin, and on targets up to the horizon after."""
        self.columns = tuple(map(str, frame.columns))
        values = frame.to_numpy(dtype=np.float64)
        seen = self._seen(values[: origins[-1] + 1])
        known = np.isfinite(seen)
        count = np.maximum(known.sum(axis=0), 1)
        self.centre = np.where(known, seen, 0.0).sum(axis=0) / count
        away = np.where(known, np.abs(seen - self.centre), 0.0)
        self.unit = _positive(away.sum(axis=0) / count)
        self.signed = np.asarray((values[: origins[-1] + 1] < 0).any(axis=0))
        wanted = self._wanted(values, origins)
        known = np.isfinite(wanted)
        size = np.where(known, np.abs(wanted), 0.0).sum(axis=0)
        self.step_unit = _positive(size / np.maximum(known.sum(axis=0), 1))

    def speak_as(self, other: Multivariate) -> None:
        """Take over the units of a network that is trained already.

        Raises
        ------
        DataError
            Where that one forecasts other columns.
        """
        if other.columns != self.columns:
            raise DataError(
                f"the data have the columns {', '.join(self.columns)}",
                f"those of the model to go on from: {', '.join(other.columns)}",
            )
        self.restore(other.state())

    def arrays(self, frame: pd.DataFrame, origins: np.ndarray) -> Arrays:
        """Return what the network learns from at the origins."""
        sequence, context, _ = self.encode(frame, origins)
        wanted = self._wanted(frame.to_numpy(dtype=np.float64), origins) / self.step_unit
        known = np.isfinite(wanted)
        wanted = np.clip(np.where(known, wanted, 0.0), -LARGEST_TARGET, LARGEST_TARGET)
        target = np.stack([wanted, known], axis=-1).astype(np.float32)
        return Arrays(sequence, context, target)

    def encode(
        self, frame: pd.DataFrame, origins: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return sequence, context, and the last known values `(origins, columns)`."""
        values = frame.to_numpy(dtype=np.float64)
        held, parts = hold(values), []
        for place in range(values.shape[1]):
            raw, observed = row_windows(values[:, place], held[:, place], origins, self.plan)
            scaled = (self._seen(raw.T).T - self.centre[place]) / self.unit[place]
            scaled = np.nan_to_num(np.clip(scaled, -_LIMIT, _LIMIT))
            parts += [np.where(observed, scaled, 0.0), observed]
        sequence = np.stack(parts, axis=-1).astype(np.float32)
        times = frame.index if isinstance(frame.index, pd.DatetimeIndex) else None
        context = calendar(times, origins, self.plan.utc_offset).astype(np.float32)
        return sequence, context, held[origins]

    def decode(self, outputs: np.ndarray, last: Any) -> np.ndarray:
        """Return values `(origins, horizon, columns, quantiles)` from the network's outputs."""
        values = outputs.astype(np.float64) * self.step_unit[..., None]
        if self.plan.model_delta:
            values = values + last[:, None, :, None]
        else:
            values = values + self.centre[:, None]
            # Where nothing was observed yet there is nothing to stand on.
            values = np.where(np.isfinite(last)[:, None, :, None], values, np.nan)
        floor = np.where(self.signed, -np.inf, 0.0)
        decoded: np.ndarray = np.maximum(values, floor[:, None])
        return decoded

    def mask(self, context: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Return the context as it is: it holds the calendar alone."""
        del random
        return context

    def state(self) -> dict[str, Any]:
        """Return what was learnt, as JSON can say it."""
        return {
            "columns": list(self.columns),
            "centre": self.centre.tolist(),
            "unit": self.unit.tolist(),
            "step_unit": self.step_unit.tolist(),
            "signed": self.signed.tolist(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned."""
        self.columns = tuple(state["columns"])
        self.centre, self.unit, self.step_unit = (
            np.asarray(state[name], dtype=np.float64) for name in ("centre", "unit", "step_unit")
        )
        self.signed = np.asarray(state["signed"], dtype=bool)

    def _seen(self, values: np.ndarray) -> np.ndarray:
        """Return what the network looks at, row by row: changes, or levels."""
        if not self.plan.model_delta:
            return values
        changes = np.diff(values, axis=0)
        return np.concatenate([np.zeros((1, *values.shape[1:])), changes])

    def _wanted(self, values: np.ndarray, origins: np.ndarray) -> np.ndarray:
        """Return what it is to say, unscaled: `(origins, horizon, columns)`."""
        steps = np.arange(1, self.plan.horizon + 1)
        padded = np.vstack([values, np.full((len(steps), values.shape[1]), np.nan)])
        ahead: np.ndarray = padded[origins[:, None] + steps]
        if not self.plan.model_delta:
            return ahead - self.centre
        change: np.ndarray = ahead - hold(values)[origins][:, None]
        return change


def _positive(sizes: np.ndarray) -> np.ndarray:
    """Return the sizes, 1 where there is none: a constant column has no spread."""
    positive: np.ndarray = np.where(np.nan_to_num(sizes) > 1e-12, sizes, 1.0)
    return positive
