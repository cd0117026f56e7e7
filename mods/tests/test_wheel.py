"""A built wheel works in an empty environment, away from the checkout.

By default the environment borrows the dependencies that the tests run with,
which shows that the wheel is whole.  `make wheel-check` sets MODS_WHEEL_CLEAN,
and then each Python at hand gets an environment of its own into which pip
installs the wheel and what it declares.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLEAN = bool(os.environ.get("MODS_WHEEL_CLEAN"))
PYTHONS = (
    [f"python3.{minor}" for minor in (11, 12, 13)]
    if CLEAN
    else [f"python3.{sys.version_info.minor}"]
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.network,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not (ROOT / "setup.cfg").is_file(), reason="runs from a checkout"),
]


def _run(*words: object, **options: Any) -> str:
    finished = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False, **options
    )
    assert finished.returncode == 0, finished.stderr[-4000:]
    return str(finished.stdout)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    source = tmp_path_factory.mktemp("source") / "mods"
    ignore = shutil.ignore_patterns(
        ".*", "build", "*.egg-info", "demo", "raw", "__pycache__", "checkpoints"
    )
    shutil.copytree(ROOT, source, ignore=ignore)
    _run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, source)
    (built,) = folder.glob("mods-*.whl")
    return built


def _environment(python: str, wheel: Path, folder: Path) -> Path:
    interpreter = sys.executable if not CLEAN else shutil.which(python)
    if interpreter is None or (
        CLEAN and subprocess.run([interpreter, "-c", ""], check=False).returncode != 0
    ):
        pytest.skip(f"{python} is not on this machine")
    _run(interpreter, "-m", "venv", folder)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
    if CLEAN:
        _run(*pip, "--constraint", ROOT / "requirements.txt", wheel)
    else:
        _run(*pip, "--no-deps", wheel)
        site = _run(
            folder / "bin" / "python",
            "-c",
            "import sysconfig; print(sysconfig.get_path('purelib'))",
        )
        # A .pth adds the folder alone: the checkout's own editable install stays out.
        Path(site.strip(), "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


@pytest.mark.parametrize("python", PYTHONS)
def test_the_wheel_works_away_from_the_checkout(python, wheel, tmp_path):
    binaries = _environment(python, wheel, tmp_path / "environment")
    work = tmp_path / "work"
    work.mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MODS_", "APP_"))}
    options: dict[str, Any] = {"cwd": work, "env": environment}
    assert "predict" in _run(binaries / "mods", "--help", **options)
    home = _run(binaries / "python", "-c", "import mods; print(mods.__file__)", **options)
    assert str(tmp_path) in home
    models = json.loads(_run(binaries / "mods", "models", "--json", **options))
    assert "model_default_cpu" in json.dumps(models)
    sample = _run(
        binaries / "python",
        "-c",
        "from mods.config import shipped; print(shipped('data/test/sample-test-w01h-s10m.tsv'))",
        **options,
    ).strip()
    _run(
        binaries / "mods", "predict", "--data", sample, "--model", "default",
        "--out", "table.csv", **options,
    )  # fmt: skip
    header = (work / "table.csv").read_text().split("\n", 1)[0]
    assert header == "origin,target,step,column,forecast,lower,upper,actual"
    assert (binaries / "deepaas-run").exists() or not CLEAN
