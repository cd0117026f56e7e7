"""What the service tells of itself: the package, its models, its data and its trainings."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from mods.errors import ModsError
from mods.models import request_data
from mods.models.registry import list_models
from mods.models.trainings import list_trainings

__all__ = ["about", "training_told"]

#: The latest trainings are told here; `mods trainings` tells all.
MAX_TRAININGS = 20


def about() -> dict[str, Any]:
    """Return what DEEPaaS and the catalogue show."""
    package = metadata.metadata("mods")
    told = {
        "name": package["Name"],
        "version": package["Version"],
        "summary": package["Summary"],
        "description": package["Summary"],
        "license": package["License-Expression"] or package["License"],
        "author": package["Author"],
        "author-email": package["Author-email"],
        "url": package["Home-page"],
    }
    found: dict[str, Any] = {key: value for key, value in told.items() if value}
    found["models"] = [
        {
            "name": entry.name,
            "model_type": entry.config.get("hyperparameters", {}).get("model_type"),
            "columns": entry.config.get("columns", []),
            "window": entry.config.get("window"),
            "horizon": entry.config.get("hyperparameters", {}).get("steps_ahead"),
            "written": _written(entry.path),
            "training": training_told(entry.config),
            "metrics": entry.metrics,
            "problem": entry.problem or None,
        }
        for entry in list_models()
    ]
    found["datapool"] = _pool_extent()
    found["trainings"] = list_trainings()[:MAX_TRAININGS]
    return found


def training_told(configuration: dict[str, Any]) -> dict[str, Any]:
    """Return a training's provenance without its history, which is long.

    Examples
    --------
    >>> training_told({"training": {"epochs": 2, "history": [{"loss": 0.1}]}})
    {'epochs': 2}
    """
    told = configuration.get("training", {})
    return {key: value for key, value in told.items() if key != "history"}


def _written(path: Path) -> str | None:
    """Return when a file was written, None where it has just gone."""
    try:
        moment = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return None
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _pool_extent() -> list[dict[str, object]]:
    try:
        return request_data.require_pool()
    except ModsError:
        # A damaged zip in the pool is told to who asks for its data, not to who asks for us.
        return []
