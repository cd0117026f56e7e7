"""Fixtures that every test may use."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
from hypothesis import settings

from mods import config

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


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, where models, data and checkpoints are kept."""
    for name in ("MODS_DATA_PATH", "MODS_MODELS_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("APP_INPUT_OUTPUT_BASE_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    config.folders.cache_clear()
    yield tmp_path
    config.folders.cache_clear()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder in which the service, called in this process, keeps everything."""
    from mods.tests.running_service import environment

    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "uploads"))
    config.folders.cache_clear()
    yield tmp_path
    config.folders.cache_clear()
