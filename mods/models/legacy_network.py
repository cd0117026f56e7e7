"""A network out of an HDF5 file of Keras 2, rebuilt in Keras 3 layer by layer.

The file's description is read as data: only layers with a builder of ours are
made (`mods.models.legacy_layers`), and nothing in it is executed.
"""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np

from mods.errors import ModelError
from mods.models.archive import Archive
from mods.models.legacy_layers import convert
from mods.models.quiet import load_tensorflow
from mods.models.saved_network import check_weights

__all__ = ["read_network"]

_MAX_LAYERS = 500
_MAX_WIDTH = 65_536


def read_network(archive: Archive, name: str) -> Any:
    """Return the network of an HDF5 member as a Keras 3 model (imports Keras).

    Raises
    ------
    ModelError
        Where the member is damaged, hostile, not of Keras 2, or holds a layer that has no
        counterpart.
    """
    import h5py

    label = f"{name} of {archive.label}"
    check_weights(archive, name)
    with h5py.File(io.BytesIO(archive.read(name)), "r") as file:
        version = _text(file.attrs.get("keras_version", b"2.2"))
        if not version.startswith("2."):
            raise ModelError(f"{label} was written by Keras {version[:20]}", "Keras 2.2 or 2.3")
        try:
            config = json.loads(_text(file.attrs["model_config"]))
            weights = _weights(file.get("model_weights", file))
        except (KeyError, ValueError, RecursionError, AttributeError, OSError) as error:
            raise ModelError(
                f"{label} does not hold a whole model",
                "a model saved with its architecture by Keras 2.2 or 2.3",
                "Fetch it once more, or train a new model with 'mods train'.",
            ) from error
    load_tensorflow()
    try:
        return _build(config, weights, label)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        text = str(error).strip().splitlines()
        raise ModelError(
            f"{label} cannot be rebuilt: {text[0][:200] if text else type(error).__name__}",
            "weights that fit the layers of its description",
            "Train a new model with 'mods train'.",
        ) from error


def _build(config: dict[str, Any], weights: dict[str, list[np.ndarray]], label: str) -> Any:
    kind, inner = config["class_name"], config["config"]
    if kind == "Sequential":
        layers = inner["layers"] if isinstance(inner, dict) else inner
        graph = _chain(layers)
        outputs = [[graph[-1]["name"], 0, 0]]
    elif kind in ("Model", "Functional"):
        graph, outputs = inner["layers"], inner["output_layers"]
    else:
        raise ModelError(f"{label} holds a {str(kind)[:40]!r}", "a Sequential or functional model")
    if len(graph) > _MAX_LAYERS:
        raise ModelError(f"{label} holds {len(graph)} layers", f"at most {_MAX_LAYERS}")
    if len(outputs) != 1:
        raise ModelError(f"{label} has {len(outputs)} outputs", "one output")
    return _Graph(graph, weights).model(outputs[0])


def _chain(layers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a Sequential's layers as a graph in which each follows the one before."""
    graph: list[dict[str, Any]] = []
    if layers[0]["class_name"] != "InputLayer":
        shape = layers[0]["config"]["batch_input_shape"]
        first = {"name": "input", "class_name": "InputLayer"}
        graph.append(first | {"config": {"batch_input_shape": shape}, "inbound_nodes": []})
    for layer in layers:
        inbound = [[[graph[-1]["name"], 0, 0, {}]]] if graph else []
        named = {"name": layer["config"]["name"], "inbound_nodes": inbound}
        graph.append({**layer, **named})
    return graph


class _Graph:
    """Builds the layers of a functional model in the order in which they become possible."""

    def __init__(self, layers: list[dict[str, Any]], weights: dict[str, list[np.ndarray]]) -> None:
        self.layers = layers
        self.weights = weights
        self.inputs: list[Any] = []
        self.made: dict[str, Any] = {}
        self.tensors: dict[tuple[str, int], list[Any]] = {}
        self.to_set: list[tuple[Any, list[np.ndarray]]] = []

    def model(self, output: list[Any]) -> Any:
        import keras

        waiting = [
            (layer, node, inbound)
            for layer in self.layers
            for node, inbound in enumerate(layer["inbound_nodes"] or [[]])
        ]
        while waiting:
            ready = [item for item in waiting if self._is_ready(item[2])]
            if not ready:
                raise ValueError(f"layer {waiting[0][0]['name']!r} has no input")
            for layer, node, inbound in ready:
                self.tensors[layer["name"], node] = self._call(layer, inbound)
            waiting = [item for item in waiting if not any(item is done for done in ready)]
        if len(self.inputs) != 1:
            raise ValueError(f"{len(self.inputs)} inputs where one is expected")
        result = self.tensors[output[0], output[1]][output[2]]
        model = keras.Model(self.inputs[0], result)
        for layer, arrays in self.to_set:
            layer.set_weights(arrays)
        return model

    def _is_ready(self, inbound: list[Any]) -> bool:
        return all((source[0], source[1]) in self.tensors for source in inbound)

    def _call(self, layer: dict[str, Any], inbound: list[Any]) -> list[Any]:
        import keras

        if layer["class_name"] == "InputLayer":
            shape = layer["config"]["batch_input_shape"][1:]
            if not all(isinstance(n, int) and 0 < n <= _MAX_WIDTH for n in shape):
                raise ValueError(f"an input of shape {shape}")
            self.inputs.append(keras.Input(shape))
            return self.inputs[-1:]
        sources = [self.tensors[source[0], source[1]][source[2]] for source in inbound]
        made = self._layer(layer)
        if made is None:
            return sources[:1]
        if isinstance(made, keras.layers.RNN) and len(sources) > 1:
            result = made(sources[0], initial_state=sources[1:])
        else:
            result = made(sources if len(sources) > 1 else sources[0])
        return list(result) if isinstance(result, list | tuple) else [result]

    def _layer(self, layer: dict[str, Any]) -> Any:
        name = layer["name"]
        if name not in self.made:
            arrays = self.weights.get(name, [])
            made, converted = convert(layer["class_name"], layer["config"], arrays)
            self.made[name] = made
            if converted:
                self.to_set.append((made, converted))
        return self.made[name]


def _weights(group: Any) -> dict[str, list[np.ndarray]]:
    """Return each layer's arrays in the order in which the layer takes them."""
    return {
        name: [
            np.asarray(group[name][weight], dtype=np.float32)
            for weight in _names(group[name], "weight_names")
        ]
        for name in _names(group, "layer_names")
    }


def _names(group: Any, attribute: str) -> list[str]:
    """Return a list of names; a long one is kept in numbered parts."""
    if attribute in group.attrs:
        return [_text(name) for name in group.attrs[attribute]]
    names: list[str] = []
    part = 0
    while f"{attribute}{part}" in group.attrs:
        names += [_text(name) for name in group.attrs[f"{attribute}{part}"]]
        part += 1
    return names


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
