"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
from hypothesis import settings

settings.register_profile("mods", deadline=None, derandomize=True)
settings.load_profile("mods")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real logs and features, which is not part of the repository."""
    default = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("MODS_REAL_DATA", default))
    if not folder.is_dir():
        pytest.skip("the real data (MODS_REAL_DATA, or ../shared/data) is not on this machine")
    return folder
