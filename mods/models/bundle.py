"""The model bundle: one zip that is data only, safe to read, versioned.

===================  ==========================================================
member               content
===================  ==========================================================
`config.json`        format, version, and the model's configuration
`metrics.json`       what the model scored when it was trained
`arrays/<name>.npy`  scaling, calibration and other numbers (no pickles)
`network.keras`      the network in Keras' own format, loaded in safe mode
===================  ==========================================================

Equal models are equal bytes: no time and no order depends on the writing.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mods.config import version as package_version
from mods.errors import ModelError
from mods.files import write_aside
from mods.models.archive import Archive, pack
from mods.models.saved_network import network_from_bytes, network_to_bytes

__all__ = ["FORMAT", "VERSION", "Bundle", "read_bundle", "write_bundle"]

FORMAT = "mods bundle"
VERSION = 1

_MEMBERS = r"config\.json|metrics\.json|network\.keras|arrays/[A-Za-z0-9_.-]{1,80}\.npy"
_ARRAY = re.compile(r"arrays/(.+)\.npy")
_ORIGINAL = {"model.h5", "scaler.pkl"}
_MAX_ARRAY = 64 << 20


@dataclass(frozen=True)
class Bundle:
    """What a bundle holds; the network is loaded when it is asked for.

    Attributes
    ----------
    path
        Where it was read from.
    config
        The model's configuration, as it was given to `write_bundle`.
    arrays
        Named arrays of numbers.
    metrics
        Scores, with None for what is not defined.
    network_bytes
        The network in Keras' format, None where the bundle has none.
    """

    path: Path
    config: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    network_bytes: bytes | None = field(default=None, repr=False)

    @cached_property
    def network(self) -> Any:
        """The Keras network, uncompiled (imports Keras at the first use).

        Raises
        ------
        ModelError
            Where there is none, or it cannot be loaded.
        """
        if self.network_bytes is None:
            raise ModelError(f"bundle {str(self.path)!r} holds no network", "a trained model")
        return network_from_bytes(self.network_bytes, f"the network of bundle {str(self.path)!r}")


def write_bundle(
    path: Path | str,
    config: Mapping[str, Any],
    *,
    network: Any,
    arrays: Mapping[str, np.ndarray] | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> None:
    """Write a bundle, aside and then renamed.

    Parameters
    ----------
    path
        The zip to write; a bundle that is there is replaced as a whole.
    config
        What JSON can say: hyper-parameters, columns, the training's provenance.
    network
        A Keras model, or None for a model that needs none.
    arrays
        Numbers by name (letters, digits, `-`, `_`, `.`), any shape.
    metrics
        Scores; numbers that are not finite are written as null.

    Raises
    ------
    ModelError
        Where an array is not of plain numbers or the network holds a foreign layer.
    DataError
        Where the file cannot be written.
    """
    head = {"format": FORMAT, "version": VERSION, "written_by": f"mods {package_version()}"}
    members = {
        "config.json": _json(head | {"config": dict(config)}),
        "metrics.json": _json(dict(metrics or {})),
    }
    for name, array in sorted((arrays or {}).items()):
        members[f"arrays/{name}.npy"] = _npy(name, np.asarray(array))
    if network is not None:
        members["network.keras"] = network_to_bytes(network)
    data = pack(members)
    Archive(data, f"bundle {str(path)!r}").expect(_MEMBERS)
    with write_aside(path) as partial:
        partial.write_bytes(data)


def read_bundle(path: Path | str, *, with_network: bool = True) -> Bundle:
    """Read a bundle; nothing in it is executed.

    Parameters
    ----------
    path
        The zip.
    with_network
        False leaves network and arrays unread, for a list of models.

    Raises
    ------
    NotFoundError
        Where there is no such file.
    ModelError
        Where it is damaged, hostile, of a newer version, or not a bundle of ours.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / "level.zip"
    ...     write_bundle(file, {"columns": ["conn_in"]}, network=None, arrays={"level": np.ones(3)})
    ...     bundle = read_bundle(file)
    >>> bundle.config, bundle.arrays["level"].shape
    ({'columns': ['conn_in']}, (3,))
    """
    path = Path(path)
    archive = Archive(path, f"bundle {str(path)!r}")
    if _ORIGINAL & set(archive.names):
        raise ModelError(
            f"bundle {str(path)!r} has the original's layout (model.h5, scaler.pkl)",
            "a bundle of this version",
            f"Convert it with: mods import {str(path)!r} --model NAME.",
        )
    archive.expect(_MEMBERS)
    config = _config(archive)
    metrics = _object(archive, "metrics.json")
    if not with_network:
        return Bundle(path, config, metrics=metrics)
    arrays = {
        match[1]: _array(archive, name)
        for name in archive.names
        if (match := _ARRAY.fullmatch(name))
    }
    network = archive.read("network.keras") if "network.keras" in archive.names else None
    return Bundle(path, config, arrays, metrics, network)


def _config(archive: Archive) -> dict[str, Any]:
    head = _object(archive, "config.json")
    if head.get("format") != FORMAT:
        raise ModelError(
            f"{archive.label} is a zip, but its config.json does not say format {FORMAT!r}",
            "a model bundle",
            "Check the path.",
        )
    version = head.get("version")
    if not isinstance(version, int) or version < 1:
        raise archive.damaged(f"damaged: its version is {version!r}")
    if version > VERSION:
        raise ModelError(
            f"{archive.label} has version {version}, written by {head.get('written_by')!r}",
            f"version {VERSION} or older",
            "Update the package.",
        )
    config = head.get("config")
    if not isinstance(config, dict):
        raise archive.damaged("without a configuration in its config.json")
    return config


def _object(archive: Archive, name: str) -> dict[str, Any]:
    try:
        value = json.loads(archive.read(name))
    except (ValueError, RecursionError) as error:
        raise archive.damaged(f"damaged in its member {name!r}") from error
    if not isinstance(value, dict):
        raise archive.damaged(f"without an object in its member {name!r}")
    return value


def _array(archive: Archive, name: str) -> np.ndarray:
    """Read one array; its header is held against what is really there before memory is taken."""
    data = archive.read(name)
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise ValueError(f"version {version}")
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        claimed = math.prod(shape) * dtype.itemsize
        if dtype.kind in "fiub" and claimed == len(data) - stream.tell():
            stream.seek(0)
            array: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
            return array
    except (ValueError, TypeError, OverflowError, MemoryError, EOFError) as error:
        raise archive.damaged(f"damaged in its member {name!r}") from error
    if dtype.kind not in "fiub":
        raise archive.refused(f"holds objects (dtype {dtype}) in {name!r}", "arrays of numbers")
    raise archive.refused(
        f"claims {claimed} bytes in {name!r}, which holds {len(data) - stream.tell()}"
    )


def _npy(name: str, array: np.ndarray) -> bytes:
    if array.dtype.kind not in "fiub" or array.nbytes > _MAX_ARRAY:
        raise ModelError(
            f"array {name!r} of dtype {array.dtype} and {array.nbytes} bytes in a bundle",
            f"numbers, at most {_MAX_ARRAY} bytes",
        )
    stream = io.BytesIO()
    # Little-endian and in C order, whatever machine and history the array has.
    plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)
    np.lib.format.write_array(stream, plain, version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def _json(value: dict[str, Any]) -> bytes:
    text = json.dumps(_plain(value), allow_nan=False, ensure_ascii=False, indent=1, sort_keys=True)
    return text.encode()


def _plain(value: Any) -> Any:
    """Return the value in what JSON can say; numbers that are not finite become None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic | np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise ModelError(f"{value!r} of type {type(value).__name__} in a bundle's configuration")
