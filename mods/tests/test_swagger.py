"""Swagger UI of the real service, opened in real Chromium."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import requests

from mods.models import api
from mods.tests.running_service import running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.network,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]
FLAGS = """
    --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-dev-shm-usage
    --disable-background-networking --disable-component-update --disable-sync
    --virtual-time-budget=20000
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(tmp_path_factory.mktemp("swagger"), "--nowarm") as found:
        yield found


def text_of(url: str, profile: Path) -> str:
    """Return what the page says once its scripts have run, blanks and soft breaks removed."""
    finished = subprocess.run(
        [str(CHROMIUM), *FLAGS.split(), f"--user-data-dir={profile}", "--dump-dom", url],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    return squeezed(html.unescape(re.sub(r"<[^>]+>", " ", finished.stdout)))


def squeezed(text: str) -> str:
    return re.sub(r"[\s\u200b]+", "", text)


@pytest.mark.parametrize("operation", ["predict", "train"])
def test_the_page_shows_an_operation_with_descriptions_and_defaults(service, tmp_path, operation):
    # The fragment opens the operation, as a click on it does.
    url = f"{service.url}/api#/models/post_v2_models_mods_{operation}_"
    shown = text_of(url, tmp_path / "profile")
    assert f"POST/v2/models/mods/{operation}/" in shown
    declared = api.get_predict_args() if operation == "predict" else api.get_train_args()
    for name, field in declared.items():
        assert name in shown
        assert squeezed(field.metadata["description"]) in shown, name
        if isinstance(field.load_default, str | int) and not isinstance(field.load_default, bool):
            assert f"Defaultvalue:{squeezed(str(field.load_default))}" in shown, name


def test_the_document_behind_it_describes_every_argument_and_its_default(service):
    paths = requests.get(f"{service.url}/swagger.json", timeout=10).json()["paths"]
    for name, declared in (("predict", api.get_predict_args()), ("train", api.get_train_args())):
        shown = {
            parameter["name"]: parameter
            for parameter in paths[f"/v2/models/mods/{name}/"]["post"]["parameters"]
        }
        assert set(shown) == set(declared)
        for argument, field in declared.items():
            assert shown[argument]["description"], argument
            if field.load_default is not None:
                assert shown[argument]["default"] == field.load_default, argument
