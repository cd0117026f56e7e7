"""Models of any kind, trained here or imported: loaded from a bundle, or trained anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mods.errors import ModelError

if TYPE_CHECKING:
    import pandas as pd

    from mods.models.legacy import ImportedModel
    from mods.models.mods_model import Model

__all__ = ["load_bundle", "load_model", "require_trained_here", "trained_elsewhere", "trainer_like"]


def load_bundle(path: Path | str) -> Model | ImportedModel:
    """Return the model in a bundle, as the class that its kind asks for.

    Raises
    ------
    NotFoundError
        Where there is no such file.
    ModelError
        Where it cannot be used.
    """
    from mods.models.bundle import read_bundle
    from mods.models.legacy import KIND, ImportedModel
    from mods.models.mods_model import Model

    if read_bundle(path, with_network=False).config.get("kind") == KIND:
        return ImportedModel(read_bundle(path))
    return Model.load(path)


def load_model(name: Path | str) -> Model | ImportedModel:
    """Load a model by its name under `models/`, or by a path; also one that was imported.

    Raises
    ------
    NotFoundError
        Where there is none of that name.
    ModelError
        Where the bundle cannot be read.
    """
    from mods.models.registry import locate_model

    return load_bundle(locate_model(str(name)))


def require_trained_here(path: Path | str) -> None:
    """Raise `ModelError` where a bundle's model cannot be trained any further."""
    from mods.models.bundle import read_bundle
    from mods.models.legacy import KIND

    if read_bundle(path, with_network=False).config.get("kind") == KIND:
        raise trained_elsewhere()


def trained_elsewhere() -> ModelError:
    """Return the error for going on from an imported model."""
    return ModelError(
        "an imported model cannot be trained any further",
        "a model that was trained here",
        "Go on from another one, for example 'default'.",
    )


def trainer_like(model: Model | ImportedModel) -> Callable[[pd.DataFrame], Model]:
    """Return what trains a new model with this one's hyper-parameters, on a frame.

    Raises
    ------
    ModelError
        Where it is an imported model, which was trained elsewhere.
    """
    from mods.models.mods_model import Model

    if not isinstance(model, Model):
        raise ModelError(
            "an imported model cannot be trained anew",
            "a model that was trained here",
            "Leave --refit out, or train one with 'mods train'.",
        )
    settings = model.settings.as_dict()

    def train(frame: pd.DataFrame) -> Model:
        return Model(**settings).fit(frame)

    return train
