"""Inputs without scale, that never see past their origin and come back as they went."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mods.models.scaling import (
    CHANNELS,
    ColumnInputs,
    InputPlan,
    column_inputs,
    context_names,
    put_back,
    targets,
)
from mods.models.seasonality import find_period, seasonal_periods

PLAN = InputPlan(sequence_len=36, horizon=12)
PERIODS = (36, 144, 1008)


def series(rows: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    level = 1000 + 300 * np.sin(2 * np.pi * np.arange(rows + 5) / 144)
    slots = random.poisson(level / 6)
    return np.convolve(slots, np.ones(6), mode="valid").astype(np.float64)


def inputs_of(
    values: np.ndarray,
    origins: np.ndarray,
    plan: InputPlan,
    periods: tuple[int, ...] | np.ndarray,
    times: pd.DatetimeIndex | None = None,
) -> ColumnInputs:
    """Return the inputs of one column."""
    return next(column_inputs(values[:, None], origins, plan, [periods], times))


def times(rows: int) -> pd.DatetimeIndex:
    return pd.date_range("2019-06-03", periods=rows, freq="10min", tz="UTC")


@given(st.integers(0, 1000), st.integers(60, 1499))
def test_inputs_see_nothing_after_their_origin(seed, origin):
    values = series(1500, seed)
    origins = np.array([origin])
    before = inputs_of(values, origins, PLAN, PERIODS)
    changed = values.copy()
    changed[origin + 1 :] = np.random.default_rng(seed).exponential(1e6, 1499 - origin)
    after = inputs_of(changed, origins, PLAN, PERIODS)
    for name in ("sequence", "context", "anchor", "spread", "floor"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))


def test_columns_together_are_what_each_is_alone_whatever_the_periods_of_its_origins():
    values = np.stack([series(700, seed) for seed in (0, 1)], axis=1)
    values[200:230, 1] = np.nan
    origins = np.arange(35, 690)
    changing = np.where(origins[:, None] < 400, (0, 144, 1008), (36, 144, 1008))
    both = list(column_inputs(values, origins, PLAN, [PERIODS, changing], times(700)))
    first = inputs_of(values[:, 0], origins, PLAN, PERIODS, times(700))
    late = origins >= 400
    parts = [
        inputs_of(values[:, 1], origins[part], PLAN, tuple(changing[part][0]), times(700))
        for part in (~late, late)
    ]
    for name in ("sequence", "context", "anchor", "spread", "floor", "signed"):
        np.testing.assert_array_equal(getattr(both[0], name), getattr(first, name))
        alone = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(getattr(both[1], name), alone)


@given(st.sampled_from([1e-3, 7.0, 1e3, 1e6]), st.booleans())
def test_a_column_times_a_factor_gives_the_same_inputs(factor, model_delta):
    plan = replace(PLAN, model_delta=model_delta)
    values, origins = series(600), np.arange(35, 588)
    values[100:110] = np.nan
    one = inputs_of(values, origins, plan, PERIODS)
    other = inputs_of(values * factor, origins, plan, PERIODS)
    np.testing.assert_allclose(one.sequence, other.sequence, atol=1e-5)
    np.testing.assert_allclose(one.context, other.context, atol=1e-5)
    said = np.random.default_rng(0).normal(size=(len(origins), 12, 3))
    np.testing.assert_allclose(put_back(said, one) * factor, put_back(said, other), rtol=1e-7)


@pytest.mark.parametrize("model_delta", [True, False])
def test_targets_put_back_are_what_followed(model_delta):
    values, origins = series(400), np.arange(35, 395)
    values[200] = np.nan
    inputs = inputs_of(values, origins, replace(PLAN, model_delta=model_delta), PERIODS)
    back = put_back(targets(values, origins, inputs, 12)[..., None], inputs)[..., 0]
    padded = np.append(values, np.full(12, np.nan))
    expected = padded[origins[:, None] + np.arange(1, 13)]
    np.testing.assert_allclose(back, expected, rtol=1e-4)


def test_a_gap_is_held_and_marked_and_with_interpolate_filled():
    values = series(100)
    values[90:94] = np.nan
    origins = np.array([99])
    held = inputs_of(values, origins, PLAN, PERIODS)
    observed = CHANNELS.index("observed")
    gap = slice(26, 30)
    assert held.sequence[0, gap, observed].tolist() == [0, 0, 0, 0]
    assert held.sequence[0, :26, observed].all() and held.sequence[0, 30:, observed].all()
    assert held.sequence[0, gap, CHANNELS.index("change")].tolist() == [0, 0, 0, 0]
    filled = inputs_of(values, origins, replace(PLAN, interpolate=True), PERIODS)
    assert filled.sequence[0, :, observed].all()
    level = filled.sequence[0, 25:31, CHANNELS.index("level")]
    assert (np.diff(level) > 0).all() or (np.diff(level) < 0).all()
    # A gap at the end has no other side yet: it stays marked.
    late = inputs_of(values, np.array([92]), replace(PLAN, interpolate=True), PERIODS)
    assert late.sequence[0, -3:, observed].tolist() == [0, 0, 0]


def test_what_history_does_not_reach_is_masked():
    values, names = series(300), np.array(context_names(PLAN))
    inputs = inputs_of(values, np.array([40, 290]), PLAN, PERIODS)
    known = {name: inputs.context[:, names == name].ravel() for name in names}
    assert known["day_known"][0] == 0 and known["day_known"][1] == 1
    assert known["week_known"].tolist() == [0, 0]
    assert known["calendar_known"].tolist() == [0, 0]
    day = [n for n, name in enumerate(names) if name.startswith("day_")]
    assert not inputs.context[0, day].any()


def test_the_calendar_is_the_sites():
    values, origins = series(300), np.arange(35, 300)
    utc = inputs_of(values, origins, PLAN, PERIODS, times(300))
    east = replace(PLAN, utc_offset=2.0)
    local = inputs_of(values, origins[:-12], east, PERIODS, times(300))
    start = len(context_names(PLAN)) - 8
    # Two hours are twelve windows.
    np.testing.assert_allclose(utc.context[12:, start:], local.context[:, start:], atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 5.0, -3.0])
def test_a_constant_column_is_forecast_as_it_is(value):
    values = np.full(200, value)
    inputs = inputs_of(values, np.arange(35, 200), PLAN, PERIODS)
    assert np.isfinite(inputs.sequence).all() and np.isfinite(inputs.context).all()
    np.testing.assert_allclose(put_back(np.zeros((165, 12, 3)), inputs), value)


def test_counts_never_fall_below_zero_and_signed_columns_may():
    counts = np.random.default_rng(0).poisson(1.0, 200).astype(float)
    origins = np.arange(35, 200)
    low = np.full((165, 12, 1), -50.0)
    assert put_back(low, inputs_of(counts, origins, PLAN, PERIODS)).min() == 0.0
    signed = counts - 3.0
    assert put_back(low, inputs_of(signed, origins, PLAN, PERIODS)).max() < 0.0


def test_periods_are_found_and_noise_has_none():
    random = np.random.default_rng(1)
    slots = random.poisson(100, 3000) + 400 * (np.arange(3000) % 36 == 7)
    pulses = np.convolve(slots, np.ones(6), mode="valid")
    assert seasonal_periods(pulses, horizon=12, per_day=144) == (36, 144, 1008)
    noise = np.convolve(random.poisson(100, 3000), np.ones(6), mode="valid")
    assert seasonal_periods(noise, horizon=12, per_day=144) == (0, 144, 1008)
    assert seasonal_periods(pulses, horizon=12, per_day=0) == (0, 36, 0)
    assert find_period(np.full(500, np.nan), shortest=13, longest=100) == 0
    assert find_period(np.ones(500), shortest=13, longest=100) == 0
