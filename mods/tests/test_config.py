"""Settings from the environment, and the files that come with the package."""

from __future__ import annotations

import pytest

from mods import config
from mods.errors import ConfigError


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    for name in (
        "APP_INPUT_OUTPUT_BASE_DIR",
        "MODS_DATA_PATH",
        "MODS_MODELS_PATH",
        "MODS_LOCAL_NETS",
    ):
        monkeypatch.delenv(name, raising=False)
    config.folders.cache_clear()
    yield
    config.folders.cache_clear()


def test_the_base_folder_holds_data_models_and_checkpoints(monkeypatch, tmp_path):
    monkeypatch.setenv("APP_INPUT_OUTPUT_BASE_DIR", str(tmp_path))
    found = config.folders()
    assert found.datapools == tmp_path / "data" / "features" / "datapools"
    assert found.models == tmp_path / "models"
    assert found.checkpoints == tmp_path / "checkpoints"


def test_the_newer_names_win_over_the_base_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("APP_INPUT_OUTPUT_BASE_DIR", str(tmp_path))
    monkeypatch.setenv("MODS_DATA_PATH", str(tmp_path / "d"))
    monkeypatch.setenv("MODS_MODELS_PATH", str(tmp_path / "m"))
    assert config.folders().data == tmp_path / "d"
    assert config.folders().models == tmp_path / "m"


def test_the_shipped_files_are_found():
    for name in ("models/model_default_cpu.zip", "data/test/sample-test-w01h-s10m.tsv"):
        path = config.shipped(name)
        assert path is not None
        assert path.is_file()
    assert config.shipped("models/no_such.zip") is None


def test_local_nets_come_from_the_call_the_environment_or_are_private(monkeypatch):
    assert len(config.local_nets()) == len(config.DEFAULT_LOCAL_NETS)
    monkeypatch.setenv("MODS_LOCAL_NETS", "147.213.0.0/16, 2001:db8::/32")
    assert [str(n) for n in config.local_nets()] == ["147.213.0.0/16", "2001:db8::/32"]
    assert [str(n) for n in config.local_nets(["10.1.0.0/16"])] == ["10.1.0.0/16"]


def test_a_network_that_is_none_is_told():
    with pytest.raises(ConfigError) as told:
        config.local_nets(["10.0.0.0/33"])
    assert str(told.value) == (
        "local network '10.0.0.0/33'; expected a CIDR. "
        "Write for example 10.0.0.0/8 or 2001:db8::/32."
    )
