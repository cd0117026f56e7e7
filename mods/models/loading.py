"""Loading any model, trained here or imported, from its bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mods.models.legacy import ImportedModel
    from mods.models.mods_model import Model

__all__ = ["load_bundle"]


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
