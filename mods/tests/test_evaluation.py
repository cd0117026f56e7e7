"""Every figure agrees with the plainest way to compute it, on aligned rows."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk

from mods.errors import DataError, ModelError, ModsError, ModsWarning, RangeError
from mods.models.evaluation import cube, evaluate, evaluate_table
from mods.models.forecast import forecast_table
from mods.models.report import write_report
from mods.models.scores import METRICS, score

cells = st.one_of(st.just(math.nan), st.just(0.0), st.floats(0, 1e9, allow_subnormal=False))
arrays = hnp.arrays(np.float64, (12, 1, 1), elements=cells)


def plain(f, a, p, low, high):
    """The figures by one loop over rows."""
    rows = [r for r in zip(f, a, p, low, high, strict=True) if all(map(math.isfinite, r[:3]))]
    if not rows:
        return {}
    terms = [0.0 if f + a == 0 else 2 * abs(f - a) / (f + a) for f, a, *_ in rows]
    mae = math.fsum(abs(f - a) for f, a, *_ in rows) / len(rows)
    naive = math.fsum(abs(p - a) for _, a, p, *_ in rows) / len(rows)
    figures = {
        "smape": 100 * math.fsum(terms) / len(terms),
        "rmse": math.sqrt(math.fsum((f - a) ** 2 for f, a, *_ in rows) / len(rows)),
        "mase": (1.0 if mae == 0 else math.nan) if naive == 0 else mae / naive,
    }
    nonzero = [abs(f - a) / a for f, a, *_ in rows if a]
    figures["mape"] = 100 * math.fsum(nonzero) / len(nonzero) if nonzero else math.nan
    bounded = [r for r in rows if math.isfinite(r[3]) and math.isfinite(r[4])]
    if bounded:
        inside = [low <= a <= high for _, a, _, low, high in bounded]
        figures["coverage"] = sum(inside) / len(inside)
    return figures


@given(arrays, arrays, arrays, arrays, arrays)
def test_the_figures_are_those_of_a_plain_loop(f, a, p, low, high):
    figures = score(f, a, p, low, high)
    assert set(figures) == set(METRICS)
    expected = plain(*(array.ravel().tolist() for array in (f, a, p, low, high)))
    if not expected:
        assert all(np.isnan(figure).all() for figure in figures.values())
    for name, value in expected.items():
        np.testing.assert_allclose(figures[name].item(), value, rtol=1e-9, err_msg=name)


def test_the_figures_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    a = rng.gamma(2, 100, (200, 2, 3))
    f, low, high = a + rng.normal(0, 30, a.shape), a - 40, a + rng.normal(40, 60, a.shape)
    figures = score(f, a, np.roll(a, 1, axis=0), low, high, coverage=0.8)
    for step in range(2):
        for column in range(3):
            one, came = f[:, step, column], a[:, step, column]
            expected = {
                "r2": sk.r2_score(came, one),
                "rmse": sk.root_mean_squared_error(came, one),
                "mape": 100 * sk.mean_absolute_percentage_error(came, one),
                "cosine": sk.pairwise.cosine_similarity([one], [came]).item(),
                "pinball": np.mean(
                    [
                        sk.mean_pinball_loss(came, bound[:, step, column], alpha=alpha)
                        for bound, alpha in ((low, 0.1), (f, 0.5), (high, 0.9))
                    ]
                ),
            }
            for name, value in expected.items():
                assert figures[name][step, column] == pytest.approx(value), name


ZERO_CASES: dict[str, tuple[float, float, float, dict[str, float | None]]] = {
    "all zero": (0.0, 0.0, 0.0, {"smape": 0, "mase": 1, "r2": 1, "cosine": 1, "mape": None}),
    "forecast of nothing": (0.0, 5.0, 5.0, {"smape": 200, "mase": None, "r2": None, "cosine": 0}),
    "exact": (5.0, 5.0, 4.0, {"smape": 0, "mase": 0, "r2": 1, "cosine": 1, "mape": 0}),
    "as constant": (5.0, 5.0, 5.0, {"smape": 0, "mase": 1, "r2": 1}),
}


@pytest.mark.parametrize("case", ZERO_CASES)
def test_divisions_by_zero_have_a_defined_result(case):
    f, a, p, expected = ZERO_CASES[case]
    figures = score(*(np.full((3, 1, 1), value) for value in (f, a, p)))
    for name, value in expected.items():
        got = figures[name].item()
        assert math.isnan(got) if value is None else got == pytest.approx(value), name


class Shifted:
    """A model that forecasts the value `lag` windows before the origin."""

    def __init__(self, horizon: int = 3, lag: int = 0) -> None:
        self.horizon, self.lag, self.coverage = horizon, lag, 0.9
        self.seen: list[pd.DataFrame] = []

    def backtest(self, frame: pd.DataFrame) -> pd.DataFrame:
        self.seen.append(frame)
        values = frame.to_numpy()
        origins = np.arange(self.lag, len(frame))
        point = np.repeat(values[origins - self.lag][:, None], self.horizon, axis=1)
        return forecast_table(frame, origins, point, 0.9 * point, 1.1 * point)


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    rows = np.arange(3000)
    index = pd.date_range("2019-01-01", periods=3000, freq="10min", tz="UTC", name="window_start")
    daily = 100 + 50 * np.sin(rows / 144 * 2 * np.pi)
    frame = pd.DataFrame(
        {"a": daily + rng.normal(0, 3, 3000), "b": rng.gamma(2, 50, 3000)}, index=index
    )
    frame.attrs["window"] = "w01h-s10m"
    return frame


def test_persistence_judged_as_a_model_has_a_mase_of_one_at_each_step(frame):
    frame.iloc[2500:2510] = np.nan
    evaluation = evaluate(Shifted(), frame, baselines=["persistence"])
    # At origins without a value the model has none either; those rows are left out.
    np.testing.assert_allclose(evaluation.model["mase"], 1)
    np.testing.assert_allclose(
        evaluation.model["smape"], evaluation.baselines["persistence"]["smape"]
    )


def test_a_forecast_of_step_k_is_compared_with_row_t_plus_k(frame):
    class Seer(Shifted):
        def backtest(self, frame):
            values = np.vstack([frame.to_numpy(), np.zeros((3, 2))])
            origins = np.arange(len(frame))
            point = values[origins[:, None] + np.arange(1, 4)]
            return forecast_table(frame, origins, point, point, point)

    evaluation = evaluate(
        Seer(), frame, include="<2019-01-10,2019-01-12)", baselines=["seasonal_naive"]
    )
    assert evaluation.origins == 288
    assert np.all(evaluation.model["smape"] == 0)
    assert np.all(evaluation.model["coverage"] == 1)
    assert not evaluation.losses()


def test_the_range_holds_the_origins_and_what_lies_before_is_context(frame):
    model = Shifted()
    evaluation = evaluate(model, frame, include="<2019-01-20,2019-01-20T01:00)", baselines=[])
    assert (evaluation.origins, str(evaluation.first)) == (6, "2019-01-20 00:00:00+00:00")
    (seen,) = model.seen
    assert seen.index[0] == frame.index[0]
    # The targets of the last origin, and nothing later.
    assert seen.index[-1] == pd.Timestamp("2019-01-20T01:20Z")


def test_the_document_has_the_promised_shape(frame):
    evaluation = evaluate(Shifted(), frame, include="<2019-01-12,2019-01-14)")
    document = json.loads(json.dumps(evaluation.document(), allow_nan=False))
    assert document["columns"] == ["a", "b"]
    assert set(document["steps"]) == {"1", "2", "3"}
    for name in ("smape", "mase", "r2", "rmse", "cosine", "coverage"):
        assert len(document["steps"]["1"][name]) == 2
    assert set(document["baselines"]) == {"persistence", "seasonal_naive", "gradient_boosting"}
    assert set(document["baselines"]["gradient_boosting"]) == {"1", "3"}
    assert document["baselines"]["persistence"]["1"]["coverage"] == [None, None]
    assert abs(document["periods"]["a"] - 144) <= 2
    assert document["loses_to"][0].keys() == {"baseline", "step", "column", "model", "rung"}


def test_a_model_that_loses_to_a_rung_is_told_where(frame):
    evaluation = evaluate(
        Shifted(lag=6), frame, include="<2019-01-12,2019-01-14)", baselines=["persistence"]
    )
    lost = {(loss.baseline, loss.step, loss.column) for loss in evaluation.losses()}
    assert {("persistence", k, "a") for k in (1, 2, 3)} <= lost
    for loss in evaluation.losses():
        assert loss.rung < loss.model


def test_missing_targets_are_left_out(frame):
    holes = frame.copy()
    holes.iloc[1500:1600] = np.nan
    include = "<2019-01-08,2019-01-15)"
    model = Shifted(lag=1)
    with_holes = evaluate(model, holes, include=include, baselines=["persistence"])
    origins, _, values = cube(model.backtest(holes), ["a", "b"])
    rows = np.flatnonzero((origins >= "2019-01-08") & (origins < "2019-01-15"))
    errors = [
        2 * abs(f - a) / (f + a)
        for row in rows
        for f, a, p in [(values[0, row, 0, 0], holes["a"].iloc[row + 2], holes["a"].iloc[row + 1])]
        if math.isfinite(f) and math.isfinite(a) and (math.isfinite(p) or row + 1 > 1500)
    ]
    assert with_holes.model["smape"][0, 0] == pytest.approx(100 * np.mean(errors))


def test_without_history_the_ladder_says_what_it_did(frame):
    with pytest.warns(ModsWarning, match="gradient boosting is left out: it needs 1000 windows"):
        evaluation = evaluate(Shifted(), frame, baselines=["seasonal_naive", "gradient_boosting"])
    assert list(evaluation.baselines) == ["seasonal_naive"]
    assert any("in its favour" in note for note in evaluation.notes)
    assert any("gradient boosting is left out" in note for note in evaluation.notes)


BAD: dict[str, tuple[dict[str, Any], type[ModsError], str]] = {
    "unknown baseline": ({"baselines": ["arima"]}, ModelError, "baseline 'arima'"),
    "range outside": ({"include": "<2021,2022)"}, RangeError, "holds no row of the data"),
    "not a range": ({"include": "2019"}, RangeError, "range '2019'"),
    "nothing to compare": (
        {"include": "<2019-01-21T19:50,2019-01-22)"},
        DataError,
        "no forecast in the range has an actual value",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_error(frame, case):
    options, error, message = BAD[case]
    with pytest.raises(error, match=message):
        evaluate(Shifted(), frame, **options)


def test_a_table_of_other_data_is_an_error(frame):
    table = Shifted().backtest(frame)
    with pytest.raises(DataError, match="origins outside the data"):
        evaluate_table(table, frame.iloc[:100])
    with pytest.raises(DataError, match="no origin to judge"):
        evaluate_table(table.iloc[:0], frame)


def test_a_table_of_one_later_step_is_judged_at_that_step(frame):
    table = Shifted().backtest(frame)
    evaluation = evaluate_table(table[table["step"] == 3], frame, baselines=["persistence"])
    assert evaluation.steps == (3,)
    np.testing.assert_allclose(evaluation.model["mase"], 1)


def test_a_table_of_what_the_data_do_not_have_says_so(frame):
    table = Shifted().backtest(frame)
    with pytest.raises(ModelError, match=r"forecasts 'a \(change\)'"):
        evaluate_table(table.assign(column=table["column"] + " (change)"), frame)


@given(st.permutations(range(24)))
def test_the_order_of_a_tables_rows_does_not_matter(order):
    frame = pd.DataFrame(
        {"a": np.arange(4.0), "b": 10 * np.arange(4.0)}, index=pd.RangeIndex(4, name="row")
    )
    table = Shifted().backtest(frame)
    origins, steps, values = cube(table, ["b", "a"])
    again, _, shuffled = cube(table.iloc[order], ["b", "a"])
    assert origins.tolist() == again.tolist() == [0, 1, 2, 3]
    assert steps.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(values, shuffled)
    assert values[0, 3, 0].tolist() == [30, 3]


def test_parts_of_a_range_have_baselines_and_a_model_that_learned_from_what_lies_before(frame):
    trained: list[pd.DataFrame] = []

    def refit(part: pd.DataFrame) -> Shifted:
        trained.append(part)
        return Shifted(horizon=1)

    include = "<2019-01-10,2019-01-14)"
    one = Shifted(horizon=1)
    evaluation = evaluate(one, frame, include=include, folds=2, refit=refit)
    firsts = [pd.Timestamp(f"2019-01-{day}", tz="UTC") for day in (10, 12)]
    assert list(evaluation.folds) == firsts
    assert evaluation.origins == 4 * 144
    # Between the training part and the first judged target lies the horizon.
    for part, first in zip(trained, firsts, strict=True):
        assert part.index[-1] + one.horizon * pd.Timedelta("10min") == first
        assert part.attrs["window"] == "w01h-s10m"
    assert evaluation.refit
    assert evaluation.document()["folds"]["refit"] is True
    whole = evaluate(one, frame, include=include)
    np.testing.assert_allclose(evaluation.model["smape"], whole.model["smape"])
    rungs = [e.baselines["gradient_boosting"]["smape"][0] for e in (evaluation, whole)]
    assert np.all(rungs[0] != rungs[1])  # trees of two trainings, and of one


@pytest.mark.parametrize("folds", [0, 7])
def test_more_parts_than_origins_are_an_error(frame, folds):
    with pytest.raises(ModelError, match=f"{folds} folds of 6 origins"):
        evaluate(Shifted(), frame, include="<2019-01-10,2019-01-10T01)", folds=folds)


def test_errors_by_hour_and_level_are_those_of_their_rows(frame):
    include = "<2019-01-08,2019-01-18)"
    model = Shifted()
    evaluation = evaluate(model, frame, include=include, baselines=["persistence"])
    hour, level = evaluation.slices
    table = model.backtest(frame)
    table = table[(table["origin"] >= "2019-01-08") & (table["origin"] < "2019-01-18")]
    part = table[(table["step"] == 2) & (table["column"] == "b")]
    error = 200 * (part["forecast"] - part["actual"]).abs() / (part["forecast"] + part["actual"])
    by_hour = error.groupby(part["target"].dt.hour).mean()
    np.testing.assert_allclose(hour.smape["model"][:, 1, 1], by_hour)
    # The forecast is the origin's value, so its fifths are the level's.
    fifth = pd.qcut(part["forecast"], 5, labels=False)
    np.testing.assert_allclose(level.smape["model"][:, 1, 1], error.groupby(fifth).mean())
    document = evaluation.document()["slices"]
    assert document["hour"]["keys"] == list(range(24))
    assert len(document["level"]["smape"]["persistence"]["3"]) == 5


def test_without_times_there_are_no_hours(frame):
    frame = frame.reset_index(drop=True)
    frame.index.name = "row"
    evaluation = evaluate(Shifted(), frame, include="<2000,2100)", baselines=["persistence"])
    assert [part.kind for part in evaluation.slices] == ["level"]


def test_a_report_is_written_as_json_and_as_a_picture(frame, tmp_path):
    evaluation = evaluate(
        Shifted(), frame, include="<2019-01-12,2019-01-14)", baselines=["persistence"]
    )
    write_report(evaluation, tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text()) == evaluation.document()
    write_report(evaluation, tmp_path / "a.png", title="a on b")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ModelError, match=r"ends in \.json or \.png"):
        write_report(evaluation, tmp_path / "a.pdf")
