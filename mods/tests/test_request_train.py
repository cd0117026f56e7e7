"""Trainings as the service is asked for them, imported models, and intervals of any coverage."""

from __future__ import annotations

import io
import os
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from marshmallow import ValidationError

import mods
from mods import config
from mods.errors import ModelError, NotFoundError
from mods.models import api, kept_uploads
from mods.models.api_errors import ServiceError
from mods.models.hyperparameters import FINE_TUNING
from mods.models.kept_uploads import check_identifier, keep_upload, kept_upload
from mods.models.legacy import ImportedModel, import_bundle
from mods.tests.original_maker import COLUMNS, config_of, level_frame, original
from mods.tests.running_service import SAMPLE, an_upload, write_pool
from mods.tests.test_upload_logs import CONN_TSV

SMALL: dict[str, Any] = {"model_type": "Conv1D", "num_epochs": 1, "blocks": 4, "sequence_len": 6}


def a_table(rows: int = 600, **columns: Any) -> bytes:
    rhythm = 200 + 100 * np.sin(np.arange(rows) * 2 * np.pi / 144)
    drawn = np.random.default_rng(0).poisson(rhythm)
    return pd.DataFrame({"a": drawn, "b": drawn[::-1]} | columns).to_csv(index=False).encode()


@pytest.mark.network
def test_a_training_on_a_kept_upload_of_rows_without_times(folder):
    found = api.predict(data=an_upload(folder, a_table()), keep_data=True)
    assert isinstance(found, dict)
    assert list((folder / "uploads").iterdir()) == []
    trained = api.train(model_name="mine", data_id=found["data_id"], **SMALL)
    assert trained["data"] == "upload"
    assert (trained["train_time_range"], trained["test_time_range"]) == ("<0,540)", "<540,600)")
    assert (trained["columns"], trained["window_slide"]) == (["a", "b"], "w01h-s10m")
    assert trained["evaluation"]["origins"]["count"] == 60
    assert list((folder / "uploads").iterdir()) == []
    # Its identifier is for who sent it, and the trainings are shown to everybody.
    (record,) = api.get_metadata()["trainings"]
    assert record["state"] == "done"
    assert found["data_id"] not in str(record)
    answer = api.predict(model_name="mine", data=an_upload(folder, a_table()))
    assert isinstance(answer, dict)
    assert answer["data_id"] is None


@pytest.mark.network
def test_a_training_on_a_kept_upload_of_logs(folder):
    found = api.predict(data=an_upload(folder, CONN_TSV, "conn.log"), keep_data=True)
    assert isinstance(found, dict)
    query = "conn|in_count_uid~arriving|out_count_uid~leaving"
    asked = {
        "data_select_query": query,
        "train_time_ranges_excluded": ["<2024-03-01T02,2024-03-01T02:30)"],
    }
    trained = api.train(
        model_name="mine", data_id=found["data_id"], **asked, **SMALL | {"sequence_len": 2}
    )
    assert trained["columns"] == ["arriving", "leaving"]
    assert trained["data_select_query"].startswith(query)
    assert trained["train_time_range"].startswith("<2024-03-01T00:00")
    assert list((folder / "uploads").iterdir()) == []


@pytest.mark.network
def test_a_training_goes_on_from_a_model_with_what_is_not_said_its_own(folder):
    write_pool(config.folders().datapools, days=6)
    trained = api.train(model_name="mine", from_model="default", num_epochs=1)
    assert trained["from_model"] == "default"
    assert trained["training"]["epochs"] == 1
    assert trained["batch_size"] == FINE_TUNING["batch_size"]
    # Without a test range the last tenth is kept out of the training.
    assert trained["train_time_range"].startswith("<2024-03-01T00:00:00Z,2024-03-06T09:30:00")
    assert trained["test_time_range"].startswith("<2024-03-06T09:40:00Z,2024-03-06T23:50:00")
    begun, mine = mods.load_model("default"), mods.load_model("mine")
    assert isinstance(begun, mods.Model) and isinstance(mine, mods.Model)
    same = ("sequence_len", "blocks", "model_type", "horizon", "steps_ahead")
    for name in same:
        assert getattr(mine.settings, name) == getattr(begun.settings, name)
    assert mine.settings.learning_rate == FINE_TUNING["learning_rate"]
    message = "'from_model': blocks is 7, but the model 'default' has 48; expected the same"
    with pytest.raises(ServiceError, match=message):
        api.train(model_name="other", from_model="default", blocks=7)
    with pytest.raises(ServiceError, match="'model_type': Must be one of"):
        api.train(model_name="other", from_model="default", model_type="LTSM")
    assert not (folder / "models" / "other.zip").exists()


@pytest.mark.network
def test_a_test_range_alone_trains_on_what_lies_before_it_and_the_model_is_sent(
    folder, monkeypatch
):
    write_pool(config.folders().datapools, days=5)
    monkeypatch.setenv("APP_REMOTE_BASE_DIR", str(folder / "remote"))
    (folder / "remote").mkdir()
    trained = api.train(model_name="mine", test_time_range="<2024-03-05,2024-03-06)", **SMALL)
    assert trained["train_time_range"] == "<2024-03-01T00:00:00Z,2024-03-04T23:50:00Z>"
    assert trained["evaluation"]["origins"]["count"] == 144
    with pytest.raises(ServiceError, match="no window lies before the test range"):
        api.train(model_name="other", test_time_range="<2024-03-01,2024-03-03)", **SMALL)
    kept, remote = folder / "models" / "mine.zip", folder / "remote" / "models" / "mine.zip"
    deadline = time.monotonic() + 60
    while not remote.is_file():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert remote.read_bytes() == kept.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"data_id": "../data"}, "expected the data_id of an answer of predict"),
        ({"data_id": "0" * 32}, "no upload is kept as '00000000000000000000000000000000'"),
        ({"from_model": "none"}, "there is no model 'none'"),
        ({"from_model": "../a"}, "Give the model's name only"),
    ],
)
def test_a_training_from_nowhere_is_refused_when_it_is_asked_for(folder, arguments, expected):
    fields = api.get_train_args()
    ((name, value),) = arguments.items()
    with pytest.raises(ValidationError) as caught:
        fields[name].deserialize(value, name, arguments)
    assert expected in str(caught.value)


def test_a_training_on_an_upload_asks_nothing_of_the_datapool(folder):
    path = folder / "a.csv"
    path.write_bytes(a_table())
    given = {"data_id": keep_upload(path)}
    fields = api.get_train_args()
    assert fields["data_select_query"].deserialize("ssh|in", "data_select_query", given)
    assert fields["train_time_range"].deserialize("<0,100)", "train_time_range", given)
    for name, value in (("data_select_query", "ssh|in"), ("train_time_range", "<2024,2025)")):
        with pytest.raises(ValidationError, match="no datapool to train on"):
            fields[name].deserialize(value, name, {"data_id": " "})
    with pytest.raises(ValidationError, match="range 'yesterday'"):
        fields["train_time_range"].deserialize("yesterday", "train_time_range", given)


@pytest.mark.network
@pytest.mark.parametrize("arguments", [{"accept": "text/csv"}, {"data": None}])
def test_what_cannot_be_kept_is_told(folder, arguments):
    asked = {"data": an_upload(folder, a_table()), "keep_data": True} | arguments
    with pytest.raises(ServiceError, match="an upload, and an answer as JSON"):
        api.predict(**asked)
    assert not (folder / "checkpoints" / "uploads").exists()


def test_kept_uploads_are_bounded_in_number_size_and_age(folder, monkeypatch):
    path = folder / "a.csv"
    path.write_bytes(b"1" * 100)
    kept = [keep_upload(path) for _ in range(kept_uploads.COUNT)]
    for age, identifier in enumerate(reversed(kept)):
        then = time.time() - 60 * (age + 1)
        os.utime(check_identifier(identifier), (then, then))
    newest = keep_upload(path)
    for identifier in (kept[1], newest):
        with kept_upload(identifier) as copy:
            assert copy.read_bytes() == path.read_bytes()
        assert not copy.parent.exists()
    with pytest.raises(NotFoundError, match="no upload is kept"):
        check_identifier(kept[0])
    monkeypatch.setattr(kept_uploads, "MAX_BYTES", 350)
    kept_uploads.remove_old()
    with pytest.raises(NotFoundError):
        check_identifier(kept[-3])
    assert check_identifier(kept[-2])
    # Tomorrow week.
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 8 * 86_400)
    with pytest.raises(NotFoundError):
        check_identifier(newest)
    assert list((folder / "checkpoints" / "uploads").iterdir()) == []


def test_an_upload_that_cannot_be_kept_leaves_nothing(folder, monkeypatch):
    path = folder / "a.csv"
    path.write_bytes(b"1" * 100)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(mods.errors.DataError, match="No space left on device"):
        keep_upload(path)
    assert list((folder / "checkpoints" / "uploads").iterdir()) == []


@pytest.mark.network
@pytest.mark.parametrize("steps_ahead", [1, 3])
def test_the_service_and_python_use_an_imported_model(folder, steps_ahead):
    """One of the first step forecasts levels, one of a later step changes."""
    (folder / "old.zip").write_bytes(
        original(**{"config.json": config_of(steps_ahead=steps_ahead)})
    )
    import_bundle(folder / "old.zip", folder / "models" / "campus.zip")
    model = mods.load_model("campus")
    assert isinstance(model, ImportedModel)
    frame = level_frame()
    table = model.backtest(frame)
    content = frame.reset_index().to_csv(index=False).encode()
    asked: dict[str, Any] = {"model_name": "campus", "time_range": "<2019-06-02,2019-06-03)"}
    found = api.predict(data=an_upload(folder, content), **asked)
    assert isinstance(found, dict)
    assert found["steps_ahead"] == steps_ahead
    told = pd.DataFrame(found["predictions"])
    same = table[table["origin"].dt.strftime("%d") == "02"]
    np.testing.assert_allclose(told["forecast"], same["forecast"], rtol=1e-5)
    assert (found["evaluation"] is None) == (steps_ahead == 3)
    one = api.predict(data=an_upload(folder, content), columns=["dns_in_distinct"], **asked)
    assert isinstance(one, dict)
    assert len(one["predictions"]["origin"]) == 144
    for accept in ("image/png", "text/html", "text/csv"):
        answer = api.predict(data=an_upload(folder, content), accept=accept, **asked)
        assert isinstance(answer, io.BytesIO)
    (entry,) = [model for model in api.get_metadata()["models"] if model["name"] == "campus"]
    assert (entry["horizon"], entry["columns"]) == (steps_ahead, COLUMNS)
    written = pd.Timestamp(entry["written"])
    assert abs(pd.Timestamp.now("UTC") - written) < pd.Timedelta("1h")
    if steps_ahead == 3:
        with pytest.raises(ServiceError, match="the one step that this imported model forecasts"):
            api.predict(data=an_upload(folder, content), horizon=2, **asked)


@pytest.mark.network
def test_no_training_goes_on_from_an_imported_model(folder):
    (folder / "old.zip").write_bytes(original())
    import_bundle(folder / "old.zip", folder / "models" / "campus.zip")
    with pytest.raises(ServiceError, match="cannot be trained any further"):
        api.train(from_model="campus", model_name="mine")
    imported: Any = mods.load_model("campus")
    with pytest.raises(ModelError) as caught:
        mods.Model(num_epochs=1).fit(level_frame(), from_model=imported)
    assert str(caught.value) == (
        "an imported model cannot be trained any further; expected a model that was trained here."
        " Go on from another one, for example 'default'."
    )


@pytest.mark.network
def test_intervals_hold_the_share_that_is_asked_for(folder):
    shares = {}
    for coverage in (0.5, 0.9, 0.98):
        asked = {"coverage": coverage, "time_range": "<2024-03-06,2024-03-16)"}
        found = api.predict(data=an_upload(folder, SAMPLE.read_bytes()), **asked)
        assert isinstance(found, dict)
        assert found["coverage"] == coverage
        table = pd.DataFrame(found["predictions"]).dropna(subset=["actual"])
        inside = (table["lower"] <= table["actual"]) & (table["actual"] <= table["upper"])
        shares[coverage] = inside.mean()
        assert (table["lower"] <= table["forecast"]).all()
        assert (table["forecast"] <= table["upper"]).all()
    for coverage, share in shares.items():
        assert share == pytest.approx(coverage, abs=0.04)
