"""Swagger UI of the real service, opened in real Chromium."""

from __future__ import annotations

import asyncio
import re

import pytest
import requests

from mods.models import api
from mods.tests.browser import Page, open_page
from mods.tests.chromium import needs_chromium, page_after_scripts, text_of
from mods.tests.running_service import SAMPLE, running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.network,
    needs_chromium,
]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(tmp_path_factory.mktemp("swagger"), "--nowarm") as found:
        yield found


def squeezed(text: str) -> str:
    """Return a text without blanks and soft breaks, which the page puts anywhere."""
    return re.sub(r"[\s\u200b]+", "", text)


@pytest.mark.parametrize("operation", ["predict", "train"])
def test_the_page_shows_an_operation_with_descriptions_and_defaults(service, tmp_path, operation):
    # The fragment opens the operation, as a click on it does.
    url = f"{service.url}/api#/models/post_v2_models_mods_{operation}_"
    shown = squeezed(text_of(page_after_scripts(url, tmp_path / "profile")))
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


PREDICT = "#operations-models-post_v2_models_mods_predict_"
ANSWER = f"document.querySelector('{PREDICT} .live-responses-table')"


async def begun(page: Page) -> None:
    """Open the form of predict."""
    await page.click(f"{PREDICT} .opblock-summary-control")
    await page.click(f"{PREDICT} .try-out__btn")
    await page.until(f"document.querySelector('{PREDICT} input[type=file]') !== null")


def test_the_page_sends_the_sample_or_nothing_and_shows_the_picture(service, tmp_path):
    picture = f"document.querySelector('{PREDICT} .live-responses-table img')"

    async def shown(page: Page) -> list[int]:
        await page.click(f"{PREDICT} .execute")
        # In one: the page makes the element anew while it settles.
        size: list[int] = await page.until(
            f"(p => p && p.naturalWidth && [p.naturalWidth, p.naturalHeight])({picture})"
        )
        return size

    async def sent() -> None:
        async with open_page(f"{service.url}/api", tmp_path / "profile") as page:
            await begun(page)
            await page.choose(f"{PREDICT} tr[data-param-name=accept] select", "image/png")
            # No file chosen, as who tries it for the first time.
            assert min(await shown(page)) > 800
            assert "image/png" in await page.value(f"{ANSWER}.innerText")
            await page.click(f"{PREDICT} .btn-clear")
            await page.until(f"{picture} === null")
            await page.choose_file(f"{PREDICT} input[type=file]", SAMPLE)
            assert min(await shown(page)) > 800
            curl = await page.value(f"document.querySelector('{PREDICT} .curl').innerText")
            assert f"data=@{SAMPLE.name}" in curl

    asyncio.run(sent())
    assert list(service.uploads.iterdir()) == []
