"""The networks: short functions over Keras layers, in a registry by the original's names.

Each function takes a window `(windows, sequence_len, channels)` and returns what
it makes of it, `(windows, features)`; `build_network` puts the same head on all:
two dense layers over it, the last lags and the context.  The head's output is
the median and the distances to the other two quantiles, which cannot be
negative, so quantiles never cross.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mods.models.hyperparameters import Hyperparameters

__all__ = ["ARCHITECTURES", "build_network", "grown"]

#: A symbolic Keras tensor; Keras is imported only where a network is built.
Tensor = Any
#: Last windows that go straight to the head.
LAGS = 12
#: Units of the head's layers.
HEAD = 256

ARCHITECTURES: dict[str, Callable[[Tensor, Hyperparameters], Tensor]] = {}


def _architecture(name: str) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    def register(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        ARCHITECTURES[name] = function
        return function

    return register


@_architecture("MLP")
def mlp(sequence: Tensor, settings: Hyperparameters) -> Tensor:
    """Dense layers over the flattened window."""
    from keras import layers

    x = layers.Flatten()(sequence)
    for _ in range(settings.stacked_blocks):
        x = layers.Dense(4 * settings.blocks, activation="relu")(x)
        x = _regularised(x, settings)
    return x


@_architecture("Conv1D")
def conv1d(sequence: Tensor, settings: Hyperparameters) -> Tensor:
    """Stacked causal convolutions over time, then the mean and the last of what they found."""
    from keras import layers

    x = sequence
    for _ in range(settings.stacked_blocks):
        x = layers.Conv1D(settings.blocks, 6, padding="causal", activation="relu")(x)
        x = _regularised(x, settings)
    return layers.Concatenate()([layers.GlobalAveragePooling1D()(x), _last(x)])


@_architecture("autoencoderMLP")
def autoencoder_mlp(sequence: Tensor, settings: Hyperparameters) -> Tensor:
    """Dense layers that narrow to a code of `blocks` numbers and widen again."""
    from keras import layers

    x = layers.Flatten()(sequence)
    widths = [settings.blocks * 2 ** (n + 1) for n in range(settings.stacked_blocks)]
    for width in reversed(widths):
        x = _regularised(layers.Dense(width, activation="relu")(x), settings)
    code = layers.Dense(settings.blocks, activation="relu")(x)
    x = code
    for width in widths:
        x = _regularised(layers.Dense(width, activation="relu")(x), settings)
    return layers.Concatenate()([code, x])


@_architecture("LSTM")
def lstm(sequence: Tensor, settings: Hyperparameters) -> Tensor:
    """One layer of long short-term memory (Hochreiter and Schmidhuber, 1997)."""
    from keras import layers

    return _regularised(layers.LSTM(settings.blocks)(sequence), settings)


@_architecture("GRU")
def gru(sequence: Tensor, settings: Hyperparameters) -> Tensor:
    """One layer of gated recurrent units (Cho et al., 2014)."""
    from keras import layers

    return _regularised(layers.GRU(settings.blocks)(sequence), settings)


@_architecture("bidirectLSTM")
def bidirect_lstm(sequence: Tensor, settings: Hyperparameters) -> Tensor:
    """Two LSTMs of half of `blocks` each, one reading the window backwards."""
    from keras import layers

    half = layers.LSTM(max(1, settings.blocks // 2))
    return _regularised(layers.Bidirectional(half)(sequence), settings)


@_architecture("seq2seqLSTM")
def seq2seq_lstm(sequence: Tensor, settings: Hyperparameters) -> Tensor:
    """Read the window with one LSTM, and unroll its state over the horizon with a second."""
    from keras import layers

    read, hidden, cell = layers.LSTM(settings.blocks, return_state=True)(sequence)
    steps = layers.RepeatVector(settings.horizon)(_regularised(read, settings))
    said = layers.LSTM(settings.blocks, return_sequences=True)(steps, initial_state=[hidden, cell])
    each = layers.TimeDistributed(layers.Dense(4, activation="relu"))(said)
    return layers.Concatenate()([read, layers.Flatten()(each)])


@_architecture("stackedLSTM")
def stacked_lstm(sequence: Tensor, settings: Hyperparameters) -> Tensor:
    """`stacked_blocks` layers of LSTM, each over the states of the one before."""
    from keras import layers

    x = sequence
    for depth in range(settings.stacked_blocks):
        more = depth < settings.stacked_blocks - 1
        x = layers.LSTM(settings.blocks, return_sequences=more)(x)
        x = _regularised(x, settings)
    return x


@_architecture("attentionLSTM")
def attention_lstm(sequence: Tensor, settings: Hyperparameters) -> Tensor:
    """Ask all states of an LSTM, from the last one, what matters (Luong et al., 2015)."""
    from keras import layers

    states = layers.LSTM(settings.blocks, return_sequences=True)(sequence)
    last = layers.Cropping1D((settings.sequence_len - 1, 0))(states)
    found = layers.Attention(use_scale=True)([last, states])
    x = layers.Concatenate()([layers.Flatten()(last), layers.Flatten()(found)])
    return _regularised(x, settings)


@_architecture("TCN")
def tcn(sequence: Tensor, settings: Hyperparameters) -> Tensor:
    """One temporal convolutional network (Bai, Kolter and Koltun, 2018)."""
    return _last(_dilated(sequence, settings))


@_architecture("stackedTCN")
def stacked_tcn(sequence: Tensor, settings: Hyperparameters) -> Tensor:
    """`stacked_blocks` temporal convolutional networks of half of `blocks` filters each."""
    x = sequence
    half = replace(settings, blocks=max(1, settings.blocks // 2))
    for _ in range(settings.stacked_blocks):
        x = _dilated(x, half)
    return _last(x)


def build_network(
    settings: Hyperparameters, *, channels: int, context: int, columns: int = 1, told: int = 0
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
    told
        So many first features of the context are a forecast, a step each, in the outputs' unit:
        the network says how far to follow it, and what to add.

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
    joined = layers.Concatenate()([encoded, recent, around])
    # The squashed copy tells small departures apart while bursts stretch the other one.
    x = layers.Concatenate()([joined, layers.Activation("softsign")(layers.Rescaling(5.0)(joined))])
    for _ in range(2):
        x = layers.Dense(HEAD, activation="relu")(x)
        x = _regularised(x, settings)
    followed = None
    if told:
        rest = layers.Cropping1D((0, context - told))(layers.Reshape((context, 1))(around))
        trust = layers.Dense(told, activation="sigmoid")(x)
        followed = layers.Reshape((told, 1, 1))(layers.Multiply()([trust, layers.Flatten()(rest)]))
    said = _quantiles(x, settings.horizon, columns, followed)
    return _renamed(keras.Model([sequence, around], said))


def grown(network: Any, settings: Hyperparameters, **shape: int) -> Any:
    """Return the network with more features at the end of its context, which tell it nothing yet.

    Parameters
    ----------
    network
        As `build_network` made it of the same settings, trained or not; it is left as it is.
    settings, **shape
        What `build_network` is to be told; only `context` may differ, and be larger.

    Returns
    -------
    keras.Model
        It says what `network` says, until the new features' weights are learned.
    """
    import numpy as np

    larger = build_network(settings, **shape)
    more = shape["context"] - network.inputs[1].shape[1]
    weights = []
    for old, new in zip(network.get_weights(), larger.get_weights(), strict=True):
        if old.shape != new.shape:
            # The head's first layer: the context comes last, and once more squashed.
            none = np.zeros((more, old.shape[1]), old.dtype)
            once, squashed = np.split(old, 2)
            old = np.concatenate([once, none, squashed, none])
        weights.append(old)
    larger.set_weights(weights)
    return larger


def _renamed(network: Any) -> Any:
    """Return the network with names that do not depend on what was built before it.

    Keras numbers layers in the order in which a process makes them, and TensorFlow orders sums
    by name: with `dense_99` and `dense_100` a seeded training ends elsewhere, in the last bits,
    than with `dense_9` and `dense_10`.
    """
    import keras

    text = network.to_json()
    names = dict.fromkeys(re.findall(r'"name": "(\w+)", "trainable"', text))
    new = {name: f"{re.sub(r'_[0-9]+$', '', name)}_{n:03d}" for n, name in enumerate(names)}
    # values only: a key may be called as a layer is
    text = re.sub(r'"(\w+)"(?!:)', lambda match: f'"{new.get(match[1], match[1])}"', text)
    renamed = keras.models.model_from_json(text)
    renamed.set_weights(network.get_weights())
    return renamed


def _quantiles(x: Tensor, horizon: int, columns: int, followed: Tensor | None) -> Tensor:
    """Return lower quantile, median and upper quantile: `(windows, horizon, columns, 3)`."""
    from keras import layers

    def said(activation: str | None = None) -> Tensor:
        return layers.Reshape((horizon, columns, 1))(
            layers.Dense(horizon * columns, activation=activation)(x)
        )

    centre, below, above = said(), said("softplus"), said("softplus")
    if followed is not None:
        centre = layers.Add()([centre, followed])
    return layers.Concatenate()(
        [layers.Subtract()([centre, below]), centre, layers.Add()([centre, above])]
    )


def _dilated(x: Tensor, settings: Hyperparameters) -> Tensor:
    """Residual causal convolutions that reach twice as far back each, over the whole window."""
    from keras import layers

    reach = 1
    while 2 * (2 * reach - 1) < settings.sequence_len:
        y = layers.Conv1D(
            settings.blocks, 3, padding="causal", dilation_rate=reach, activation="relu"
        )(x)
        y = _regularised(y, settings)
        if x.shape[-1] != settings.blocks:
            x = layers.Conv1D(settings.blocks, 1)(x)
        x = layers.Add()([x, y])
        reach *= 2
    return x


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
