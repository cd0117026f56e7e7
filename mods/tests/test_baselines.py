"""The rungs: they see the past only, and they do what their names say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mods.models.baselines import GradientBoosting, naive_period, persistence, seasonal_naive
from mods.models.evaluation import evaluate_table
from mods.models.forecast import forecast_table

STEPS = np.arange(1, 13)
SAME = np.full(3000, 7.0)
NOISE = np.random.default_rng(0).gamma(2, 50, 3000)
WALK = np.exp(5 + 0.02 * np.random.default_rng(1).normal(size=5000).cumsum())


def wave(rows: int, period: int, seed: int = 0, noise: float = 2.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 500 + 200 * np.sin(np.arange(rows) / period * 2 * np.pi) + rng.normal(0, noise, rows)


def test_persistence_is_the_last_known_value():
    values = np.array([[1.0, np.nan], [2.0, 5.0], [np.nan, 6.0]])
    forecast = persistence(values, np.array([0, 1, 2]), np.array([1, 2]))
    assert forecast.shape == (3, 2, 2)
    np.testing.assert_array_equal(forecast[:, 0], [[1, np.nan], [2, 5], [2, 6]])
    np.testing.assert_array_equal(forecast[:, 0], forecast[:, 1])


@given(st.integers(1, 40), st.integers(0, 99), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_seasonal_naive_is_the_latest_known_value_of_the_same_slot(period, origin, step, seed):
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((100, 1)) < 0.2, np.nan, rng.random((100, 1)))
    forecast = seasonal_naive(values, np.array([origin]), np.array([step]), [period]).item()
    slots = [
        row
        for row in range(origin, -1, -1)
        if (origin + step - row) % period == 0 and np.isfinite(values[row, 0])
    ]
    if slots and (origin + step - slots[0]) // period <= 8:
        assert forecast == values[slots[0], 0]
    elif not slots:
        np.testing.assert_equal(forecast, persistence(values, np.array([origin]), STEPS)[0, 0, 0])


def test_a_column_without_a_period_falls_back_to_persistence():
    values = np.arange(20.0)[:, None]
    origins = np.array([5, 19])
    np.testing.assert_array_equal(
        seasonal_naive(values, origins, STEPS, [0]), persistence(values, origins, STEPS)
    )


@pytest.mark.parametrize("period", [24, 36, 144, 200])
def test_the_period_of_a_wave_is_found(period):
    assert abs(naive_period(wave(3000, period), horizon=12) - period) <= 0.01 * period


def test_the_period_is_found_behind_a_drift_a_burst_and_gaps():
    series = wave(4000, 36, noise=20) * np.linspace(1, 3, 4000)
    series[1000:1003] *= 50
    series[2000:2100] = np.nan
    assert naive_period(series, horizon=12) == 36


@pytest.mark.parametrize(
    "series",
    [
        np.full(3000, 7.0),
        np.full(3000, np.nan),
        np.arange(20.0),
        np.zeros(0),
        np.zeros(3000),
        NOISE,
        WALK,
    ],
    ids=["constant", "missing", "short", "empty", "zeros", "noise", "walk"],
)
def test_no_period_is_made_up(series):
    assert naive_period(series, horizon=12) == 0


def test_trees_see_no_row_after_the_origin():
    values = np.column_stack([wave(2000, 36), wave(2000, 50, seed=1)])
    index = pd.date_range("2019-01-01", periods=2000, freq="10min", tz="UTC")
    trees = GradientBoosting([36, 50], 144).fit(values[:1500], index[:1500], (1, 6))
    origins = np.array([1500, 1600])
    steps = np.array([1, 2, 6])
    before = trees.forecast(values, index, origins, steps)
    changed = values.copy()
    changed[1601:] = 1e6
    after = trees.forecast(changed, index, origins, steps)
    np.testing.assert_array_equal(before, after)
    assert np.isnan(before[:, 1]).all()  # step 2 was not learned
    assert np.isfinite(before[:, [0, 2]]).all()


def test_trees_pass_the_naive_rungs_where_there_is_something_to_learn():
    frame = pd.DataFrame({"a": wave(4000, 36, noise=10), "b": wave(4000, 60, seed=1, noise=10)})
    frame.index.name = "row"
    origins = np.arange(3000, 3980)
    zeros = np.zeros((len(origins), 6, 2))
    table = forecast_table(frame, origins, zeros, zeros, zeros)
    evaluation = evaluate_table(table, frame)
    assert evaluation.periods == (36, 60)
    assert evaluation.boosted_steps == (1, 3, 6)
    for step in (0, 2, 5):
        trees, naive, seasonal = (
            evaluation.baselines[name]["smape"][step]
            for name in ("gradient_boosting", "persistence", "seasonal_naive")
        )
        assert np.all(trees < naive) and np.all(trees < seasonal)


def test_trees_forecast_zeros_and_missing_values_without_harm():
    values = np.column_stack([np.zeros(1500), np.where(np.arange(1500) % 3, np.nan, 5.0)])
    index = pd.RangeIndex(1500, name="row")
    trees = GradientBoosting([0, 0]).fit(values, index, (1, 2))
    forecast = trees.forecast(values, index, np.array([1400, 1401, 1499]), np.array([1, 2]))
    np.testing.assert_allclose(forecast[..., 0], 0, atol=1e-9)
    # Every third value is known, so step 1 has no example; what is not learned is NaN.
    assert np.isnan(forecast[..., 1]).all()
