"""Bundles of the original, the whole way: imported, they forecast what they did."""

from __future__ import annotations

import json
import os
import zipfile

import numpy as np
import pandas as pd
import pytest

from mods.cli import main
from mods.errors import ModelError, NotFoundError
from mods.models.bundle import read_bundle
from mods.models.evaluation import evaluate
from mods.models.legacy import ImportedModel, import_bundle
from mods.models.loading import load_bundle
from mods.tests.keras2_oracle import dense, lstm
from mods.tests.original_maker import (
    COLUMNS,
    DENSE_WEIGHTS,
    LEVELS,
    LSTM_WEIGHTS,
    SCALER,
    Command,
    config_of,
    level_frame,
    original,
    pickled,
    scaler_of,
)


def expected_changes() -> np.ndarray:
    """What the original said after each window from the thirteenth on, in the columns' units."""
    scaled = SCALER.transform(np.diff(LEVELS, axis=0))
    windows = np.stack([scaled[n : n + 12] for n in range(len(scaled) - 11)])
    said = dense(lstm(windows, *LSTM_WEIGHTS.values()), *DENSE_WEIGHTS.values())
    changes: np.ndarray = SCALER.inverse_transform(said)
    return changes


@pytest.fixture
def imported(tmp_path):
    (tmp_path / "old.zip").write_bytes(original())
    config = import_bundle(tmp_path / "old.zip", tmp_path / "new.zip")
    assert config["columns"] == COLUMNS
    return tmp_path / "new.zip"


@pytest.mark.network
def test_an_imported_model_forecasts_what_the_original_did(imported):
    model = load_bundle(imported)
    assert isinstance(model, ImportedModel)
    table = model.backtest(level_frame())
    for place, column in enumerate(COLUMNS):
        rows = table[table["column"] == column]
        expected = LEVELS[12:, place] + expected_changes()[:, place]
        np.testing.assert_allclose(rows["forecast"], expected, rtol=1e-5)
        np.testing.assert_array_equal(rows["actual"].iloc[:-1], LEVELS[13:, place])
        assert np.isnan(rows["actual"].iloc[-1])
    assert (table["target"] - table["origin"] == pd.Timedelta("10min")).all()
    assert (table["lower"] <= table["forecast"]).all()
    last = model.forecast(level_frame())
    assert last.point.index[0] == pd.Timestamp("2019-06-03T18:40Z")
    np.testing.assert_allclose(last.point.iloc[0], table["forecast"].iloc[-4:], rtol=1e-6)
    assert read_bundle(imported).metrics == {"original": {"smape": 1.41}}


@pytest.mark.network
def test_an_imported_model_learns_intervals_from_its_own_errors(imported):
    evaluation = evaluate(load_bundle(imported), level_frame(), include="<2019-06-02,2019-06-04)")
    assert evaluation.steps == (1,)
    assert 0.8 < evaluation.model["coverage"].mean() < 0.98


@pytest.mark.network
def test_a_model_of_later_steps_says_that_it_forecasts_a_change(tmp_path, capsys):
    (tmp_path / "old.zip").write_bytes(original(**{"config.json": config_of(steps_ahead=3)}))
    target = str(tmp_path / "new.zip")
    assert main(["import", str(tmp_path / "old.zip"), "--model", target]) == 0
    assert "It forecasts the change x[t+3] - x[t+2]" in capsys.readouterr().out
    table = load_bundle(target).backtest(level_frame())
    rows = table[table["column"] == "conn_in (change)"]
    np.testing.assert_allclose(rows["forecast"], expected_changes()[:, 0], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(rows["actual"].iloc[:-3], np.diff(LEVELS[:, 0])[14:])
    assert (rows["step"] == 3).all()
    with pytest.raises(ModelError, match="forecasts 'conn_in"):
        evaluate(load_bundle(target), level_frame())


@pytest.mark.network
def test_a_model_of_levels_is_moved_too(tmp_path):
    scaler, pickled_scaler = scaler_of(LEVELS)
    changes = {"config.json": config_of(model_delta=False), "scaler.pkl": pickled_scaler}
    (tmp_path / "old.zip").write_bytes(original(**changes))
    import_bundle(tmp_path / "old.zip", tmp_path / "new.zip")
    table = load_bundle(tmp_path / "new.zip").backtest(level_frame())
    windows = np.stack([scaler.transform(LEVELS)[n : n + 12] for n in range(389)])
    said = dense(lstm(windows, *LSTM_WEIGHTS.values()), *DENSE_WEIGHTS.values())
    expected = scaler.inverse_transform(said)
    np.testing.assert_allclose(table["forecast"].to_numpy().reshape(389, 4), expected, atol=0.01)


@pytest.mark.network
def test_no_forecast_of_an_imported_model_knows_what_comes_later(imported):
    model = load_bundle(imported)
    frame = level_frame()
    frame.iloc[0:3, 1] = np.nan
    frame.iloc[50:60, 0] = np.nan
    before = model.backtest(frame)
    changed = frame.copy()
    changed.iloc[200:] = 5.0
    after = model.backtest(changed)
    seen = before["origin"] < frame.index[200]
    names = ["forecast", "lower", "upper"]
    pd.testing.assert_frame_equal(before.loc[seen, names], after.loc[seen, names])


@pytest.mark.network
def test_import_and_predict_from_the_command_line(tmp_path, capsys):
    (tmp_path / "old.zip").write_bytes(original())
    level_frame().reset_index().to_csv(tmp_path / "data.csv", index=False)
    target = str(tmp_path / "new.zip")
    assert main(["import", str(tmp_path / "old.zip"), "--model", target, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["forecasts"] == "level"
    command = ["predict", "--data", str(tmp_path / "data.csv"), "--model", target]
    assert main([*command, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["columns"] == COLUMNS and document["origins"] == 388


BUNDLES = {
    "ours": ({"config.json": b'{"format": "mods bundle"}'}, "has this version's layout"),
    "no model": ({"config.json": b"{}"}, "without a 'model' in its config.json"),
    "no config": ({"config.json": b"["}, "damaged in its member 'config.json'"),
    "escaping file": ({"config.json": config_of(file="../model.h5")}, "names '../model.h5' as its"),
    "missing file": ({"config.json": config_of(file="other.h5")}, "has no member 'other.h5'"),
    "length": ({"config.json": config_of(sequence_len=-1)}, "its sequence_len is '-1'"),
    "delta": ({"config.json": config_of(model_delta="yes")}, "its model_delta is 'yes'"),
    "other shape": ({"config.json": config_of(sequence_len=24)}, "holds a network from (12, 4)"),
    "query": ({"config.json": config_of(data_select_query="|")}, "data_select_query does not"),
    "two columns": (
        {"config.json": config_of(data_select_query="ssh|in~a|out~b#window_start")},
        "selects 2 columns, and its scaler has 4",
    ),
    "path": ({"../evil": b""}, "holds the path '../evil', which leads out of it"),
    "folder": ({"a/b": b""}, "holds the member 'a/b', which no bundle has"),
    "scaler": ({"scaler.pkl": pickled(Command(os.system, "x"))}, "asks for posix.system"),
}


@pytest.mark.network
@pytest.mark.parametrize("case", BUNDLES)
def test_a_hostile_or_damaged_original_is_refused_and_nothing_is_written(tmp_path, case, capsys):
    changes, message = BUNDLES[case]
    (tmp_path / "old.zip").write_bytes(original(**changes))
    target = tmp_path / "new.zip"
    assert main(["import", str(tmp_path / "old.zip"), "--model", str(target)]) == 2
    complaint = capsys.readouterr().err
    assert message in complaint and complaint.count("\n") == 1
    assert not target.exists()


def test_what_is_no_original_is_refused(tmp_path):
    with pytest.raises(NotFoundError):
        import_bundle(tmp_path / "none.zip", tmp_path / "new.zip")
    (tmp_path / "cut.zip").write_bytes(original()[:-40])
    with pytest.raises(ModelError, match="truncated or damaged"):
        import_bundle(tmp_path / "cut.zip", tmp_path / "new.zip")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(ModelError, match=r"has no member 'config\.json'"):
        import_bundle(tmp_path / "empty.zip", tmp_path / "new.zip")


def test_loading_an_original_as_it_is_says_how_to_import_it(tmp_path):
    (tmp_path / "old.zip").write_bytes(original())
    with pytest.raises(ModelError, match="Convert it with: mods import"):
        load_bundle(tmp_path / "old.zip")
