"""The service with a datapool as clients meet it: the real `deepaas-run`, over HTTP."""

from __future__ import annotations

import re
import shlex
import subprocess
import time

import pandas as pd
import pytest
import requests

from mods.tests.running_service import COLUMNS, ROOT, SMALL, running, write_pool

pytestmark = pytest.mark.network

TRAIN_KEYS = [
    "model_name",
    "steps_ahead",
    "batch_size",
    "window_slide",
    "data_select_query",
    "train_time_range",
    "train_time_ranges_excluded",
    "test_time_range",
    "test_time_ranges_excluded",
    "evaluation",
]


@pytest.fixture(scope="module")
def pooled(tmp_path_factory):
    """A service with a datapool of six days."""
    folder = tmp_path_factory.mktemp("pooled")
    write_pool(folder / "data" / "features" / "datapools", days=6)
    with running(folder) as service:
        yield service


def test_predict_takes_the_last_day_of_the_datapool(pooled):
    found = pooled.predict().json()
    assert found["data"] == "datapool"
    assert found["time_range"].startswith("<2024-03-06T00:00:00Z,2024-03-06T23:50")
    assert found["columns"] == COLUMNS
    assert found["predictions"]["origin"][0] == "2024-03-06T00:00:00Z"


def test_ranges_and_ranges_left_out(pooled):
    asked = {
        "time_range": "<2024-03-05,2024-03-06)",
        "time_ranges_excluded": ["<2024-03-05T12:00,2024-03-05T13:00)"],
    }
    found = pooled.predict(params=asked).json()
    table = pd.DataFrame(found["predictions"])
    targets = table.loc[table["actual"].isna(), "target"].unique()
    assert found["time_ranges_excluded"] == asked["time_ranges_excluded"]
    assert sorted(targets) == [f"2024-03-05T12:{minute}0:00Z" for minute in range(6)]


def test_a_query_chooses_the_columns(pooled):
    query = "ssh|in~logins#window_start,window_end"
    found = pooled.predict(params={"data_select_query": query}).json()
    assert found["columns"] == ["logins"]
    assert found["data_select_query"] == query
    answer = pooled.predict(params={"data_select_query": "sip|in"})
    assert answer.status_code == 422
    assert "sip" in answer.json()["message"]


def test_a_model_is_trained_judged_listed_and_used(pooled):
    arguments = {
        "model_name": "mine",
        "train_time_range": "<2024-03-01,2024-03-05)",
        "train_time_ranges_excluded": ["<2024-03-02,2024-03-03)"],
        "test_time_range": "<2024-03-06,2024-03-07)",
        "model_type": "Conv1D",
        "steps_ahead": 3,
        **SMALL,
    }
    started = pooled.train(**arguments).json()
    assert started["status"] == "running"
    status = pooled.finished(started["uuid"])
    assert status["status"] == "done", status
    found = status["result"]["output"]
    assert set(TRAIN_KEYS) <= set(found)
    for name in ("model_name", "train_time_range", "test_time_range", "steps_ahead"):
        assert found[name] == arguments[name]
    assert list(found["evaluation"]["steps"]) == ["1", "2", "3"]
    assert found["evaluation"]["origins"]["count"] == 144
    about = requests.get(f"{pooled.model}/", timeout=10).json()
    assert about["trainings"][0]["state"] == "done"
    assert about["trainings"][0]["arguments"]["model_type"] == "Conv1D"
    (mine,) = [model for model in about["models"] if model["name"] == "mine"]
    assert (mine["columns"], mine["window"], mine["horizon"]) == (COLUMNS, "w01h-s10m", 3)
    assert mine["training"]["range"] == arguments["train_time_range"]
    assert mine["training"]["first"].startswith("2024-03-01T00:00:00")
    assert mine["training"]["seconds"] > 0
    assert mine["metrics"]["test"]["steps"].keys() == {"1", "2", "3"}
    assert {"persistence", "seasonal_naive"} <= set(mine["metrics"]["test"]["baselines"])
    answer = pooled.predict(params={"model_name": "mine"}).json()
    assert answer["steps_ahead"] == 3
    assert max(answer["predictions"]["step"]) == 3


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"model_name": "default"}, "a name of your own"),
        ({"model_name": "a/b"}, "letters, digits"),
        ({"model_type": "LTSM"}, "Must be one of"),
        ({"num_epochs": 0}, "Must be greater than or equal to 1"),
        ({"train_time_range": "<2019-01-01,2019-02-01)"}, "holds no day of the datapool"),
        ({"test_time_range": "<0,144)"}, "an ISO 8601 date"),
        (
            {"train_time_range": "<2024-03-01,2024-03-05)", "test_time_range": "<2024-03-03,2025)"},
            "begins before the training's",
        ),
        ({"data_select_query": "sip|in_count_uid"}, "sip"),
    ],
)
def test_a_training_that_cannot_begin_is_refused(pooled, arguments, expected):
    answer = pooled.train(**arguments)
    assert answer.status_code == 422
    assert expected in " ".join(*answer.json().values())


def test_a_training_that_fails_says_why(pooled):
    short = {
        "train_time_range": "<2024-03-01,2024-03-01T01:00)",
        "test_time_range": "<2024-03-03,2025)",
    }
    started = pooled.train(model_name="failed", model_type="Conv1D", **short, **SMALL).json()
    status = pooled.finished(started["uuid"])
    assert status["status"] == "error"
    assert "6 windows are too few" in status["message"]
    assert not (pooled.models / "failed.zip").exists()


@pytest.mark.slow
def test_a_running_training_shows_its_progress_and_a_cancelled_one_is_shown_as_stopped(pooled):
    endless = {"num_epochs": 5000, "epochs_patience": 5000, "blocks": 4, "sequence_len": 6}
    started = pooled.train(model_name="endless", model_type="Conv1D", **endless).json()

    def latest() -> dict:
        about = requests.get(f"{pooled.model}/", timeout=10).json()
        return dict(about["trainings"][0])

    deadline = time.monotonic() + 120
    while latest()["model"] != "endless" or latest().get("epoch", {}).get("number", 0) < 3:
        assert time.monotonic() < deadline, latest()
        time.sleep(0.2)
    running_one = latest()
    assert running_one["state"] == "running"
    assert running_one["epoch"]["of"] == 5000
    assert running_one["epoch"]["loss"] > 0
    assert running_one["seconds_left"] > 0
    requests.delete(f"{pooled.model}/train/{started['uuid']}", timeout=60)
    assert latest()["state"] == "stopped"
    assert "without a result" in latest()["message"]
    assert not (pooled.models / "endless.zip").exists()
    # The worker that was killed has a successor.
    assert pooled.predict().status_code == 200


def curl_examples() -> list[str]:
    """Return the README's commands that call the service, in order."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return [block for block in blocks if "curl" in block]


@pytest.mark.slow
def test_the_curl_commands_of_the_readme_work_as_written(tmp_path, pooled):
    """Each one, in a folder like the checkout, with only the port changed."""
    (tmp_path / "data").symlink_to(ROOT / "data")
    port = pooled.url.rpartition(":")[2]
    examples = curl_examples()
    for block in examples:
        finished = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.replace(":5000", f":{port}")],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, f"{block}\n{finished.stderr}"
        assert '{"error"' not in finished.stdout
    written = {path.name for path in tmp_path.iterdir() if not path.is_symlink()}
    named = set(re.findall(r"(?:-o|--output) (\S+)", "".join(examples)))
    assert named
    assert named <= written
    assert all(shlex.quote(name) == name for name in named)
