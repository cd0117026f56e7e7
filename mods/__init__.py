"""MODS (Massive Online Data Streams): forecasts a network and tells where it departs.

The names below are loaded when they are first used, so that importing the
package costs nothing and never loads TensorFlow.

==================  =============================================================
`read_datapool`     features from a datapool (directory or zip) by a selection query
`read_table`        features from a table: TSV, CSV or Parquet
`load_model`        a trained model, by name or path
`Model`             a model to be trained
`detect`            incidents in a forecast table, at a rate of false alarms
==================  =============================================================
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mods.anomaly.detect import detect
    from mods.dataset.datapool import read_datapool
    from mods.dataset.table import read_table
    from mods.models.loading import load_model
    from mods.models.mods_model import Model

__all__ = ["Model", "detect", "load_model", "read_datapool", "read_table"]

_HOMES = {
    "read_datapool": "mods.dataset.datapool",
    "read_table": "mods.dataset.table",
    "load_model": "mods.models.loading",
    "Model": "mods.models.mods_model",
    "detect": "mods.anomaly.detect",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from mods.config import version

        return version()
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'mods' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
