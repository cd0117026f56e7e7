"""Networks in and out of Keras' own format, without trust in where the file came from.

Keras' safe mode refuses code in a file.  On top of it, a network of ours is made
of a known list of layers, has bounded sizes, and carries no assets; whatever
else a file asks for is refused before Keras sees it.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mods.errors import ModelError
from mods.models.archive import Archive, pack
from mods.models.quiet import load_tensorflow

__all__ = ["check_network", "check_weights", "network_from_bytes", "network_to_bytes"]

_MEMBERS = r"metadata\.json|config\.json|model\.weights\.h5"
_MAX_WEIGHTS = 256 << 20
_MAX_DEPTH = 60
_MAX_OBJECTS = 20_000
#: No size in a layer's settings (units, filters, shape) is larger in a network of ours.
_MAX_NUMBER = 65_536
_SIZES = {"units", "filters", "kernel_size", "input_dim", "output_dim", "num_heads", "key_dim"}
_SIZES |= {"value_dim", "n", "size", "target_shape", "batch_shape", "padding", "cropping", "repeat"}

_LAYER_NAMES = (
    "Activation Add AdditiveAttention AlphaDropout Attention Average AveragePooling1D "
    "BatchNormalization Bidirectional Concatenate Conv1D Conv1DTranspose Cropping1D "
    "Dense DepthwiseConv1D Dot Dropout EinsumDense ELU Embedding Flatten "
    "GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalMaxPooling1D "
    "GroupNormalization GroupQueryAttention GRU GRUCell Identity InputLayer "
    "LayerNormalization LeakyReLU LSTM LSTMCell Masking Maximum MaxPooling1D Minimum "
    "MultiHeadAttention Multiply Normalization Permute PReLU ReLU RepeatVector "
    "Rescaling Reshape RMSNormalization RNN SeparableConv1D SimpleRNN SimpleRNNCell "
    "Softmax SpatialDropout1D SpectralNormalization StackedRNNCells Subtract "
    "TimeDistributed UnitNormalization UpSampling1D ZeroPadding1D"
)
_LAYERS = frozenset(_LAYER_NAMES.split())
#: Modules whose classes only hold numbers or compute on arrays.
_PLAIN_MODULES = ("keras.initializers", "keras.regularizers", "keras.constraints", "keras.src.ops.")
_MODELS = {
    ("keras", "DTypePolicy"),
    ("keras.src.models.functional", "Functional"),
    ("keras.models", "Sequential"),
    ("keras", "Sequential"),
    ("keras", "Functional"),
    ("keras", "Model"),
    ("keras.models", "Model"),
}


def network_to_bytes(network: Any) -> bytes:
    """Return a Keras network as bytes, without its optimizer, equal for equal weights.

    Raises
    ------
    ModelError
        Where it holds a layer that `network_from_bytes` would refuse.
    """
    with tempfile.TemporaryDirectory(prefix="mods-") as folder:
        path = Path(folder) / "network.keras"
        # The format stores the optimizer of a network that was compiled, whatever it is told.
        optimizer = getattr(network, "optimizer", None)
        network.optimizer = None
        try:
            network.save(path)
        finally:
            network.optimizer = optimizer
        archive = Archive(path.read_bytes(), "the network")
    config = json.loads(archive.read("config.json"))
    # What is left is what forecasting needs; ids in memory and the date differ at each writing.
    config.pop("compile_config", None)
    _renumber(config, {})
    metadata = json.loads(archive.read("metadata.json")) | {"date_saved": ""}
    members = {
        "metadata.json": json.dumps(metadata).encode(),
        "config.json": json.dumps(config).encode(),
        "model.weights.h5": archive.read("model.weights.h5"),
    }
    # The bundle around it compresses.
    data = pack(members, compress=False)
    check_network(data, "the network")
    return data


def network_from_bytes(data: bytes, label: str) -> Any:
    """Return the Keras network that `data` hold (imports Keras).

    Parameters
    ----------
    data
        A `.keras` file's content.
    label
        What messages call it.

    Raises
    ------
    ModelError
        Where it is damaged, asks for anything but plain layers, or does not fit this Keras.
    """
    check_network(data, label)
    load_tensorflow()
    import keras

    with tempfile.TemporaryDirectory(prefix="mods-") as folder:
        path = Path(folder) / "network.keras"
        path.write_bytes(data)
        try:
            return keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # Keras raises whatever its layers raise
            text = str(error).strip().splitlines()
            raise ModelError(
                f"{label} cannot be loaded by Keras {keras.__version__}:"
                f" {text[0][:200] if text else type(error).__name__}",
                "a network written by this or an older version of Keras",
                "Update the package, or train the model again.",
            ) from error


def check_network(data: bytes, label: str) -> None:
    """Raise `ModelError` where `data` are no network of plain layers; Keras is not imported."""
    archive = Archive(data, label, max_members=16, max_size=_MAX_WEIGHTS)
    archive.expect(_MEMBERS)
    try:
        config = json.loads(archive.read("config.json"))
    except (ValueError, RecursionError) as error:
        raise archive.damaged("damaged in its member 'config.json'") from error
    if not isinstance(config, dict) or "class_name" not in config:
        raise archive.damaged("without a network in its member 'config.json'")
    for count, (key, value) in enumerate(_walk(config, archive)):
        if count > 10 * _MAX_OBJECTS:
            raise archive.refused("describes an endless network")
        if isinstance(value, dict):
            _check_class(value, archive)
        elif key in _SIZES and isinstance(value, int) and abs(value) > _MAX_NUMBER:
            raise archive.refused(f"asks for {key} {value}", f"at most {_MAX_NUMBER}")
    check_weights(archive, "model.weights.h5")


def _check_class(value: dict[str, Any], archive: Archive) -> None:
    name = value.get("class_name")
    if name is None or name == "__keras_tensor__":
        return
    module = value.get("module") or "keras.layers"
    registered = value.get("registered_name")
    known = (
        (module == "keras.layers" and name in _LAYERS)
        or (module, name) in _MODELS
        or (isinstance(module, str) and module.startswith(_PLAIN_MODULES))
        or name in ("__numpy__", "__tensor__", "__slice__", "__ellipsis__")
    )
    own = isinstance(name, str) and registered in (None, name)
    if not (known and own):
        raise archive.refused(
            f"asks for {str(module)[:60]}.{str(name)[:60]}", "a network of plain Keras layers"
        )


def check_weights(archive: Archive, name: str) -> None:
    """Raise `ModelError` where a member is no HDF5 file that keeps bounded numbers of its own."""
    import h5py

    content = archive.read(name)
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            _check_group(file, archive, [0])
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise archive.damaged("damaged in its weights") from error


def _check_group(group: Any, archive: Archive, seen: list[int], depth: int = 0) -> None:
    """Refuse links out of the file, data kept elsewhere, and claims beyond the limit."""
    import h5py

    if depth > _MAX_DEPTH:
        raise archive.refused("nests its weights without end")
    for name in group:
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise archive.refused(f"links its weights {name!r} to elsewhere", "weights of its own")
        item = group[name]
        if isinstance(item, h5py.Group):
            _check_group(item, archive, seen, depth + 1)
            continue
        if item.external or item.is_virtual:
            raise archive.refused(f"keeps its weights {name!r} elsewhere", "weights of its own")
        if item.dtype.kind not in "fiubS":
            raise archive.refused(f"keeps objects as its weights {name!r}", "numbers")
        seen[0] += item.size * item.dtype.itemsize
        if seen[0] > _MAX_WEIGHTS:
            raise archive.refused(
                f"claims more than {_MAX_WEIGHTS} bytes of weights", "a small network"
            )


def _walk(value: Any, archive: Archive, key: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield each value of the description with the key that it stands under."""
    if depth > _MAX_DEPTH:
        raise archive.refused("describes a network nested without end")
    yield key, value
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _walk(item, archive, name, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item, archive, key, depth + 1)


def _renumber(value: Any, seen: dict[int, int]) -> None:
    """Replace object ids, which are addresses in memory, by the order of their appearance."""
    if isinstance(value, dict):
        if isinstance(value.get("shared_object_id"), int):
            identity = value["shared_object_id"]
            value["shared_object_id"] = seen.setdefault(identity, len(seen) + 1)
        for item in value.values():
            _renumber(item, seen)
    elif isinstance(value, list):
        for item in value:
            _renumber(item, seen)
