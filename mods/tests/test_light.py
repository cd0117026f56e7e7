"""TensorFlow is imported when a network is needed and not before."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mods.cli import main
from mods.tests.running_service import environment, write_pool

HEAVY = ("tensorflow", "keras")

LIGHT = {
    "import mods": "import mods",
    "mods --help": "from mods.cli import main; main([])",
    "mods models": "from mods.cli import main; main(['models', '--json'])",
    "the dataset stage": (
        "import mods.dataset.make_dataset, mods.dataset.datapool, mods.dataset.simulate"
    ),
    "the seam to DEEPaaS": "import mods.models.api as api; api.get_metadata()",
    "the check of an alarm rate": (
        "from mods.models.schemas import predict_arguments as declared\n"
        "declared()['alarm_rate'].deserialize('1/day')"
    ),
    "deepaas-cli get_metadata": (
        "import sys; sys.argv = ['deepaas-cli', 'get_metadata']\n"
        "from deepaas.cmd.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass"
    ),
}


def imported(code: str, names: Sequence[str], **options: Any) -> list[str]:
    """Return which of some packages a process has imported after it ran the code."""
    asked = f"import sys\nprint('\\nIMPORTED', *[n for n in {list(names)} if n in sys.modules])"
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"{code}\n{asked}"],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    assert finished.returncode == 0, finished.stderr
    return str(finished.stdout).rpartition("IMPORTED")[2].split()


@pytest.mark.parametrize("what", LIGHT)
def test_tensorflow_is_not_imported_by(what, tmp_path):
    assert imported(LIGHT[what], HEAVY, cwd=tmp_path) == []


def test_no_module_imports_them_at_its_top():
    """What the service's process and the shell load must stay light whatever they import."""
    package = Path(__file__).parents[1]
    for path in package.rglob("*.py"):
        if "tests" in path.parts:
            continue
        for line in path.read_text().splitlines():
            assert not line.startswith(
                tuple(f"{verb} {name}" for verb in ("import", "from") for name in HEAVY)
            ), f"{path.relative_to(package)}: {line}"


def test_the_metadata_of_a_datapool_need_no_frames(tmp_path):
    """They would take twice as long as the rest of `deepaas-cli get_metadata`."""
    write_pool(tmp_path / "data" / "features" / "datapools", days=2)
    code = "import mods.models.api as api\nassert api.get_metadata()['datapool'][0]['days'] == 2"
    assert imported(code, ["pandas", "polars", "pyarrow"], env=environment(tmp_path)) == []


def test_features_are_made_without_pandas(tmp_path):
    """It would take a tenth of the time of millions of records, and a quarter of the memory."""
    logs = tmp_path / "logs"
    assert main(["simulate", "--out", str(logs), "--days", "1", "--rate", "2000"]) == 0
    code = "from mods.cli import main\nassert main(['features', 'logs', '--out', 'pool']) == 0"
    assert imported(code, ["pandas", "matplotlib"], cwd=tmp_path) == []
    assert imported("import pandas", ["pandas", "matplotlib"]) == ["pandas"]


def test_the_service_does_not_import_werkzeug():
    """DEEPaaS asks for an old one, whose vulnerabilities docs/security.md lists."""
    code = (
        "import aiohttp_apispec, deepaas.api, deepaas.cmd.run, webargs.aiohttpparser\n"
        "import deepaas.model.v2.wrapper, mods.serve.app, mods.models.api"
    )
    assert imported(code, ["werkzeug"]) == []
