"""Models by name: where they are kept, which there are, which one is the default.

A name stands for `<name>.zip` in the models folder, else for a checkpoint that
comes with the package.  `default` is the shipped checkpoint for the hardware at
hand.  Names never become paths; the shell alone also takes paths (`locate_model`).
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mods.config import folders, shipped
from mods.errors import ModelError, ModsError, NotFoundError, did_you_mean
from mods.models.bundle import read_bundle

__all__ = [
    "DEFAULT",
    "ModelEntry",
    "default_name",
    "has_gpu",
    "list_models",
    "locate_model",
    "model_path",
]

DEFAULT = "default"
SHIPPED = ("model_default_cpu", "model_default_gpu")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class ModelEntry:
    """One model at hand: its configuration and scores, or why it cannot be used."""

    name: str
    path: Path
    config: dict[str, Any]
    metrics: dict[str, Any]
    problem: str = ""


def model_path(name: str, *, must_exist: bool = True) -> Path:
    """Return where the model of that name is, or would be written.

    Parameters
    ----------
    name
        Letters, digits, `-`, `_` and `.`; `default` is the shipped checkpoint
        that fits the hardware.
    must_exist
        False for a model that is about to be written.

    Raises
    ------
    ModelError
        Where the name is none, or `default` is to be written.
    NotFoundError
        Where there is no such model.

    Examples
    --------
    >>> model_path("mine", must_exist=False).name
    'mine.zip'
    >>> model_path("../mine")
    Traceback (most recent call last):
    mods.errors.ModelError: model name '../mine'; expected letters, digits, '-', '_' and '.', ...
    """
    # ".." inside is harmless without a slash, but no name of a model needs it.
    if not isinstance(name, str) or not _NAME.fullmatch(name) or ".." in name:
        raise ModelError(
            f"model name {str(name)[:120]!r}",
            "letters, digits, '-', '_' and '.', beginning with a letter or digit",
            "Give the model's name only, without a folder and without '.zip'.",
        )
    if name.endswith(".zip"):
        raise ModelError(
            f"model name {name!r}", "a name without '.zip'", f"Use {name.removesuffix('.zip')!r}."
        )
    own = folders().models / f"{name}.zip"
    if not must_exist:
        if name == DEFAULT:
            raise ModelError(
                f"model name {DEFAULT!r} stands for the shipped checkpoint",
                "a name of your own",
                "Choose another name.",
            )
        return own
    if name == DEFAULT:
        return _default_path()
    if own.is_file():
        return own
    return _shipped_path(name) or _missing(name)


def locate_model(text: str, *, must_exist: bool = True) -> Path:
    """Return the path for a MODEL of the command line: a name, or a path.

    It is a path where it has a slash or ends in `.zip`.

    Raises
    ------
    ModelError, NotFoundError
        As `model_path` does.
    """
    if "/" not in text and os.sep not in text and not text.endswith(".zip"):
        return model_path(text, must_exist=must_exist)
    path = Path(text)
    if path.is_dir():
        raise ModelError(f"model {text!r} is a directory", "a bundle, which is a zip file")
    if must_exist and not path.is_file():
        raise NotFoundError(
            f"there is no model {text!r}",
            "an existing bundle, or the name of a model",
            "See 'mods models' for those at hand.",
        )
    if not must_exist and path.suffix != ".zip":
        raise ModelError(f"model {text!r}", "a path that ends in .zip", f"Use {text + '.zip'!r}.")
    return path


def list_models() -> list[ModelEntry]:
    """Return the models at hand, by name; none of their networks is loaded."""
    found = {name: path for name in SHIPPED if (path := _shipped_path(name))}
    folder = folders().models
    if folder.is_dir():
        found |= {path.stem: path for path in folder.glob("*.zip") if _NAME.fullmatch(path.stem)}
    return [_entry(name, path) for name, path in sorted(found.items())]


def default_name() -> str:
    """Return the shipped checkpoint for the hardware: for a GPU where one is usable."""
    if has_gpu() and _own_or_shipped("model_default_gpu") is not None:
        return "model_default_gpu"
    return "model_default_cpu"


def has_gpu() -> bool:
    """Return whether TensorFlow would see an NVIDIA GPU, without importing it.

    `CUDA_VISIBLE_DEVICES` set to nothing or -1 hides all of them, as for TensorFlow.
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return False
    return Path("/dev/nvidia0").exists() or (
        Path("/dev/nvidiactl").exists() and shutil.which("nvidia-smi") is not None
    )


def _default_path() -> Path:
    name = default_name()
    path = _own_or_shipped(name)
    if path is None:
        raise NotFoundError(
            f"the shipped checkpoint {name!r} is not there",
            f"{folders().models / name}.zip",
            "Install the package again, or make it with 'make default-models'.",
        )
    return path


def _own_or_shipped(name: str) -> Path | None:
    own = folders().models / f"{name}.zip"
    return own if own.is_file() else _shipped_path(name)


def _shipped_path(name: str) -> Path | None:
    return shipped(f"models/{name}.zip") if name in SHIPPED else None


def _missing(name: str) -> Path:
    known = [DEFAULT, *(entry.name for entry in list_models())]
    raise NotFoundError(
        f"there is no model {name!r} in {str(folders().models)!r}",
        "the name of a model at hand",
        did_you_mean(name, known),
    )


def _entry(name: str, path: Path) -> ModelEntry:
    try:
        bundle = read_bundle(path, with_network=False)
    except ModsError as error:
        return ModelEntry(name, path, {}, {}, problem=str(error))
    return ModelEntry(name, path, bundle.config, bundle.metrics)
