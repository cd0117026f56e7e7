"""Layers of Keras 2.2 and 2.3 as layers of Keras 3 that compute the same numbers.

What changed in between, and what is done about it:

- `hard_sigmoid` was clip(0.2 z + 0.5, 0, 1) and is clip(z / 6 + 0.5, 0, 1): weights and
  biases in front of it are multiplied by 1.2, which gives the same numbers;
- `CuDNNLSTM` and `CuDNNGRU` are gone: their weights lie transposed, their two biases
  apart, and their gates are sigmoids; a GRU of cuDNN applies the reset gate after the
  recurrent product;
- a plain GRU applied the reset gate before it, unless its settings say otherwise;
- dropout and noise do nothing in forecasts and are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mods.errors import ModelError

__all__ = ["Converted", "convert"]

Weights = list[np.ndarray]
Config = dict[str, Any]
#: A layer of Keras 3 (None: passes its input on) and its weights.
Converted = tuple[Any, Weights]

#: What 0.2 z + 0.5 has to be multiplied by to be z / 6 + 0.5.
_HARD = 1.2
_MAX_UNITS = 8192
_ACTIVATION_NAMES = (
    "linear tanh sigmoid hard_sigmoid relu elu selu softplus softsign softmax exponential"
)
_ACTIVATIONS = frozenset(_ACTIVATION_NAMES.split())
_NOTHING_NAMES = (
    "Dropout SpatialDropout1D GaussianDropout GaussianNoise AlphaDropout ActivityRegularization"
)
_NOTHING = frozenset(_NOTHING_NAMES.split())
#: Layers without weights whose settings kept name and meaning.
_PLAIN: dict[str, tuple[str, ...]] = {
    "Flatten": (),
    "Reshape": ("target_shape",),
    "Permute": ("dims",),
    "RepeatVector": ("n",),
    "MaxPooling1D": ("pool_size", "strides", "padding"),
    "AveragePooling1D": ("pool_size", "strides", "padding"),
    "GlobalAveragePooling1D": (),
    "GlobalMaxPooling1D": (),
    "UpSampling1D": ("size",),
    "ZeroPadding1D": ("padding",),
    "Cropping1D": ("cropping",),
    "Add": (),
    "Subtract": (),
    "Multiply": (),
    "Average": (),
    "Maximum": (),
    "Minimum": (),
    "Concatenate": ("axis",),
    "Masking": ("mask_value",),
}


def convert(class_name: str, config: Config, weights: Weights) -> Converted:
    """Return the layer of Keras 3 and its weights.

    Parameters
    ----------
    class_name, config
        As the old file has them.
    weights
        The layer's arrays, in the file's order.

    Raises
    ------
    ModelError
        Where the layer is not known, or holds code.
    """
    import keras

    if class_name in _NOTHING:
        return None, []
    if class_name in _PLAIN:
        if config.get("data_format", "channels_last") != "channels_last":
            raise _unknown(f"{class_name} with data_format {config['data_format']!r}")
        options = {name: config[name] for name in _PLAIN[class_name] if name in config}
        return getattr(keras.layers, class_name)(**options), []
    builder = _BUILDERS.get(class_name)
    if builder is None:
        raise _unknown(class_name)
    return builder(config, weights)


def _unknown(what: str) -> ModelError:
    if what == "Lambda":
        return ModelError(
            "the old network holds a Lambda layer, which is code",
            "layers that only compute on numbers",
            "Train a new model with 'mods train'.",
        )
    return ModelError(
        f"the old network holds a layer {what[:80]}, which cannot be moved",
        "the layers of Keras 2 that forecast series",
        "Train a new model with 'mods train'.",
    )


def _activation(config: Config, default: str = "linear", name: str = "activation") -> str:
    value = config.get(name, default) or "linear"
    if value not in _ACTIVATIONS:
        raise _unknown(f"with the {name} {str(value)[:40]!r}")
    return str(value)


def _units(config: Config, name: str = "units") -> int:
    value = config.get(name)
    if not isinstance(value, int) or not 0 < value <= _MAX_UNITS:
        raise _unknown(f"with {name} {str(value)[:20]} (1 to {_MAX_UNITS})")
    return value


def _scaled(activation: str, weights: Weights) -> Weights:
    """Return kernels and biases such that the activation means what it meant."""
    return [_HARD * w for w in weights] if activation == "hard_sigmoid" else weights


def _dense(config: Config, weights: Weights) -> Converted:
    import keras

    activation = _activation(config)
    layer = keras.layers.Dense(
        _units(config), activation=activation, use_bias=config.get("use_bias", True)
    )
    return layer, _scaled(activation, weights)


def _conv(config: Config, weights: Weights) -> Converted:
    import keras

    if config.get("data_format", "channels_last") != "channels_last":
        raise _unknown("Conv1D with data_format 'channels_first'")
    activation = _activation(config)
    layer = keras.layers.Conv1D(
        _units(config, "filters"),
        config["kernel_size"],
        strides=config.get("strides", 1),
        padding=config.get("padding", "valid"),
        dilation_rate=config.get("dilation_rate", 1),
        activation=activation,
        use_bias=config.get("use_bias", True),
    )
    return layer, _scaled(activation, weights)


def _activation_layer(config: Config, _: Weights) -> Converted:
    import keras

    activation = _activation(config)
    if activation != "hard_sigmoid":
        return keras.layers.Activation(activation), []
    both = [keras.layers.Rescaling(_HARD), keras.layers.Activation(activation)]
    return keras.Sequential(both), []


def _leaky_relu(config: Config, _: Weights) -> Converted:
    import keras

    return keras.layers.LeakyReLU(negative_slope=float(config.get("alpha", 0.3))), []


def _relu(config: Config, _: Weights) -> Converted:
    import keras

    limit = config.get("max_value")
    return keras.layers.ReLU(
        max_value=None if limit is None else float(limit),
        negative_slope=float(config.get("negative_slope", 0.0)),
        threshold=float(config.get("threshold", 0.0)),
    ), []


def _elu(config: Config, _: Weights) -> Converted:
    import keras

    if config.get("alpha", 1.0) != 1.0:
        raise _unknown(f"ELU with alpha {config['alpha']}")
    return keras.layers.Activation("elu"), []


def _softmax(config: Config, _: Weights) -> Converted:
    import keras

    return keras.layers.Softmax(axis=config.get("axis", -1)), []


def _batch_normalization(config: Config, weights: Weights) -> Converted:
    import keras

    axis = config.get("axis", -1)
    layer = keras.layers.BatchNormalization(
        axis=axis[0] if isinstance(axis, list) else axis,
        epsilon=config.get("epsilon", 1e-3),
        center=config.get("center", True),
        scale=config.get("scale", True),
    )
    return layer, weights


def _state_activation(config: Config) -> str:
    activation = _activation(config, "tanh")
    if activation == "hard_sigmoid":
        # It is applied to the cell's state too, which no weight stands in front of.
        raise _unknown("with the activation 'hard_sigmoid' on its state")
    return activation


def _sequence_options(config: Config) -> Config:
    if config.get("stateful"):
        raise _unknown("that is stateful")
    names = ("return_sequences", "return_state", "go_backwards")
    return {name: bool(config.get(name, False)) for name in names}


def _lstm(config: Config, weights: Weights) -> Converted:
    import keras

    units = _units(config)
    gate = _activation(config, "hard_sigmoid", "recurrent_activation")
    layer = keras.layers.LSTM(
        units,
        activation=_state_activation(config),
        recurrent_activation=gate,
        use_bias=config.get("use_bias", True),
        **_sequence_options(config),
    )
    # Input, forget, candidate, output: the candidate is no gate.
    return layer, _scaled_gates(gate, weights, units, (True, True, False, True))


def _gru(config: Config, weights: Weights) -> Converted:
    import keras

    units = _units(config)
    gate = _activation(config, "hard_sigmoid", "recurrent_activation")
    layer = keras.layers.GRU(
        units,
        activation=_state_activation(config),
        recurrent_activation=gate,
        use_bias=config.get("use_bias", True),
        reset_after=bool(config.get("reset_after", False)),
        **_sequence_options(config),
    )
    # Update, reset, candidate.
    return layer, _scaled_gates(gate, weights, units, (True, True, False))


def _simple_rnn(config: Config, weights: Weights) -> Converted:
    import keras

    activation = _activation(config, "tanh")
    layer = keras.layers.SimpleRNN(
        _units(config),
        activation=activation,
        use_bias=config.get("use_bias", True),
        **_sequence_options(config),
    )
    return layer, _scaled(activation, weights)


def _scaled_gates(gate: str, weights: Weights, units: int, is_gate: tuple[bool, ...]) -> Weights:
    if gate != "hard_sigmoid":
        return weights
    factor = np.repeat(np.where(is_gate, _HARD, 1.0), units)
    # Gates lie along the last axis of kernel, recurrent kernel and bias alike.
    return [w * factor for w in weights]


def _cudnn_lstm(config: Config, weights: Weights) -> Converted:
    import keras

    units = _units(config)
    layer = keras.layers.LSTM(units, recurrent_activation="sigmoid", **_sequence_options(config))
    kernel, recurrent, bias = weights
    return layer, [
        _turned(kernel, units),
        _turned(recurrent, units),
        bias[: 4 * units] + bias[4 * units :],
    ]


def _cudnn_gru(config: Config, weights: Weights) -> Converted:
    import keras

    units = _units(config)
    layer = keras.layers.GRU(
        units, recurrent_activation="sigmoid", reset_after=True, **_sequence_options(config)
    )
    kernel, recurrent, bias = weights
    return layer, [
        _turned(kernel, units),
        _turned(recurrent, units),
        bias.reshape(2, 3 * units),
    ]


def _turned(kernel: np.ndarray, units: int) -> np.ndarray:
    """Return a cuDNN kernel `(inputs, gates * units)` the way a plain layer multiplies by it.

    cuDNN reads the memory of each gate's `(inputs, units)` as `(units, inputs)`.
    """
    gates = np.split(kernel, kernel.shape[1] // units, axis=1)
    turned = [np.ascontiguousarray(g).reshape(units, len(kernel)).T for g in gates]
    return np.concatenate(turned, axis=1)


def _bidirectional(config: Config, weights: Weights) -> Converted:
    import keras

    inner = config["layer"]
    half = len(weights) // 2
    forward, first = convert(inner["class_name"], inner["config"], weights[:half])
    _, second = convert(inner["class_name"], inner["config"], weights[half:])
    mode = config.get("merge_mode", "concat")
    return keras.layers.Bidirectional(forward, merge_mode=mode), first + second


def _time_distributed(config: Config, weights: Weights) -> Converted:
    import keras

    inner = config["layer"]
    layer, converted = convert(inner["class_name"], inner["config"], weights)
    return None if layer is None else keras.layers.TimeDistributed(layer), converted


_BUILDERS: dict[str, Callable[[Config, Weights], Converted]] = {
    "Dense": _dense,
    "Conv1D": _conv,
    "Activation": _activation_layer,
    "LeakyReLU": _leaky_relu,
    "ReLU": _relu,
    "ELU": _elu,
    "Softmax": _softmax,
    "BatchNormalization": _batch_normalization,
    "LSTM": _lstm,
    "GRU": _gru,
    "SimpleRNN": _simple_rnn,
    "CuDNNLSTM": _cudnn_lstm,
    "CuDNNGRU": _cudnn_gru,
    "Bidirectional": _bidirectional,
    "TimeDistributed": _time_distributed,
}
