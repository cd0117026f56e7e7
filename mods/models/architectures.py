"""The networks: short functions over Keras layers, in a registry by the original's names.

Each function takes a window `(windows, sequence_len, channels)` and returns what
it makes of it, `(windows, features)`; `build_network` puts the same head on all:
two dense layers over it, the last lags and the context, and a linear way around
them.  The head's output is the median and the distances to the other two
quantiles, which cannot be negative, so quantiles never cross.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mods.models.hyperparameters import Hyperparameters

__all__ = ["ARCHITECTURES", "build_network"]

#: A symbolic Keras tensor; Keras is imported only where a network is built.
Tensor = Any
#: Last windows that go straight to the head.
LAGS = 12

ARCHITECTURES: dict[str, Callable[[Tensor, Hyperparameters], Tensor]] = {}


def _architecture(name: str) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    def register(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        ARCHITECTURES[name] = function
        return function

    return register


@_architecture("LSTM")
def lstm(sequence: Tensor, settings: Hyperparameters) -> Tensor:
    """One layer of long short-term memory (Hochreiter and Schmidhuber, 1997)."""
    from keras import layers

    encoded = layers.LSTM(settings.blocks)(sequence)
    return _regularised(encoded, settings)


@_architecture("Conv1D")
def conv1d(sequence: Tensor, settings: Hyperparameters) -> Tensor:
    """Stacked convolutions over time, then the mean and the last of what they found."""
    from keras import layers

    x = sequence
    for _ in range(settings.stacked_blocks):
        x = layers.Conv1D(settings.blocks, 6, padding="causal", activation="relu")(x)
        x = _regularised(x, settings)
    return layers.Concatenate()([layers.GlobalAveragePooling1D()(x), _last(x)])


def build_network(
    settings: Hyperparameters, *, channels: int, context: int, columns: int = 1
) -> Any:
    """Return the network, untrained and uncompiled.

    Parameters
    ----------
    settings
        Its kind and sizes.
    channels
        Channels of a window.
    context
        Features of the context.
    columns
        Columns that it forecasts at once; 1 where it serves any column.

    Returns
    -------
    keras.Model
        From `sequence` `(windows, sequence_len, channels)` and `context`
        `(windows, context)`, both float32, to `(windows, horizon, columns, 3)`: lower
        quantile, median, upper quantile.
    """
    import keras
    from keras import layers

    sequence = keras.Input((settings.sequence_len, channels), name="sequence")
    around = keras.Input((context,), name="context")
    encoded = ARCHITECTURES[settings.model_type](sequence, settings)
    lags = min(LAGS, settings.sequence_len)
    recent = layers.Flatten()(layers.Cropping1D((settings.sequence_len - lags, 0))(sequence))
    straight = layers.Concatenate()([recent, around])
    x = layers.Concatenate()([encoded, straight])
    for _ in range(2):
        x = layers.Dense(64, activation="relu")(x)
        x = _regularised(x, settings)
    return keras.Model([sequence, around], _quantiles(x, straight, settings.horizon, columns))


def _quantiles(x: Tensor, straight: Tensor, horizon: int, columns: int) -> Tensor:
    from keras import layers

    shape = (horizon, columns, 1)
    size = horizon * columns
    centre = layers.Add()([layers.Dense(size)(x), layers.Dense(size, use_bias=False)(straight)])
    centre = layers.Reshape(shape)(centre)
    below, above = (
        layers.Reshape(shape)(layers.Dense(size, activation="softplus")(x)) for _ in range(2)
    )
    return layers.Concatenate()(
        [layers.Subtract()([centre, below]), centre, layers.Add()([centre, above])]
    )


def _regularised(x: Tensor, settings: Hyperparameters) -> Tensor:
    """Normalise over the batch and drop out, where the settings ask for it."""
    from keras import layers

    if settings.batch_normalization:
        x = layers.BatchNormalization()(x)
    if settings.dropout_rate > 0:
        x = layers.Dropout(settings.dropout_rate)(x)
    return x


def _last(x: Tensor) -> Tensor:
    """Return the last window's features: `(windows, features)`."""
    from keras import layers

    return layers.Flatten()(layers.Cropping1D((x.shape[1] - 1, 0))(x))
