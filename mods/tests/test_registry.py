"""Models by name: found where they are, and no name reaches out of the folder."""

from __future__ import annotations

import json
from pathlib import PosixPath

import pytest

from mods import config
from mods.cli import main
from mods.errors import ModelError, NotFoundError
from mods.models import registry
from mods.models.bundle import write_bundle
from mods.models.registry import default_name, has_gpu, list_models, locate_model, model_path


@pytest.fixture
def models(tmp_path, monkeypatch):
    """An empty models folder, with the shipped checkpoints beside it."""
    folder, package = tmp_path / "models", tmp_path / "package"
    monkeypatch.setenv("MODS_MODELS_PATH", str(folder))
    config.folders.cache_clear()
    for name in registry.SHIPPED:
        write_bundle(package / f"models/{name}.zip", {"shipped": True}, network=None)
    monkeypatch.setattr(registry, "shipped", lambda name: package / name)
    monkeypatch.setattr(registry, "has_gpu", lambda: False)
    yield folder
    config.folders.cache_clear()


def add(folder, name, **settings):
    write_bundle(folder / f"{name}.zip", settings, network=None, metrics={"smape": 3.5})


def test_a_model_is_found_in_the_models_folder_by_its_name(models):
    add(models, "mine")
    assert model_path("mine") == models / "mine.zip"
    assert locate_model("mine") == models / "mine.zip"
    assert locate_model(str(models / "mine.zip")) == models / "mine.zip"


def test_default_is_the_shipped_checkpoint_for_the_hardware(models, monkeypatch):
    assert model_path("default").stem == "model_default_cpu"
    monkeypatch.setattr(registry, "has_gpu", lambda: True)
    assert model_path("default").stem == "model_default_gpu"
    monkeypatch.setattr(registry, "shipped", lambda name: None)
    add(models, "model_default_cpu")
    # Without a checkpoint for the GPU the one for the CPU serves as well.
    assert model_path("default") == models / "model_default_cpu.zip"


def test_a_model_of_the_users_own_comes_before_a_shipped_one_of_the_same_name(models):
    assert model_path("model_default_cpu").parent != models
    add(models, "model_default_cpu", shipped=False)
    assert model_path("model_default_cpu").parent == models
    (entry,) = (e for e in list_models() if e.name == "model_default_cpu")
    assert entry.config == {"shipped": False}


def test_no_checkpoint_at_all_says_how_to_get_one(models, monkeypatch):
    monkeypatch.setattr(registry, "shipped", lambda name: None)
    with pytest.raises(NotFoundError, match="make default-models"):
        model_path("default")


@pytest.mark.parametrize(
    ("visible", "device", "expected"),
    [(None, True, True), (None, False, False), ("-1", True, False), ("", True, False)],
)
def test_a_gpu_is_seen_without_importing_tensorflow(monkeypatch, visible, device, expected):
    class Device(PosixPath):
        def exists(self):
            return device and str(self) == "/dev/nvidia0"

    monkeypatch.setattr(registry, "Path", Device)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert has_gpu() is expected


BAD_NAMES = [
    "../mine", "a/b", "/etc/passwd", "..", ".", ".hidden", "", "a\\b", "a b", "a\0b", "ä", "-x",
    "a..b", "x" * 101, "C:mine", "a\n",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
def test_no_name_escapes_the_models_folder(models, name):
    for must_exist in (True, False):
        with pytest.raises(ModelError, match="model name"):
            model_path(name, must_exist=must_exist)


def test_bad_models_of_the_command_line_are_clear_errors(models, tmp_path):
    with pytest.raises(ModelError, match=r"a name without '\.zip'; *|without '\.zip'"):
        model_path("mine.zip")
    with pytest.raises(NotFoundError, match=r"there is no model 'mine\.zip'"):
        locate_model("mine.zip")
    with pytest.raises(ModelError, match="is a directory"):
        locate_model(f"{tmp_path}/")
    with pytest.raises(ModelError, match=r"Use 'out/mine\.zip'"):
        locate_model("out/mine", must_exist=False)
    with pytest.raises(ModelError, match="stands for the shipped checkpoint"):
        model_path("default", must_exist=False)


def test_a_mistyped_name_gets_a_hint(models):
    add(models, "campus-2019")
    with pytest.raises(NotFoundError, match=r"Did you mean 'campus-2019'\?"):
        model_path("campus-2018")


def test_all_models_are_listed_and_a_damaged_one_says_why(models):
    add(models, "mine", columns=["conn_in"])
    (models / "broken.zip").write_bytes(b"PK and then nothing")
    (models / "notes.txt").write_text("no model")
    (models / ".mine.x.partial.zip").write_bytes(b"half written")
    entries = {entry.name: entry for entry in list_models()}
    assert sorted(entries) == ["broken", "mine", "model_default_cpu", "model_default_gpu"]
    assert entries["mine"].metrics == {"smape": 3.5}
    assert "is truncated or damaged" in entries["broken"].problem


def test_mods_models_prints_them(models, capsys):
    add(models, "mine", columns=["conn_in"], hyperparameters={"model_type": "GRU"})
    (models / "broken.zip").write_bytes(b"")
    assert main(["models", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["default"] == default_name() == "model_default_cpu"
    assert [model["name"] for model in document["models"]][:2] == ["broken", "mine"]
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    assert "GRU" in text and "conn_in" in text and "cannot be used" in text
    assert "* model_default_cpu" in text and "any columns" in text


def test_without_any_model_mods_models_says_what_to_do(models, monkeypatch, capsys):
    monkeypatch.setattr(registry, "shipped", lambda name: None)
    assert main(["models"]) == 0
    assert "mods train" in capsys.readouterr().out
