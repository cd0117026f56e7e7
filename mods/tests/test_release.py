"""What `make release-check` finds wrong with what it has built."""

from __future__ import annotations

import configparser
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHECK = ROOT / ".ci" / "release_check.py"

pytestmark = pytest.mark.skipif(not CHECK.is_file(), reason="runs from a checkout")


def version() -> str:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    return settings["metadata"]["version"]


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, str(CHECK), str(folder)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def write(folder: Path, *, wheel: dict[str, str], archive: list[str]) -> None:
    with zipfile.ZipFile(folder / f"mods-{version()}-py3-none-any.whl", "w") as file:
        for name, text in wheel.items():
            file.writestr(name, text)
    with tarfile.open(folder / f"mods-{version()}.tar.gz", "w:gz") as file:
        for name in archive:
            file.addfile(tarfile.TarInfo(f"mods-{version()}/{name}"), io.BytesIO())


def whole() -> tuple[dict[str, str], list[str]]:
    now = version()
    models = [f"models/model_default_{hardware}.zip" for hardware in ("cpu", "gpu")]
    shipped = [*models, "data/test/sample-test-w01h-s10m.tsv"]
    code = ["mods/py.typed", "mods/visualization/page.html"]
    texts = ["LICENSE", "README.md", "CHANGELOG.md", "requirements.txt", "setup.cfg"]
    wheel = dict.fromkeys([*code, *(f"mods-{now}.data/data/share/mods/{n}" for n in shipped)], "")
    wheel[f"mods-{now}.dist-info/METADATA"] = f"Name: mods\nVersion: {now}\n"
    wheel[f"mods-{now}.dist-info/entry_points.txt"] = (
        "[console_scripts]\nmods = mods.cli:main\n[deepaas.v2.model]\nmods = mods.models.api\n"
    )
    return wheel, [*shipped, *code, *texts]


def test_a_whole_release_passes(tmp_path):
    wheel, archive = whole()
    write(tmp_path, wheel=wheel, archive=archive)
    finished = check(tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert f"{version()} is whole" in finished.stdout


def test_nothing_built_is_no_release(tmp_path):
    finished = check(tmp_path)
    assert finished.returncode == 1
    assert "0 wheels and 0 sdists" in finished.stderr


@pytest.mark.parametrize(
    "lost", ["mods/py.typed", "model_default_cpu.zip", "model_default_gpu.zip", "sample-test"]
)
def test_what_is_lost_on_the_way_is_named(lost, tmp_path):
    wheel, archive = whole()
    wheel = {name: text for name, text in wheel.items() if lost not in name}
    write(tmp_path, wheel=wheel, archive=[name for name in archive if lost not in name])
    finished = check(tmp_path)
    assert finished.returncode == 1
    complaints = [line for line in finished.stderr.splitlines() if lost in line]
    assert len(complaints) == 2


def test_a_model_of_the_checkout_does_not_slip_in(tmp_path):
    wheel, archive = whole()
    write(tmp_path, wheel=wheel, archive=[*archive, "models/demo_lstm.zip"])
    finished = check(tmp_path)
    assert finished.returncode == 1
    assert "the sdist has models/demo_lstm.zip, which is not ours" in finished.stderr


def test_another_version_in_the_wheel_is_named(tmp_path):
    wheel, archive = whole()
    wheel[f"mods-{version()}.dist-info/METADATA"] = "Name: mods\nVersion: 0.1\n"
    write(tmp_path, wheel=wheel, archive=archive)
    assert "the wheel says version 0.1" in check(tmp_path).stderr
