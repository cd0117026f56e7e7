"""Intervals hold what they promise, on later data, without seeing it."""

from __future__ import annotations

import time
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mods.models.calibration import CARRIED, Calibration


def drifting(origins: int, seed: int = 0):
    """Forecasts of 100 with an interval that is too narrow, of a noise that grows and shrinks."""
    rng = np.random.default_rng(seed)
    spread = 8 + 4 * np.sin(np.arange(origins) / 900)
    noise = rng.standard_t(5, size=(origins, 3, 2)) * spread[:, None, None]
    actual = np.clip(100 + noise * np.array([1.0, 3.0]), 0, None)
    point = np.full_like(actual, 100.0)
    half = np.array([10.0, 30.0])
    return point, point - half, point + half, actual


def coverage(lower, upper, actual):
    return np.mean((lower <= actual) & (actual <= upper), axis=0)


def test_intervals_cover_what_they_state_at_each_step_and_column_while_the_noise_changes():
    point, lower, upper, actual = drifting(9000)
    assert coverage(lower, upper, actual).max() < 0.85
    first = [a[:3000] for a in (point, lower, upper, actual)]
    state = Calibration.fit(*first, columns=["a", "b"])
    later = [a[3000:] for a in (point, lower, upper, actual)]
    low, high, _ = state.roll(*later, columns=["a", "b"])
    held = coverage(low, high, later[3])
    assert np.all((held > 0.885) & (held < 0.915))


def test_a_margin_is_the_quantile_of_the_latest_scores_and_what_the_misses_add():
    rng = np.random.default_rng(4)
    actual = np.clip(rng.normal(100, 15, size=(60, 3, 2)), 1, None)
    actual[rng.random(actual.shape) < 0.2] = np.nan
    point, lower, upper = (np.full_like(actual, v) for v in (100.0, 90.0, 110.0))
    state = Calibration.empty(3, coverage=0.8, window=10)
    _, high = state.bounds(point, lower, upper, actual, columns=["a", "b"])
    width = 20 + 0.1
    scores = (actual - upper) / width
    expected = np.zeros_like(actual)
    for step, column in np.ndindex(3, 2):
        of_one, offset = scores[:, step, column], 0.0
        margins: list[float] = []
        for origin in range(60):
            end = max(0, origin - step)  # what was forecast at rows before it has come
            if end and np.isfinite(of_one[end - 1]):
                offset += 0.002 * (bool(of_one[end - 1] > margins[end - 1]) - 0.1)
            latest = of_one[max(0, end - 10) : end]
            latest = latest[np.isfinite(latest)]
            quantile = np.quantile(latest, 0.9, method="higher") if len(latest) else 0.0
            margins.append(quantile + offset)
        expected[:, step, column] = np.maximum(110 + np.array(margins) * width, 100)
    np.testing.assert_allclose(high, expected, rtol=1e-12)


@pytest.mark.parametrize("stated", [0.5, 0.8, 0.95])
def test_other_coverages_are_held_too(stated):
    arrays = drifting(6000)
    state = Calibration.empty(3, coverage=stated)
    low, high, _ = state.roll(*arrays, columns=["a", "b"])
    held = coverage(low[2000:], high[2000:], arrays[3][2000:]).mean()
    assert abs(held - stated) < 0.02


def test_each_side_misses_about_as_often_where_the_noise_is_lopsided():
    rng = np.random.default_rng(1)
    actual = 100 + rng.exponential(20, size=(8000, 1, 1))
    point, lower, upper = (np.full_like(actual, v) for v in (114.0, 110.0, 120.0))
    low, high, _ = Calibration.empty(1).roll(point, lower, upper, actual, columns=["a"])
    assert np.mean(actual[2000:] < low[2000:]) == pytest.approx(0.05, abs=0.01)
    assert np.mean(actual[2000:] > high[2000:]) == pytest.approx(0.05, abs=0.01)


@given(st.integers(1, 59), st.integers(0, 2), st.floats(0, 1e4))
def test_no_bound_knows_a_value_that_lies_after_its_origin(origin, step, value):
    point, lower, upper, actual = drifting(60)
    changed = actual.copy()
    # Row `origin` forecasts `origin + step + 1`, so this value is not known at `origin + step`.
    changed[origin, step] = value
    before = Calibration.empty(3).roll(point, lower, upper, actual, columns=["a", "b"])
    after = Calibration.empty(3).roll(point, lower, upper, changed, columns=["a", "b"])
    seen = origin + step + 1
    for one, two in zip(before[:2], after[:2], strict=True):
        np.testing.assert_array_equal(one[:seen], two[:seen])


def test_a_value_is_used_from_the_moment_it_is_known():
    point, lower, upper, actual = drifting(60)
    changed = actual.copy()
    changed[10, 1] = 1e6
    high = Calibration.empty(3).roll(point, lower, upper, actual, columns=["a", "b"])[1]
    higher = Calibration.empty(3).roll(point, lower, upper, changed, columns=["a", "b"])[1]
    assert np.all(higher[12, 1] > high[12, 1] + 1000)


@given(st.data())
def test_bounds_never_cross_hold_the_point_and_are_never_below_zero(data):
    values = hnp.arrays(np.float64, (20, 2, 2), elements=st.floats(0, 1e7))
    point, one, two, actual = (data.draw(values) for _ in range(4))
    lower = np.minimum(point, np.minimum(one, two))
    upper = np.maximum(point, np.maximum(one, two))
    low, high, state = Calibration.empty(2).roll(point, lower, upper, actual, columns=["a", "b"])
    for below, above in ((low, high), state.apply(point, lower, upper, columns=["b", "c"])):
        assert np.all(np.isfinite(below)) and np.all(np.isfinite(above))
        assert np.all((below >= 0) & (below <= point) & (point <= above))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_calibration_follows_the_scale_of_a_column(scale):
    arrays = drifting(500)
    low, high, _ = Calibration.empty(3).roll(*arrays, columns=["a", "b"])
    scaled = [a * scale for a in arrays]
    low_scaled, high_scaled, _ = Calibration.empty(3).roll(*scaled, columns=["a", "b"])
    np.testing.assert_allclose(low_scaled, low * scale)
    np.testing.assert_allclose(high_scaled, high * scale)


def test_a_column_of_zeros_keeps_an_interval_of_zero():
    zeros = np.zeros((100, 2, 1))
    low, high, state = Calibration.empty(2).roll(zeros, zeros, zeros, zeros, columns=["a"])
    assert not low.any() and not high.any()
    assert not np.any(state.apply(zeros, zeros, zeros, columns=["a"]))


def test_missing_actual_values_teach_nothing():
    point, lower, upper, actual = drifting(400)
    actual[100:] = np.nan
    _, _, early = Calibration.empty(3).roll(
        *(a[:103] for a in (point, lower, upper, actual)), columns=["a", "b"]
    )
    _, _, late = Calibration.empty(3).roll(point, lower, upper, actual, columns=["a", "b"])
    np.testing.assert_array_equal(early.scores, late.scores)
    np.testing.assert_array_equal(early.offset, late.offset)


def test_nothing_but_missing_values_leaves_the_intervals_as_they_are():
    point, lower, upper, actual = drifting(50)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low, high, state = Calibration.empty(3).roll(
            point, lower, upper, np.full_like(actual, np.nan), columns=["a", "b"]
        )
        again = state.apply(point, lower, upper, columns=["a", "z"])
    np.testing.assert_array_equal(low, lower)
    np.testing.assert_array_equal(high, upper)
    np.testing.assert_array_equal(again[1], upper)


def test_the_state_travels_as_arrays():
    arrays = drifting(3000)
    state = Calibration.fit(*arrays, columns=["a", "b"], coverage=0.8)
    stored = state.to_arrays()
    assert sum(a.nbytes for a in stored.values()) < 4 * CARRIED * 2 * 3 * 3 + 1000
    back = Calibration.from_arrays(stored, columns=["a", "b"], coverage=0.8)
    for one, two in zip(
        state.apply(*arrays[:3], columns=["b", "a"]),
        back.apply(*arrays[:3], columns=["b", "a"]),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)


def test_a_column_never_seen_gets_the_pooled_margin():
    rng = np.random.default_rng(2)
    actual = rng.normal(100, 10, size=(4000, 3, 2))
    point, lower, upper = (np.full_like(actual, v) for v in (100, 90, 110))
    state = Calibration.fit(point, lower, upper, actual, columns=["a", "b"])
    point, lower, upper, actual = (50 * a[..., :1] for a in (point, lower, upper, actual))
    for calibration in (state, state.without_columns()):
        low, high = calibration.apply(point, lower, upper, columns=["new"])
        assert abs(coverage(low, high, actual).mean() - 0.9) < 0.02
    assert state.without_columns().columns == ()


def test_fewer_steps_and_other_orders_of_columns_find_their_own_margins():
    point, lower, upper, actual = drifting(3000)
    actual[:, :, 1] = point[:, :, 1]  # the second column never misses, so its margin shrinks
    state = Calibration.fit(point, lower, upper, actual, columns=["a", "b"])
    swapped = [a[:, :1, ::-1] for a in (point, lower, upper)]
    low, high = state.apply(*swapped, columns=["b", "a"])
    assert high[0, 0, 0] - low[0, 0, 0] < 5 < 20 < high[0, 0, 1] - low[0, 0, 1]


def test_learning_in_two_parts_goes_on_from_the_first():
    arrays = drifting(4000)
    half = [a[:2000] for a in arrays], [a[2000:] for a in arrays]
    _, _, state = Calibration.empty(3).roll(*half[0], columns=["a", "b"])
    low, high, _ = state.roll(*half[1], columns=["a", "b"])
    whole_low, whole_high, _ = Calibration.empty(3).roll(*arrays, columns=["a", "b"])
    width = (whole_high - whole_low)[2000:]
    # The state is thinned, so the margins agree closely but not to the digit.
    assert np.abs((high - low) / width - 1).mean() < 0.05


def test_a_hundred_and_twenty_days_take_a_few_seconds():
    rng = np.random.default_rng(0)
    actual = rng.normal(100, 10, size=(17_000, 12, 4))
    point, lower, upper = (np.full_like(actual, v) for v in (100, 90, 110))
    started = time.perf_counter()
    Calibration.empty(12).roll(point, lower, upper, actual, columns=list("abcd"))
    assert time.perf_counter() - started < 10
