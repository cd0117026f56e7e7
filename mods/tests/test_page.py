"""The interactive page of a forecast."""

from __future__ import annotations

import json
import re

import pytest

from mods.errors import DataError
from mods.tests.chromium import needs_chromium, page_after_scripts, text_of
from mods.tests.test_visualize import ROWS, STEPS, a_table
from mods.visualization.page import forecast_page


def data_of(page: str) -> dict:
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    return dict(json.loads(found))


@pytest.mark.parametrize("times", [True, False])
def test_the_page_carries_the_whole_table(times):
    table = a_table(2, times=times)
    data = data_of(forecast_page(table, coverage=0.9))
    assert data["times"] == times
    assert (data["slide"], data["coverage"]) == (600_000 if times else 1, 0.9)
    assert data["steps"] == [1, 2, 3]
    assert len(data["origins"]) == ROWS - 10
    for column in data["columns"]:
        assert [len(row) for row in column["lower"]] == [ROWS - 10] * STEPS
        for row in table[table["column"] == column["name"]].itertuples():
            # Where a script looks for the actual value of an origin's step.
            place = data["origins"][row.Index // (STEPS * 2)] + row.step
            actual = column["actual"][place]
            assert actual is None if row.actual != row.actual else actual == row.actual


def test_only_the_steps_of_the_table_are_offered():
    table = a_table(1)
    data = data_of(forecast_page(table[table["step"] == 3]))
    assert (data["steps"], data["slide"]) == ([3], 600_000)


def test_names_from_outside_are_text_and_nothing_else():
    hostile = "</script><script>alert(1)</script><!--"
    page = forecast_page(a_table(1).assign(column=hostile), title=hostile)
    assert page.count("<script") == 2
    assert "alert(1)</script>" not in page
    assert data_of(page)["columns"][0]["name"] == hostile


def test_nothing_is_fetched():
    page = forecast_page(a_table(1))
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=|https?://|url\(|import ", page)


def test_an_empty_table_is_told():
    with pytest.raises(DataError, match="no forecast to show"):
        forecast_page(a_table(1).iloc[:0])


@pytest.mark.slow
@needs_chromium
def test_chromium_shows_each_column_and_what_lies_outside(tmp_path):
    path = tmp_path / "page.html"
    path.write_text(forecast_page(a_table(2), coverage=0.9, title="Two columns"))
    shown = text_of(page_after_scripts(path.as_uri(), tmp_path / "profile"))
    assert "Two columns 390 origins from 2024-03-01 01:40 UTC to 2024-03-03 18:30 UTC" in shown
    assert "90 % interval" in shown
    assert shown.count("2 of 389 outside") == 2
    assert "4 values, the latest first." in shown
    assert "2024-03-03 15:20 UTC column_0 500 100 90 110" in shown
