"""The service as clients meet it: the real `deepaas-run`, over HTTP."""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
import requests

from mods.models.forecast import TABLE_COLUMNS
from mods.tests.running_service import COLUMNS, ROOT, SAMPLE, SMALL, running

pytestmark = pytest.mark.network

PREDICT_KEYS = [
    "model_name",
    "data_select_query",
    "window_slide",
    "time_range",
    "time_ranges_excluded",
    "steps_ahead",
    "batch_size",
    "evaluation",
    "predictions",
]
CSV, PNG = {"accept": "text/csv"}, {"accept": "image/png"}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A service as in a fresh clone: no datapool, no model but the shipped one."""
    with running(tmp_path_factory.mktemp("fresh")) as service:
        yield service


def test_metadata_tell_the_package_and_its_models(fresh):
    about = requests.get(f"{fresh.model}/", timeout=10).json()
    assert about["name"] == "mods"
    assert {"version", "description", "license", "author"} <= set(about)
    (default,) = [model for model in about["models"] if model["name"] == "model_default_cpu"]
    assert default["problem"] is None
    assert default["training"]["windows"] > 0
    assert about["datapool"] == []


def test_predict_without_any_argument_forecasts_the_last_day_of_the_sample(fresh):
    answer = fresh.predict()
    assert answer.status_code == 200
    found = answer.json()
    assert set(PREDICT_KEYS) <= set(found)
    assert (found["model_name"], found["data"], found["steps_ahead"]) == ("default", "sample", 12)
    assert found["columns"] == COLUMNS
    assert found["time_range"].startswith("<2024-03-")
    table = pd.DataFrame(found["predictions"])
    assert tuple(table.columns) == TABLE_COLUMNS
    assert len(table) == 144 * 12 * 4
    assert (table["lower"] <= table["upper"]).all()
    # The steps after the end of the data are forecast, and not known.
    assert table["actual"].isna().sum() == 4 * sum(range(1, 13))
    assert set(found["evaluation"]["baselines"]) == {"persistence", "seasonal_naive"}
    assert list(found["evaluation"]["steps"]) == [str(step) for step in range(1, 13)]
    assert "NaN" not in answer.text


def test_csv_and_json_are_the_same_table(fresh):
    answer = fresh.predict(headers=CSV, params={"time_range": "<2024-03-10,2024-03-10T02:00)"})
    assert answer.headers["content-type"].startswith("text/csv")
    table = pd.read_csv(io.StringIO(answer.text))
    found = fresh.predict(params={"time_range": "<2024-03-10,2024-03-10T02:00)"}).json()
    pd.testing.assert_frame_equal(table, pd.DataFrame(found["predictions"]), check_dtype=False)
    assert table["origin"].iloc[0] == "2024-03-10T00:00:00Z"
    assert table["origin"].nunique() == 12


def test_an_upload_is_forecast_and_removed(fresh):
    with SAMPLE.open("rb") as file:
        answer = fresh.predict(files={"data": ("mine.tsv", file)})
    found = answer.json()
    assert (answer.status_code, found["data"], found["columns"]) == (200, "upload", COLUMNS)
    assert found["predictions"] == fresh.predict().json()["predictions"]
    assert list(fresh.uploads.iterdir()) == []


def test_a_file_that_was_sent_once_is_trained_on(fresh):
    rows = "a\n" + "".join(f"{100 + n % 7 + n % 144}\n" for n in range(400))
    form = {"data": ("plain.csv", rows), "keep_data": (None, "true")}
    kept = fresh.predict(files=form).json()["data_id"]
    started = fresh.train(model_name="sent", data_id=kept, model_type="Conv1D", **SMALL)
    found = fresh.finished(started.json()["uuid"])["result"]["output"]
    assert (found["columns"], found["train_time_range"]) == (["a"], "<0,360)")
    assert set(found["evaluation"]["steps"]["1"]) >= {"smape", "mase"}
    answer = fresh.train(data_id="0" * 32)
    assert answer.status_code == 422
    assert "no upload is kept" in answer.json()["data_id"][0]


def test_an_upload_without_times_is_forecast_by_row_numbers(fresh):
    rows = "a,b\n" + "".join(f"{100 + n % 7},{n % 5}\n" for n in range(200))
    answer = fresh.predict(files={"data": ("plain.csv", rows)}, params={"time_range": "<100,110)"})
    found = answer.json()
    assert answer.status_code == 200, found
    assert sorted(set(found["predictions"]["origin"])) == list(range(100, 110))
    assert found["predictions"]["target"][0] == 101
    assert found["time_range"] == "<100,110)"


def test_chosen_columns_and_steps(fresh):
    columns = ["ssh_in", "conn_in"]
    asked = {"columns": columns, "horizon": 2}
    found = fresh.predict(params=asked).json()
    assert found["columns"] == ["conn_in", "ssh_in"]
    assert found["steps_ahead"] == 2
    table, whole = (pd.DataFrame(each["predictions"]) for each in (found, fresh.predict().json()))
    same = whole[(whole["step"] <= 2) & whole["column"].isin(columns)]
    pd.testing.assert_frame_equal(table, same.reset_index(drop=True))
    for wrong, expected in (
        ({"columns": "ssh_ni"}, "Did you mean 'ssh_in'?"),
        ({"horizon": 13}, "at most the 12 steps"),
    ):
        answer = fresh.predict(params=wrong)
        assert answer.status_code == 422
        assert expected in answer.json()["message"]


def test_a_picture(fresh):
    answer = fresh.predict(headers=PNG)
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG\r\n\x1a\n")


def test_a_page(fresh):
    answer = fresh.predict(headers={"accept": "text/html"})
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.startswith("<!DOCTYPE html>")
    assert '"conn_in"' in answer.text


BAD_TABLES = {
    "empty": (b"", "'bad.tsv' is empty"),
    "binary": (bytes(range(256)) * 50, "'bad.tsv' is not UTF-8 text"),
    "a header alone": (b"conn_in\tssh_in\n", "'bad.tsv' has a header and no rows"),
    "words": (b"conn_in\n" + b"many\n" * 50, "line 2 of 'bad.tsv', column 'conn_in': 'many'"),
    "too short": (b"conn_in\n" + b"1\n" * 5, "5 windows are too few"),
    "a broken zip": (b"PK\x03\x04" + b"x" * 100, "'bad.tsv'"),
    "gigantic numbers": (b"conn_in\n" + b"1e400\n" * 50, "'1e400'"),
}


@pytest.mark.parametrize("what", BAD_TABLES)
def test_a_bad_upload_is_told_within_a_second_and_the_next_request_works(fresh, what):
    content, expected = BAD_TABLES[what]
    begun = time.perf_counter()
    answer = fresh.predict(files={"data": ("bad.tsv", content)})
    took = time.perf_counter() - begun
    assert answer.status_code == 422
    assert answer.json()["error"] in ("DataError", "ModelError")
    assert expected in answer.json()["message"]
    assert took < 1
    assert list(fresh.uploads.iterdir()) == []
    assert requests.get(f"{fresh.model}/", timeout=10).status_code == 200


BAD_ARGUMENTS = [
    ({"model_name": "nope"}, "there is no model 'nope'"),
    ({"model_name": "../default"}, "Give the model's name only"),
    ({"time_range": "yesterday"}, "range 'yesterday'"),
    ({"time_range": "<2024-03-05,2024-03-05)"}, "is empty"),
    ({"time_range": "<2030-01-01,2030-01-02)"}, "holds no row of the data"),
    ({"time_range": "<2024-03-04,2024-03-04T01:00)"}, "18 windows are too few"),
    ({"time_ranges_excluded": "[1]"}, "a list of ranges"),
    ({"window_slide": "hourly"}, "window name 'hourly'"),
    ({"data_select_query": "conn"}, "selection query"),
    ({"batch_size": "0"}, "Must be greater than or equal to 1"),
    ({"batch_size": "many"}, "Not a valid integer."),
]


@pytest.mark.parametrize(("arguments", "expected"), BAD_ARGUMENTS)
def test_a_bad_argument_is_told_within_a_second_and_the_next_request_works(
    fresh, arguments, expected
):
    begun = time.perf_counter()
    answer = fresh.predict(params=arguments)
    took = time.perf_counter() - begun
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"].startswith("application/json")
    found = answer.json()
    text = found["message"] if "error" in found else " ".join(*found.values())
    assert expected in text
    assert took < 1
    assert requests.get(f"{fresh.model}/", timeout=10).status_code == 200


def test_an_unknown_media_type_is_told(fresh):
    answer = fresh.predict(headers={"accept": "image/gif"})
    assert answer.status_code == 422
    assert "image/png" in answer.text


def test_a_field_that_is_no_file_is_told(fresh):
    answer = fresh.predict(files={"data": (None, "conn_in")})
    assert answer.status_code == 422
    assert "multipart/form-data" in answer.text


def test_a_model_that_is_truncated_and_deleted_under_deepaas_run(fresh):
    shipped = (ROOT / "models" / "model_default_cpu.zip").read_bytes()
    mine = fresh.models / "mine.zip"
    asked = {"params": {"model_name": "mine", "horizon": 1}}
    mine.write_bytes(shipped)
    whole = fresh.predict(**asked)
    assert whole.status_code == 200
    mine.write_bytes(shipped[:5000])
    answer = fresh.predict(**asked)
    assert answer.status_code == 422
    assert "mine" in answer.json()["message"]
    mine.unlink()
    assert "there is no model 'mine'" in " ".join(*fresh.predict(**asked).json().values())
    mine.write_bytes(shipped)
    assert fresh.predict(**asked).json() == whole.json()
    mine.unlink()


def test_browsers_and_libraries_say_what_they_take_in_their_ways(fresh):
    for accept, kind in (
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("application/json, text/plain, */*", "application/json"),
    ):
        answer = fresh.predict(headers={"accept": accept}, params={"horizon": 1})
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)


def test_uploads_at_the_same_time_are_not_mixed_up(fresh):
    def columns(n: int) -> list[str]:
        rows = f"column{n}\n" + "".join(f"{m % 9}\n" for m in range(60))
        return list(fresh.predict(files={"data": (f"{n}.csv", rows)}).json()["columns"])

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(columns, range(48))) == [[f"column{n}"] for n in range(48)]
    assert list(fresh.uploads.iterdir()) == []


def test_training_without_a_datapool_is_refused_when_it_is_asked_for(fresh):
    answer = fresh.train()
    assert answer.status_code == 422
    (text,) = answer.json()["data_select_query"]
    assert "no datapool to train on" in text
    assert "mods features" in text
