"""Alarms over HTTP: the real `deepaas-run`, asked for incidents with its forecasts."""

from __future__ import annotations

import io
import json
import re
import time

import pandas as pd
import pytest
import requests

from mods.cli import main
from mods.tests.running_service import ROOT, SAMPLE, running

pytestmark = pytest.mark.network

#: The sensor of the sample is out on the 14th, and a burst came before.
DAYS = "<2024-03-12,2024-03-18)"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(tmp_path_factory.mktemp("alarms")) as found:
        yield found


@pytest.fixture(scope="module")
def answer(service):
    sent = service.predict(params={"alarm_rate": "1/day", "time_range": DAYS, "horizon": 1})
    assert sent.status_code == 200, sent.text
    assert "NaN" not in sent.text
    return sent.json()


def test_incidents_come_with_their_sentences(answer, service):
    incidents = answer["incidents"]
    assert answer["alarm_rate"] == "1/day"
    assert {"departure", "outage"} == {one["kind"] for one in incidents}
    shown = requests.get(f"{service.url}/swagger.json", timeout=10).json()
    described = next(
        found for name, found in shown["definitions"].items() if "incidents" in found["properties"]
    )
    reference = described["properties"]["incidents"]["items"]["$ref"].rpartition("/")[2]
    keys = set(shown["definitions"][reference]["properties"])
    assert all(set(one) == keys for one in incidents)
    for one in incidents:
        assert "2024-03-1" in one["text"]
        assert one["start"] <= one["peak"] <= one["end"]
        assert one["suppressed"] is None
    assert len({one["id"] for one in incidents}) == len(incidents)


def test_scores_say_which_windows_belong_to_them(answer):
    scores = pd.DataFrame(answer["scores"])
    assert list(scores.columns[:4]) == ["window", "score", "alarm", "incident"]
    assert len(scores) == 6 * 144 - 5
    for one in answer["incidents"]:
        inside = scores["window"].between(one["start"], one["end"])
        assert (scores.loc[inside, "incident"] == one["id"]).any()
    assert scores.loc[scores["incident"].isna(), "alarm"].sum() == 0


def test_they_are_those_of_the_shell(answer, tmp_path):
    out = tmp_path / "x.jsonl"
    words = ["detect", "--data", str(SAMPLE), "--model", "default", "--rate", "1/day"]
    assert main([*words, "--range", DAYS, "--out", str(out)]) == 0
    assert [json.loads(line) for line in out.read_text().splitlines()] == answer["incidents"]
    table = tmp_path / "x.csv"
    words = ["predict", "--data", str(SAMPLE), "--model", "default", "--alarm-rate", "1/day"]
    assert main([*words, "--range", DAYS, "--out", str(table)]) == 0
    told = pd.read_csv(table)
    assert set(told["incident"].dropna()) == {one["id"] for one in answer["incidents"]}


def test_without_a_rate_nothing_is_said_of_alarms(service):
    found = service.predict(params={"horizon": 1}).json()
    assert (found["alarm_rate"], found["incidents"], found["scores"]) == (None, None, None)


def test_what_is_left_out_is_no_outage(service, answer):
    (outage,) = [one for one in answer["incidents"] if one["kind"] == "outage"]
    excluded = f"<{outage['start']},{outage['end']}>"
    asked = {"alarm_rate": "1/day", "time_range": DAYS, "time_ranges_excluded": excluded}
    found = service.predict(params=asked).json()
    (same,) = [one for one in found["incidents"] if one["kind"] == "outage"]
    assert (same["id"], same["suppressed"]) == (outage["id"], "time_ranges_excluded")


def test_too_little_history_is_told_each_time(service):
    rows = "a\n" + "".join(f"{100 + n % 7}\n" for n in range(400))
    for _ in range(2):
        found = service.predict(
            files={"data": ("short.csv", rows)}, params={"alarm_rate": "1/week"}
        ).json()
        assert sum("too short to promise 1/week" in text for text in found["warnings"]) == 1


def test_the_other_answers_carry_them_too(service, answer):
    asked = {"alarm_rate": "1/day", "time_range": DAYS}
    text = service.predict(headers={"accept": "text/csv"}, params=asked).text
    table = pd.read_csv(io.StringIO(text))
    assert list(table.columns[-4:]) == ["score", "alarm", "incident", "incident_text"]
    told = table.dropna(subset=["incident"]).set_index("incident")["incident_text"].to_dict()
    assert told == {one["id"]: one["text"] for one in answer["incidents"]}
    page = service.predict(headers={"accept": "text/html"}, params=asked).text
    (data,) = re.findall(r'id="data">(.*?)</script>', page)
    assert [one["text"] for one in json.loads(data)["incidents"]] == [
        one["text"] for one in answer["incidents"]
    ]
    marked, plain = (
        service.predict(headers={"accept": "image/png"}, params=params)
        for params in (asked, {"time_range": DAYS})
    )
    assert marked.content.startswith(b"\x89PNG")
    # The sentences below make it taller: bytes 20 to 23 are the height.
    assert marked.content[20:24] > plain.content[20:24]


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        ("0", "rate '0'; expected more than 0"),
        ("0/day", "rate '0/day'; expected more than 0"),
        ("-1/day", "rate '-1/day'; expected more than 0"),
        ("1000000", "rate '1000000'; expected more than 0, at most 36/day, a quarter of the"),
        ("inf", "rate 'inf'; expected more than 0"),
        ("often", "rate 'often'; expected a number a hour, day, week, month, year."),
        ("1/fortnight", "rate '1/fortnight'; expected a number a hour, day, week, month, year."),
        ("1" * 5000, "Longer than maximum length 2000."),
    ],
)
def test_a_rate_that_cannot_be_kept_is_refused_within_a_second(service, rate, expected):
    begun = time.perf_counter()
    sent = service.predict(params={"alarm_rate": rate})
    assert time.perf_counter() - begun < 1
    assert sent.status_code == 422
    found = sent.json()
    told = found["message"] if "error" in found else " ".join(*found.values())
    assert expected in told
    assert "Traceback" not in sent.text


@pytest.mark.parametrize("rate", ["", "2/week", "0.5", "1/hour"])
def test_rates_of_every_form_are_taken(service, rate):
    found = service.predict(params={"alarm_rate": rate, "horizon": 1}).json()
    assert found["alarm_rate"] == (rate or None)
    assert isinstance(found["incidents"], list) == bool(rate)


def test_the_readme_tells_how_to_ask():
    assert "alarm_rate=1/day" in (ROOT / "README.md").read_text()
