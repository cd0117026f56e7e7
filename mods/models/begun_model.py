"""The field that names a model to go on from, checked against what else is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields

from mods.errors import ModsError
from mods.models.api_errors import client_text
from mods.models.bundle import read_bundle
from mods.models.hyperparameters import FIXED
from mods.models.registry import model_path

__all__ = ["BegunModel"]


class BegunModel(fields.Str):  # type: ignore[misc]  # marshmallow is followed without types
    """The name of a model whose network has the hyper-parameters that are asked for.

    Parameters
    ----------
    settings
        The fields of hyper-parameters; what is at its default is the model's own.
    **options
        As for a text.
    """

    def __init__(self, settings: Mapping[str, fields.Field], **options: Any) -> None:
        super().__init__(**options)
        self._asked = {name: field for name, field in settings.items() if name in FIXED}

    def deserialize(
        self, value: Any, attr: Any = None, data: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """Return the name; raise `ValidationError` where its network cannot become what is asked.

        What is wrong with a hyper-parameter itself is told by its own field.
        """
        found = super().deserialize(value, attr, data, **options)
        if found is None or not found.strip():
            return found
        try:
            config = read_bundle(model_path(found), with_network=False).config
        except ModsError as error:
            raise ValidationError(client_text(error)) from None
        own = config.get("hyperparameters", {})
        for name, field in self._asked.items():
            try:
                wanted = field.deserialize((data or {}).get(name, field.load_default), name, data)
            except ValidationError:
                continue
            if wanted not in (field.load_default, own.get(name)):
                raise ValidationError(
                    f"{name} is {wanted!r}, but the model {found!r} has {own.get(name)!r}; "
                    f"expected the same. Leave {name} out, or train from nothing."
                )
        return found
