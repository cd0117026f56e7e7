"""The DEEPaaS entry point without a server: its functions, its errors, and `deepaas-cli`."""

from __future__ import annotations

import gc
import io
import json
import pickle
import re
import shutil
import subprocess
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from deepaas.model.v2.wrapper import UploadedFile
from marshmallow import ValidationError

from mods import config
from mods.errors import DataError, ModsWarning, NotFoundError
from mods.models import api, request_data
from mods.models.api_errors import ServiceError, collected_warnings, translated
from mods.tests.running_service import SAMPLE, SCRIPTS, an_upload, environment, write_pool


def test_the_entry_point_has_what_deepaas_looks_for():
    (found,) = metadata.entry_points(group="deepaas.v2.model", name="mods")
    assert found.load() is api
    methods = {"get_metadata", "warm", "get_train_args", "train", "get_predict_args", "predict"}
    assert set(api.__all__) == methods | {"schema"}
    assert all(callable(getattr(api, name)) for name in methods)


def test_metadata_come_from_the_package_and_are_json(folder):
    about = api.get_metadata()
    assert about["version"] == metadata.version("mods")
    assert about["name"] == "mods"
    assert about["description"].startswith("Massive Online Data Streams")
    assert json.loads(json.dumps(about, allow_nan=False)) == about


def test_metadata_tell_the_datapool_and_models_that_cannot_be_used(folder):
    write_pool(config.folders().datapools, days=3)
    (folder / "models" / "broken.zip").write_bytes(b"PK no zip")
    about = api.get_metadata()
    assert [row["protocol"] for row in about["datapool"]] == ["conn", "dns", "ssh"]
    for row in about["datapool"]:
        assert (row["window"], row["days"], row["missing_days"]) == ("w01h-s10m", 3, 0)
        assert (row["first_day"], row["last_day"]) == ("2024-03-01", "2024-03-03")
    (broken,) = [model for model in about["models"] if model["name"] == "broken"]
    assert "broken" in broken["problem"]


def test_metadata_survive_a_damaged_datapool(folder):
    pool = config.folders().datapools
    pool.mkdir(parents=True)
    (pool / "2024-03.zip").write_bytes(b"PK no zip")
    assert api.get_metadata()["datapool"] == []


def test_an_error_keeps_its_text_and_status_through_a_pickle():
    for raised, status in (
        (NotFoundError("no model 'a'", "one that exists"), 404),
        (DataError("no rows"), 422),
        (ZeroDivisionError("division by zero"), 500),
        (MemoryError(), 422),
    ):
        with pytest.raises(ServiceError) as caught, translated():
            raise raised
        copy = pickle.loads(pickle.dumps(caught.value))
        assert copy.status == status
        body = json.loads(copy.text)
        assert set(body) == {"error", "message"}
        assert str(raised) in body["message"]
        assert copy.content_type == "application/json"
        # What the status of a training shows.
        assert str(copy) == body["message"]


def test_our_warnings_are_collected_once_and_others_are_not():
    with collected_warnings() as heard:
        for _ in range(3):
            warnings.warn("line 7 was mended", ModsWarning, stacklevel=1)
        with pytest.raises(ResourceWarning):
            warnings.warn("another", ResourceWarning, stacklevel=1)
    assert heard == ["line 7 was mended"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("table.tsv", "table.tsv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\logs\\May 1.csv", "May_1.csv"),
        ("...", "upload"),
        ("", "upload"),
        (None, "upload"),
        ("x" * 300 + ".tsv", "x" * 96 + ".tsv"),
        ("-rf\n.tsv", "rf_.tsv"),
    ],
)
def test_an_upload_keeps_a_harmless_form_of_its_name_and_is_removed(folder, sent, kept):
    with request_data.upload_file(an_upload(folder, b"x", sent)) as path:
        assert path is not None
        assert path.name == kept
        assert path.read_bytes() == b"x"
        assert path.is_relative_to(folder / "uploads")
    assert list((folder / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [{}, {"batch_size": 0}, {"model_name": "nope"}, {"nonsense": 1}, {"accept": "x/y"}],
)
def test_an_upload_is_removed_whatever_goes_wrong(folder, arguments):
    with pytest.raises(ServiceError):
        api.predict(data=an_upload(folder, b"\0\1"), **arguments)
    assert list((folder / "uploads").iterdir()) == []


def test_the_message_names_the_client_s_file(folder):
    with pytest.raises(ServiceError, match=r"'May_1\.csv' is empty"):
        api.predict(data=an_upload(folder, b"", "May 1.csv"))


def test_an_upload_that_has_gone_is_told(folder):
    upload = UploadedFile("data", str(folder / "uploads" / "gone"), "text/plain", "a.tsv")
    with pytest.raises(ServiceError, match="Send it again"):
        api.predict(data=upload)
    assert list((folder / "uploads").iterdir()) == []


def test_no_sample_and_no_datapool_is_told(folder, monkeypatch):
    monkeypatch.setattr(config, "shipped", lambda _name: None)
    with pytest.raises(NotFoundError, match="neither a datapool nor the sample"):
        request_data.read_sample()


def test_a_default_model_that_cannot_be_loaded_does_not_stop_the_start(folder, caplog):
    (folder / "models" / "model_default_cpu.zip").write_bytes(b"PK no zip")
    api.warm()
    assert "the default model cannot be loaded" in caplog.text
    with pytest.raises(ServiceError) as caught:
        api.predict()
    assert caught.value.status == 422


def test_a_failure_of_ours_while_warming_does_not_stop_the_start(folder, monkeypatch, caplog):
    def load(_name):
        raise ValueError("expected shape=(None, 131), found shape=(None, 156)")

    monkeypatch.setattr(api, "_load", load)
    api.warm()
    assert "cannot be warmed" in caplog.text
    assert "expected shape" in caplog.text


def test_only_what_is_asked_for_is_read_from_the_datapool(folder):
    write_pool(config.folders().datapools, days=5)
    asked: dict[str, Any] = {"query": None, "window": None, "exclude": ()}
    data = request_data.read_pool(**asked, include=None, history=10, after=3)
    assert data is not None
    # The last day may have only begun: one more is read.
    assert str(data.frame.index[0]) == "2024-03-03 22:20:00+00:00"
    assert str(data.frame.index[-1]) == "2024-03-05 23:50:00+00:00"
    assert data.last_day == "<2024-03-05T00:00:00Z,2024-03-05T23:50:00Z>"
    data = request_data.read_pool(**asked, include="<2024-03-02,2024-03-03)", history=10, after=3)
    assert data is not None
    assert len(data.frame) == 10 + 144 + 3


def test_the_last_day_that_has_only_begun_is_the_last_24_hours(folder):
    pool = config.folders().datapools
    write_pool(pool, days=3)
    for path in pool.rglob("2024/03/03/*.tsv"):
        lines = path.read_text().splitlines(keepends=True)
        # The windows after seven o'clock are there, without their values.
        empty = [re.sub(r"\t\d+(?=[\t\n])", "\t", line) for line in lines[43:]]
        path.write_text("".join(lines[:43] + empty))
    asked: dict[str, Any] = {"query": None, "window": None, "exclude": (), "include": None}
    data = request_data.read_pool(**asked, history=10)
    assert data is not None
    assert str(data.frame.index[-1]) == "2024-03-03 23:50:00+00:00"
    assert data.last_day == "<2024-03-02T07:00:00Z,2024-03-03T06:50:00Z>"


def test_a_range_that_the_datapool_does_not_reach_is_told_as_it_was_asked_for(folder):
    write_pool(config.folders().datapools, days=3)
    for asked in ("<2024-02-28,2024-03-01)", "<2024-03-04,2024-03-05)"):
        with pytest.raises(ServiceError) as caught:
            api.predict(time_range=asked)
        assert caught.value.message == (
            f"range '{asked}' holds no day of the datapool; "
            "expected a range that overlaps <2024-03-01,2024-03-03>"
        )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"window_slide": "w10m-s01m"}, "window 'w10m-s01m' does not fit the times of 'sample"),
        ({"data_select_query": "conn|in_count_uid"}, "the table has no column 'in_count_uid'"),
    ],
)
def test_what_the_sample_is_not_is_refused(folder, arguments, expected):
    with pytest.raises(ServiceError) as caught:
        api.predict(**arguments)
    assert caught.value.status == 422
    assert expected in caught.value.message


def test_messages_do_not_tell_where_the_service_keeps_its_files(folder):
    with pytest.raises(ServiceError) as caught:
        api.train()
    assert "expected features under 'data/features/datapools'" in caught.value.message
    with pytest.raises(ServiceError) as caught:
        api.predict(model_name="nope")
    assert "there is no model 'nope' in 'models'" in caught.value.message
    with pytest.raises(ValidationError) as refused:
        api.get_predict_args()["model_name"].deserialize("nope")
    assert str(folder) not in str(refused.value)


def test_an_empty_datapool_is_none(folder):
    asked: dict[str, Any] = {"query": None, "window": None, "exclude": (), "include": None}
    assert request_data.read_pool(**asked, history=1) is None
    pool = config.folders().datapools
    pool.mkdir(parents=True)
    (pool / ".gitkeep").touch()
    assert request_data.read_pool(**asked, history=1) is None
    (pool / "2024-03.zip").write_bytes(b"PK no zip")
    with pytest.raises(DataError):
        request_data.read_pool(**asked, history=1)


@pytest.mark.network
def test_answers_equal_those_of_the_shell(folder, tmp_path):
    from mods.cli import main

    out = tmp_path / "table.csv"
    chosen = "<2024-03-12,2024-03-13)"
    words = ["predict", "--data", str(SAMPLE), "--model", "default", "--range", chosen]
    assert main([*words, "--out", str(out)]) == 0
    upload = an_upload(folder, SAMPLE.read_bytes())
    answer = api.predict(data=upload, time_range=chosen, accept="text/csv")
    assert isinstance(answer, io.BytesIO)
    pd.testing.assert_frame_equal(pd.read_csv(answer), pd.read_csv(out))


@pytest.mark.network
def test_a_day_of_a_real_datapool_is_forecast(folder, real_data):
    from mods.cli import main

    day = real_data / "real" / "datapools" / "2019-06-01.zip"
    answer = api.predict(data=an_upload(folder, day.read_bytes(), day.name), coverage=0.9)
    assert isinstance(answer, dict)
    # It is what the shell says, to the last digit.
    out = folder / "table.json"
    assert main(["predict", "--data", str(day), "--model", "default", "--out", str(out)]) == 0
    shell = pd.DataFrame(json.loads(out.read_text()))
    assert len(shell) > 0.9 * len(answer["predictions"]["origin"])
    pd.testing.assert_frame_equal(pd.DataFrame(answer["predictions"]), shell)
    assert answer["columns"] == ["conn_in", "conn_out", "dns_in_distinct", "ssh_in"]
    assert answer["data_select_query"] == config.DEFAULT_QUERY
    assert json.dumps(answer, allow_nan=False)


@pytest.mark.network
def test_a_datapool_as_zip_is_forecast_as_the_shell_does_it(folder):
    from mods.cli import main

    write_pool(folder / "pool", days=3)
    day = Path(shutil.make_archive(str(folder / "days"), "zip", folder / "pool"))
    asked = {"time_range": "<2024-03-03,2024-03-03T12:00)", "accept": "text/csv"}
    answer = api.predict(data=an_upload(folder, day.read_bytes(), day.name), **asked)
    assert isinstance(answer, io.BytesIO)
    out = folder / "table.csv"
    words = ["predict", "--data", str(day), "--model", "default", "--range", asked["time_range"]]
    assert main([*words, "--out", str(out)]) == 0
    pd.testing.assert_frame_equal(pd.read_csv(answer), pd.read_csv(out))
    found = api.predict(data=an_upload(folder, day.read_bytes(), day.name))
    assert isinstance(found, dict)
    assert (found["data"], found["data_select_query"]) == ("upload", config.DEFAULT_QUERY)
    assert found["time_range"] == "<2024-03-03T00:00:00Z,2024-03-03T23:50:00Z>"


@pytest.mark.network
def test_warm_leaves_the_default_model_loaded_and_its_memory_alone(folder):
    gc.unfreeze()
    api._loaded.cache_clear()
    try:
        assert api.warm_default()
        loaded = api._loaded.cache_info()
        assert loaded.currsize == 1
        # What stays for good is out of the way of the garbage collection.
        assert gc.get_freeze_count() > 100_000
        assert isinstance(api.predict(horizon=1), dict)
        assert api._loaded.cache_info().misses == loaded.misses
    finally:
        gc.unfreeze()


@pytest.mark.network
def test_a_table_in_any_form_is_forecast_alike(folder):
    table = pd.read_csv(SAMPLE, sep="\t").iloc[-400:]
    parquet = io.BytesIO()
    table.to_parquet(parquet)
    forms = {
        "table.tsv": table.to_csv(sep="\t", index=False).encode(),
        "table.csv": table.to_csv(index=False).encode(),
        "table.parquet": parquet.getvalue(),
    }
    answers = [api.predict(data=an_upload(folder, form, name)) for name, form in forms.items()]
    first = answers[0]
    assert isinstance(first, dict)
    assert first["data"] == "upload" and len(first["predictions"]["origin"]) > 144 * 12
    assert answers[0] == answers[1] == answers[2]


def test_more_forecasts_than_an_answer_holds_are_refused_before_they_are_made(folder):
    rows = api.MAX_ROWS // 12 + 1
    content = b"conn_in\n" + b"1\n" * rows
    with pytest.raises(ServiceError) as caught:
        api.predict(data=an_upload(folder, content), time_range=f"<0,{rows})")
    assert caught.value.status == 422
    text = str(caught.value.text)
    assert "gives 500,004 forecasts" in text and "at most 500,000" in text


@pytest.mark.network
def test_a_replaced_model_is_used_at_once(folder):
    shipped = config.shipped("models/model_default_cpu.zip")
    assert shipped is not None
    mine = folder / "models" / "mine.zip"
    mine.write_bytes(shipped.read_bytes())
    assert isinstance(api.predict(model_name="mine"), dict)
    mine.write_bytes(b"PK no zip")
    with pytest.raises(ServiceError, match="mine"):
        api.predict(model_name="mine")
    mine.unlink()
    with pytest.raises(ServiceError, match="there is no model 'mine'") as caught:
        api.predict(model_name="mine")
    assert caught.value.status in (404, 422)


def deepaas_cli(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPTS / "deepaas-cli", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment(folder),
    )


def test_deepaas_cli_tells_the_metadata(tmp_path):
    finished = deepaas_cli(tmp_path, "--deepaas_method_output=about.json", "get_metadata")
    assert finished.returncode == 0, finished.stderr
    assert json.loads((tmp_path / "about.json").read_text())["name"] == "mods"


@pytest.mark.slow
@pytest.mark.network
def test_deepaas_cli_forecasts_as_json_and_picture(tmp_path):
    for accept, name in (("application/json", "a.json"), ("image/png", "a.png")):
        words = [f"--deepaas_method_output={name}", "predict", f"--accept={accept}"]
        finished = deepaas_cli(tmp_path, *words, f"--data={SAMPLE}")
        assert finished.returncode == 0, finished.stderr
    answer = json.loads((tmp_path / "a.json").read_text())
    assert len(answer["predictions"]["origin"]) == 144 * 12 * 4
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert list((tmp_path / "uploads").iterdir()) == []


@pytest.mark.slow
@pytest.mark.network
def test_deepaas_cli_warms_and_trains(tmp_path):
    assert deepaas_cli(tmp_path, "warm").returncode == 0
    write_pool(tmp_path / "data" / "features" / "datapools", days=5)
    finished = deepaas_cli(
        tmp_path,
        "--deepaas_method_output=trained.json",
        "train",
        "--model_name=mine",
        "--model_type=Conv1D",
        "--num_epochs=1",
        "--blocks=4",
        "--train_time_ranges_excluded=['<2024-03-02,2024-03-03)']",
    )
    assert finished.returncode == 0, finished.stderr
    output = json.loads((tmp_path / "trained.json").read_text())["result"]["output"]
    assert output["train_time_ranges_excluded"] == ["<2024-03-02,2024-03-03)"]
    assert (tmp_path / "models" / "mine.zip").is_file()
