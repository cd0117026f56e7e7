"""What can be set when a model is made: names, defaults, limits, and what each one does."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from mods.errors import ModelError, did_you_mean

__all__ = ["FINE_TUNING", "FIXED", "MODEL_TYPES", "Hyperparameters", "settings_on"]

#: The eleven networks, by the original's names, and the recipe that combines some of them.
MODEL_TYPES = (
    "MLP",
    "Conv1D",
    "autoencoderMLP",
    "LSTM",
    "GRU",
    "bidirectLSTM",
    "seq2seqLSTM",
    "stackedLSTM",
    "attentionLSTM",
    "TCN",
    "stackedTCN",
    "auto",
)
#: What a training that goes on from another model takes where nothing else is said: a few epochs,
#: so that it does not forget what it knows, of small batches, for there are often few windows.
FINE_TUNING = {"learning_rate": 1e-3, "num_epochs": 4, "batch_size": 128}
#: What a network keeps for good.
_SIZES = ("sequence_len", "horizon", "blocks", "stacked_blocks", "batch_normalization")
FIXED = ("model_type", "coverage", "multivariate", "model_delta", "dropout_rate", *_SIZES)


def _setting(default: Any, text: str, low: float | None = None, high: float | None = None) -> Any:
    return field(default=default, metadata={"help": text, "low": low, "high": high})


@dataclass(frozen=True)
class Hyperparameters:
    """The hyper-parameters of a model; each field's metadata hold `help`, `low` and `high`.

    Raises
    ------
    ModelError
        Where a value is of the wrong type or out of its limits, or a model type is unknown.

    Examples
    --------
    >>> Hyperparameters(model_type="GRU").horizon
    12
    >>> Hyperparameters(dropout_rate=1.0)
    Traceback (most recent call last):
    mods.errors.ModelError: dropout_rate is 1.0; expected a number from 0 to 0.9.
    """

    model_type: str = _setting("LSTM", "the network's kind")
    sequence_len: int = _setting(36, "windows that the network looks at", 2, 10_000)
    horizon: int = _setting(12, "steps that it forecasts, all at once", 1, 1000)
    steps_ahead: int = _setting(12, "steps that a forecast shows, of the horizon", 1, 1000)
    coverage: float = _setting(0.9, "share of actual values inside the interval", 0.01, 0.999)
    multivariate: bool = _setting(False, "fixed columns together, not each column by itself")
    model_delta: bool = _setting(True, "forecast changes from the last window, not levels")
    interpolate: bool = _setting(False, "fill gaps inside a window linearly, not masked")
    blocks: int = _setting(32, "units or filters of a layer", 1, 1024)
    stacked_blocks: int = _setting(2, "layers of the stacked and convolutional types", 1, 16)
    dropout_rate: float = _setting(0.2, "share of activations dropped in training", 0.0, 0.9)
    batch_normalization: bool = _setting(False, "normalise activations over the batch")
    num_epochs: int = _setting(8, "passes over the data, at most", 1, 100_000)
    epochs_patience: int = _setting(4, "epochs without gain before training stops", 1, 100_000)
    batch_size: int = _setting(256, "windows of one training step", 1, 65_536)
    learning_rate: float = _setting(1e-3, "of the first step; falls to 0 along a cosine", 1e-7, 1.0)
    utc_offset: float = _setting(0.0, "hours of the site's clock ahead of UTC", -14.0, 14.0)
    seed: int = _setting(0, "equal seeds give equal models", 0, 2**31 - 1)

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value = _checked(item, getattr(self, item.name))
            object.__setattr__(self, item.name, value)
        if self.model_type not in MODEL_TYPES:
            raise ModelError(
                f"unknown model type {self.model_type!r}",
                mend=did_you_mean(str(self.model_type), MODEL_TYPES),
            )
        if self.steps_ahead > self.horizon:
            raise ModelError(
                f"steps_ahead is {self.steps_ahead}",
                f"at most the horizon, {self.horizon}",
                "Set a longer horizon too.",
            )

    @classmethod
    def of(cls, **given: Any) -> Hyperparameters:
        """Make them from names and values; raise `ModelError` for a name that is none."""
        names = [item.name for item in dataclasses.fields(cls)]
        for name in given:
            if name not in names:
                raise ModelError(
                    f"unknown hyper-parameter {name!r}", mend=did_you_mean(name, names)
                )
        if "steps_ahead" not in given and "horizon" in given:
            given["steps_ahead"] = given["horizon"]
        return cls(**given)

    def as_dict(self) -> dict[str, Any]:
        """Return names and values, as JSON can say them."""
        return dataclasses.asdict(self)


def settings_on(begun: Hyperparameters, given: dict[str, Any]) -> Hyperparameters:
    """Return the hyper-parameters of a model that goes on from another one.

    They are the other's own but for those that were given, and for `FINE_TUNING`.

    Raises
    ------
    ModelError
        Where what was given is unknown, out of its limits, or asks for another network.

    Examples
    --------
    >>> settings_on(Hyperparameters(blocks=8), {"num_epochs": 2}).blocks
    8
    """
    for name in FIXED:
        has = getattr(begun, name)
        if name in given and given[name] != has:
            raise ModelError(
                f"{name} is {given[name]!r}, but the model to go on from has {has!r}",
                "the same network",
                f"Leave {name} out.",
            )
    return Hyperparameters.of(**begun.as_dict() | FINE_TUNING | given)


def _checked(item: dataclasses.Field[Any], value: Any) -> Any:
    """Return the value as its field's type; raise `ModelError` where it does not fit."""
    low, high = item.metadata["low"], item.metadata["high"]
    kind = str(item.type)
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind == "str" and isinstance(value, str):
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind in ("int", "float") and number and low <= value <= high:
        if kind == "float":
            return float(value)
        if value == int(value):
            return int(value)
    expected = {"bool": "true or false", "str": "a text"}.get(
        kind,
        f"a{' whole' * (kind == 'int')} number from {low:g} to {high:g}" if low is not None else "",
    )
    raise ModelError(f"{item.name} is {value!r}", expected + ".")
