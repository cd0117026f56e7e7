"""What every network owes its user: the contract, over all types."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mods.errors import DataError, ModelError
from mods.models.encoding import ScaleFree
from mods.models.forecast import actual_after
from mods.models.hyperparameters import MODEL_TYPES, Hyperparameters
from mods.models.mods_model import Model
from mods.tests.series_maker import SMALL, frame_of

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def lstm():
    return Model("LSTM", **SMALL).fit(frame_of(600).iloc[:500], progress=False)


QUICK = ("Conv1D", "LSTM", "auto")
TYPES = [
    pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in MODEL_TYPES
]


@pytest.mark.parametrize("model_type", TYPES)
def test_every_type_is_seeded_saved_and_pure(model_type, tmp_path):
    frame = frame_of(260)
    kept = frame.copy(deep=True)
    settings = SMALL | {"batch_normalization": True, "stacked_blocks": 2}
    model = Model(model_type, **settings).fit(frame, progress=False)
    table = model.backtest(frame)
    pd.testing.assert_frame_equal(frame, kept)
    assert len(table) == (260 - 11) * 2 * 6
    assert np.isfinite(table["forecast"]).all()
    assert (table["lower"] <= table["forecast"]).all()
    assert (table["forecast"] <= table["upper"]).all()
    model.save(tmp_path / "model.zip")
    loaded = Model.load(tmp_path / "model.zip")
    assert loaded.config == model.config
    pd.testing.assert_frame_equal(loaded.backtest(frame), table)
    if model_type == "Conv1D":
        again = Model(model_type, **settings).fit(frame, progress=False)
        pd.testing.assert_frame_equal(again.backtest(frame), table)
        other = Model(model_type, **settings, seed=1).fit(frame, progress=False)
        assert not np.allclose(other.backtest(frame)["forecast"], table["forecast"])


def test_the_callers_random_state_is_left_alone(lstm):
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    Model("MLP", **SMALL).fit(frame_of(200), progress=False)
    assert np.random.random() == expected  # noqa: NPY002


@pytest.mark.parametrize("timed", [True, False])
def test_a_forecast_is_the_last_row_of_a_backtest(lstm, timed):
    frame = frame_of(400, timed=timed)
    forecast = lstm.forecast(frame)
    assert list(forecast.point.columns) == ["column0", "column1"]
    assert forecast.point.shape == (6, 2) and forecast.coverage == 0.9
    table = lstm.backtest(frame)
    last = table[table["origin"] == frame.index[-1]]
    point = last.pivot_table(index="target", columns="column", values="forecast")
    np.testing.assert_allclose(point.to_numpy(), forecast.point.to_numpy(), rtol=1e-4)
    assert point.index.tolist() == forecast.point.index.tolist()
    step = frame.index[1] - frame.index[0]
    assert forecast.point.index[0] == frame.index[-1] + step
    assert last["actual"].isna().all()


def test_no_forecast_sees_what_comes_after_its_origin(lstm):
    frame = frame_of(400)
    table = lstm.backtest(frame)
    changed = frame.copy()
    changed.iloc[300:] = 1e9
    other = lstm.backtest(changed)
    early = table["origin"] < frame.index[300]
    columns = ["forecast", "lower", "upper"]
    np.testing.assert_allclose(table.loc[early, columns], other.loc[early, columns], rtol=1e-4)
    late = ~early
    assert not np.allclose(table.loc[late, "forecast"], other.loc[late, "forecast"])


def test_actual_is_the_row_so_many_steps_later(lstm):
    frame = frame_of(100, timed=False)
    table = lstm.backtest(frame)
    known = table[table["actual"].notna()]
    assert (known["target"] - known["origin"] == known["step"]).all()
    for row in known.sample(20, random_state=0).itertuples():
        assert frame[row.column].iloc[row.target] == row.actual
    assert table["actual"].isna().sum() == 2 * (6 + 5 + 4 + 3 + 2 + 1)


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_the_batch_size_does_not_change_a_forecast(lstm, batch_size):
    frame = frame_of(60)
    expected = lstm.backtest(frame)
    given = lstm.backtest(frame, batch_size=batch_size)
    columns = ["forecast", "lower", "upper"]
    np.testing.assert_allclose(given[columns], expected[columns], rtol=1e-4)


def test_a_column_times_a_thousand_is_forecast_a_thousand_times(lstm):
    frame = frame_of(400)
    larger = frame.copy()
    larger["column1"] *= 1000
    table, other = lstm.backtest(frame), lstm.backtest(larger)
    factor = np.where(table["column"] == "column1", 1000.0, 1.0)
    for name in ("forecast", "lower", "upper"):
        np.testing.assert_allclose(table[name] * factor, other[name], rtol=1e-3, atol=1e-6)


def test_columns_that_it_never_saw_are_forecast_too(lstm):
    frame = frame_of(400).rename(columns={"column0": "bytes", "column1": "names"})
    table = lstm.backtest(frame)
    assert set(table["column"]) == {"bytes", "names"}
    rows = frame.index.get_indexer(table["origin"])
    persistence = frame.to_numpy()[rows, frame.columns.get_indexer(table["column"])]
    known = table["actual"].notna().to_numpy()
    error = np.abs(table["forecast"] - table["actual"])[known].mean()
    assert error < 2 * np.abs(persistence - table["actual"])[known].mean()


def strange(kind: str) -> pd.DataFrame:
    frame = frame_of(300)
    if kind == "constant":
        frame["column1"] = 7.0
    elif kind == "all zero":
        frame["column1"] = 0.0
    elif kind == "half missing":
        frame.loc[np.random.default_rng(0).random(300) < 0.5, "column1"] = np.nan
    elif kind == "missing at first":
        frame.iloc[:200, 1] = np.nan
    return frame


@pytest.mark.parametrize("kind", ["constant", "all zero", "half missing", "missing at first"])
@pytest.mark.parametrize("interpolate", [True, False])
def test_strange_columns_are_learned_and_forecast(kind, interpolate):
    frame = strange(kind)
    model = Model("Conv1D", **SMALL, interpolate=interpolate).fit(frame, progress=False)
    table = model.backtest(frame)
    column = table[table["column"] == "column1"]
    if kind == "missing at first":
        column = column[column["origin"] >= frame.index[200]]
    assert np.isfinite(column[["forecast", "lower", "upper"]]).all(axis=None)
    if kind == "all zero":
        assert (column["forecast"] == 0).all()
    if kind == "constant":
        assert column["forecast"].between(6.5, 7.5).all()


def test_fixed_columns_are_forecast_together(tmp_path):
    frame = frame_of(400, columns=3)
    frame.iloc[50:60, 1] = np.nan
    settings = SMALL | {"multivariate": True, "num_epochs": 3}
    for model_delta in (True, False):
        model = Model("Conv1D", **settings, model_delta=model_delta)
        model.fit(frame.iloc[:350], progress=False)
        table = model.backtest(frame)
        assert np.isfinite(table[["forecast", "lower", "upper"]]).all(axis=None)
        model.save(tmp_path / "model.zip")
        loaded = Model.load(tmp_path / "model.zip")
        # The order of the data's columns does not matter, and more of them are left out.
        turned = frame[["column2", "column0", "column1"]].assign(more=1.0)
        pd.testing.assert_frame_equal(loaded.backtest(turned), table)
        with pytest.raises(DataError, match="have no column 'column1', which the model was trai"):
            loaded.forecast(frame.drop(columns="column1"))
    persistence = frame["column0"].diff().abs().mean()
    first = table[(table["column"] == "column0") & (table["step"] == 1)].dropna()
    assert np.abs(first["forecast"] - first["actual"]).mean() < 10 * persistence


def test_units_of_fixed_columns_come_from_the_training_part_only():
    frame = frame_of(400)
    changed = frame.copy()
    changed.iloc[380:] *= 100  # inside the validation part, which is its last tenth
    settings: dict[str, Any] = SMALL | {"multivariate": True}
    one, other = (
        Model("MLP", **settings).fit(data, progress=False).config["encoding"]
        for data in (frame, changed)
    )
    assert one == other


def test_changes_from_and_to_windows_beside_a_gap_are_not_learned():
    frame = frame_of(400)
    frame.iloc[200:210, 0] = np.nan
    settings = Hyperparameters.of(sequence_len=12, horizon=6)
    encoding, origins = ScaleFree(settings, "w01h-s10m"), np.arange(11, 394)
    encoding.learn(frame, origins)
    weight = encoding.arrays(frame, origins).target[..., 0, 1].reshape(2, 383, 6)
    # A window shares slots with the five before and after it; six are left out, to be safe.
    assert origins[~weight[0].any(axis=1)].tolist() == list(range(193, 216))
    assert weight[1].all()
    frame.iloc[::5, 0] = np.nan
    # A column full of gaps is learned from what there is.
    known = np.isfinite(actual_after(frame, origins, 6))[..., 0]
    weight = encoding.arrays(frame, origins).target[:383, :, 0, 1]
    assert ((weight > 0) == known).all()


def test_steps_ahead_selects_of_the_horizon():
    frame = frame_of(260)
    whole = Model("MLP", **SMALL).fit(frame, progress=False)
    first = Model("MLP", **SMALL, steps_ahead=2).fit(frame, progress=False)
    assert first.horizon == 2 and whole.horizon == 6
    table = whole.backtest(frame)
    np.testing.assert_array_equal(
        table.loc[table["step"] <= 2, "forecast"], first.backtest(frame)["forecast"]
    )


def test_levels_instead_of_changes():
    frame = frame_of(300)
    model = Model("MLP", **SMALL, model_delta=False).fit(frame, progress=False)
    assert np.isfinite(model.backtest(frame)["forecast"]).all()


def test_intervals_hold_what_they_say_on_later_data():
    frame = frame_of(2600, columns=3)
    settings: dict[str, Any] = {"sequence_len": 12, "horizon": 3, "blocks": 8, "num_epochs": 3}
    model = Model("MLP", **settings).fit(frame.iloc[:1600], progress=False)
    table = model.backtest(frame).dropna()
    later = table[table["origin"] >= frame.index[1600]]
    inside = (later["lower"] <= later["actual"]) & (later["actual"] <= later["upper"])
    assert 0.85 <= inside.mean() <= 0.95


BAD_FRAMES = {
    "too short": (lambda f: f.iloc[:29], "29 windows are too few; expected at least 30"),
    "infinite": (lambda f: f.replace(f.iloc[5, 1], np.inf), "column 'column1' is inf at"),
    "empty": (lambda f: f * np.nan, "the data hold no value"),
}


@pytest.mark.parametrize("kind", BAD_FRAMES)
def test_data_that_cannot_be_learned_from(kind):
    spoil, message = BAD_FRAMES[kind]
    with pytest.raises(DataError, match=message):
        Model("MLP", **SMALL).fit(spoil(frame_of(200)), progress=False)


def test_a_history_that_is_too_short_to_forecast(lstm):
    with pytest.raises(DataError, match="11 windows are too few; expected at least 12"):
        lstm.forecast(frame_of(11))
    assert np.isfinite(lstm.forecast(frame_of(12)).point).all(axis=None)


BAD_SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "LTSM": ({"model_type": "LTSM"}, "unknown model type 'LTSM'. Did you mean 'LSTM'?"),
    "dropout": ({"dropout_rate": 1.0}, "dropout_rate is 1.0; expected a number from 0 to 0.9"),
    "epochs": ({"num_epochs": 0}, "num_epochs is 0; expected a whole number from 1"),
    "half": ({"sequence_len": 12.5}, "sequence_len is 12.5; expected a whole number"),
    "text": ({"seed": "one"}, "seed is 'one'; expected a whole number"),
    "truth": ({"model_delta": 1}, "model_delta is 1; expected true or false"),
    "steps": ({"steps_ahead": 24}, "steps_ahead is 24; expected at most the horizon, 12"),
    "name": ({"sequence_length": 12}, "Did you mean 'sequence_len'?"),
}


@pytest.mark.parametrize("kind", BAD_SETTINGS)
def test_settings_that_cannot_be_used(kind):
    given, message = BAD_SETTINGS[kind]
    with pytest.raises(ModelError) as caught:
        Model(**given)
    assert message in str(caught.value)


def test_an_untrained_model_says_so():
    with pytest.raises(ModelError, match="the model is not trained"):
        Model("MLP").forecast(frame_of(100))


def test_a_network_of_other_inputs_says_so(tmp_path):
    model = Model("MLP", **SMALL).fit(frame_of(200), progress=False)
    model.config["encoding"]["identities"] = []  # as a version without these inputs wrote it
    model.save(tmp_path / "other.zip")
    with pytest.raises(ModelError, match=r"takes inputs of shapes .* Train it again"):
        Model.load(tmp_path / "other.zip").forecast(frame_of(200))


def test_no_warning_reaches_the_user():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Model("MLP", **SMALL).fit(strange("half missing"), progress=False)
