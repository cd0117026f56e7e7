"""Simulated series: equal by seed, broad, and windows that are true moving sums."""

from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mods.dataset import series_patterns as patterns
from mods.dataset import simulate_series as module
from mods.dataset.simulate_series import simulate_networks, simulate_series
from mods.errors import DataError
from mods.timerange import Window

HOURLY = Window.parse("w01h-s10m")
WINDOWS = [HOURLY, Window.parse("w10m-s01m"), Window.parse("w10m-s10m")]


@pytest.fixture(scope="module")
def many():
    return simulate_networks(5, networks=600, windows=2000, window=HOURLY)


def test_a_seed_gives_the_same_networks_and_another_seed_gives_others():
    first, again, other = (
        simulate_networks(seed, networks=20, windows=300, window=HOURLY) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first.values, again.values)
    assert first.kinds.tolist() == again.kinds.tolist()
    assert not np.array_equal(first.values, other.values, equal_nan=True)


def test_more_networks_begin_with_whole_groups_of_fewer():
    few = simulate_networks(3, networks=module.GROUP, windows=50, window=HOURLY)
    more = simulate_networks(3, networks=module.GROUP + 5, windows=50, window=HOURLY)
    np.testing.assert_array_equal(few.values, more.values[: module.GROUP])


@settings(max_examples=15)
@given(
    seed=st.integers(0, 2**32),
    windows=st.integers(1, 80),
    window=st.sampled_from(WINDOWS),
    columns=st.lists(
        st.sampled_from(["conn", "in_distinct_query", "sum_bytes", "avg_duration"]),
        min_size=1, unique=True,
    ),
)  # fmt: skip
def test_a_frame_is_a_complete_grid_of_values_that_can_be(seed, windows, window, columns):
    frame = simulate_series(seed, windows=windows, window=window, columns=columns)
    assert frame.shape == (windows, len(columns))
    times = pd.DatetimeIndex(frame.index)
    assert times.name == "window_start" and str(times.tz) == "UTC"
    assert (np.diff(times.as_unit("s").asi8) == window.slide).all()
    assert frame.attrs["window"] == window.name
    values = frame.to_numpy()
    assert not np.isinf(values).any() and (values[~np.isnan(values)] >= 0).all()
    for name in set(columns) - {"avg_duration"}:
        held = frame[name].dropna()
        assert (held == held.round()).all(), "counts and bytes are whole"


@pytest.mark.parametrize("slots", [1, 6, 10])
@pytest.mark.parametrize("kind", ["count", "bytes"])
def test_windows_are_moving_sums_of_slots(monkeypatch, slots, kind):
    seen = {}
    inner = module._moving_sum

    def spy(values, slots):
        seen["slots"], seen["windows"] = values, inner(values, slots)
        return seen["windows"]

    monkeypatch.setattr(module, "_moving_sum", spy)
    rate = np.ones((4, 500)) * np.array([[0.1], [1.0], [2.0], [30.0]])
    x = module._REALISE[kind](np.random.default_rng(1), rate, slots)
    s = seen["slots"]
    assert x.shape == (4, 500 - slots + 1)
    np.testing.assert_allclose(np.diff(x, axis=1), s[:, slots:] - s[:, :-slots], atol=1e-6)


@pytest.mark.parametrize("slots", [1, 6, 10])
def test_distinct_counts_are_unions_and_less_than_sums(slots):
    rate = np.full((50, 800), 1.0)
    single = module._distinct(np.random.default_rng(2), rate, 1)
    x = module._distinct(np.random.default_rng(2), rate, slots)
    # A window of several slots holds at least its largest slot and at most their sum.
    assert (x >= 0).all()
    if slots > 1:
        means = x.mean(axis=1) / np.maximum(single.mean(axis=1), 1e-9)
        assert np.median(means) < slots
        steps = np.abs(np.diff(x, axis=1))
        assert steps.mean() < x.std(axis=1).mean() * 1.5, "neighbouring windows overlap"


def test_the_union_agrees_with_keys_counted_one_by_one():
    rng = np.random.default_rng(3)
    slots, length, keys, chance = 6, 40_000, 40, 0.05
    present = rng.random((length, keys)) < chance
    windows = np.lib.stride_tricks.sliding_window_view(present, slots, axis=0)
    plain = windows.any(axis=-1).sum(axis=1)

    class Draws:
        """Fixed parameters: one popularity of 40 keys with 5 % a slot, no fresh keys."""

        def __init__(self):
            self.rng, self.calls = np.random.default_rng(4), 0

        def __getattr__(self, name):
            return getattr(self.rng, name)

        def uniform(self, low, high, size=None):
            self.calls += 1
            # In order: fresh keys' level, their dispersion, then keys and contacts three times.
            wanted = {3: keys, 4: -np.log(1 - chance) * slots}.get(self.calls, 1e-12)
            return np.full(size, np.log(wanted))

    x = module._distinct(cast(np.random.Generator, Draws()), np.ones((1, length)), slots)[0]
    assert abs(x.mean() - plain.mean()) < 0.1
    assert abs(x.std() - plain.std()) < 0.1
    for lag in (1, 3, 5, 6):
        ours = np.corrcoef(x[lag:], x[:-lag])[0, 1]
        counted = np.corrcoef(plain[lag:], plain[:-lag])[0, 1]
        assert abs(ours - counted) < 0.03


def test_levels_reach_from_one_to_ten_millions(many):
    level = np.nanmedian(many.values, axis=1)
    for low, high in [(0.5, 10), (10, 1e3), (1e3, 1e5), (1e5, 1e7)]:
        assert ((level >= low) & (level < high)).mean() > 0.08
    assert level.max() > 1e7


def test_every_kind_is_there_and_some_series_are_mostly_zero_or_have_outages(many):
    assert set(many.kinds) == set(module.KINDS)
    zeros = np.nanmean(many.values == 0, axis=1)
    assert (zeros > 0.5).mean() > 0.03
    assert (zeros == 0).mean() > 0.5
    missing = np.isnan(many.values)
    assert 0.1 < missing.any(axis=1).mean() < 0.6
    assert missing.mean() < 0.1


def test_bytes_have_heavier_tails_than_the_records_they_belong_to():
    rng = np.random.default_rng(8)
    records = np.full((200, 2000), 50.0)
    total = module._slot_bytes(rng, records)
    peak = total.max(axis=1) / np.median(total, axis=1)
    poisson = rng.poisson(records).max(axis=1) / 50.0
    assert np.median(peak) > 2 * np.median(poisson)
    assert (peak > 10).mean() > 0.1, "one large record outweighs the fifty of a usual slot"
    assert (module._slot_bytes(rng, np.zeros((3, 10))) == 0).all(), "no record, no byte"


def _correlation(values: np.ndarray, lag: int) -> float:
    return float(pd.Series(values).autocorr(lag))


def test_jobs_repeat_at_the_stated_period():
    """Where traffic is mostly one job, it correlates at its period and not at half of it."""
    rng = np.random.default_rng(9)
    for period in (18.0, 36.0, 100.0):
        run = patterns._job_runs(rng, 3000, period)
        while (run > 0).mean() > 0.4 or (run > 0).sum() < 20:  # long jobs overlap half a period
            run = patterns._job_runs(rng, 3000, period)
        x = module._moving_sum(run[None], 2)[0]
        assert _correlation(x, round(period)) > 0.15 + _correlation(x, round(period / 2))


def test_the_stated_period_shows_in_the_windows(many):
    held = (many.periods >= 18) & (many.periods <= 200) & (np.abs(many.periods - 144) > 15)
    at, between = [], []
    for values, period in zip(np.log1p(many.values[held]), many.periods[held], strict=True):
        changes = np.diff(values)
        at.append(_correlation(changes, round(period)))
        between.append(_correlation(changes, round(period / 2)))
    assert len(at) > 60
    assert np.nanmean(at) > np.nanmean(between) + 0.1
    assert np.nanmean(np.array(at) > 0.3) > 0.2


def test_periods_are_of_any_length(many):
    seconds = many.periods[~np.isnan(many.periods)] * HOURLY.slide
    assert 0.4 < len(seconds) / 600 < 0.8
    usual = np.isin(seconds.round(), patterns.USUAL_PERIODS).mean()
    assert 0.3 < usual < 0.7
    assert (np.isclose(seconds, 21600)).any(), "six hours"
    assert seconds.min() < 1200 and seconds.max() > 2 * 86400


def test_some_series_have_a_day_and_some_have_none(many):
    daily = np.array([_correlation(np.log1p(v), 144) for v in many.values])
    daily = daily[~np.isnan(daily)]
    assert (daily > 0.5).mean() > 0.15
    assert (np.abs(daily) < 0.1).mean() > 0.15


def test_neighbouring_windows_correlate_as_much_as_they_overlap():
    """The median series is as rough as the window's slots make it."""
    rough = {}
    for window in WINDOWS:
        many = simulate_networks(6, networks=200, windows=1000, window=window)
        rough[window.slots] = np.nanmedian(
            [_correlation(np.log1p(v), 1) for v in many.values if np.nanstd(v) > 0]
        )
    assert rough[1] < rough[6] and rough[1] < rough[10]


def test_outages_strike_all_columns_of_a_network_at_once():
    frames = [simulate_series(seed, windows=1500, window=HOURLY) for seed in range(12)]
    struck = [frame for frame in frames if frame.isna().any(axis=None)]
    assert struck
    for frame in struck:
        missing = frame.isna()
        assert (missing.all(axis=1) == missing.any(axis=1)).all()


def test_the_week_begins_where_the_calendar_says():
    monday = simulate_series(1, windows=10, window=HOURLY, start="2024-03-04")
    later = simulate_series(1, windows=10, window=HOURLY, start="2024-03-11")
    thursday = simulate_series(1, windows=10, window=HOURLY, start="2024-03-07T12:00")
    np.testing.assert_array_equal(monday.to_numpy(), later.to_numpy())
    assert not np.array_equal(monday.to_numpy(), thursday.to_numpy(), equal_nan=True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: simulate_networks(1, networks=0, windows=5, window=HOURLY),
            "0 series of 5 windows; expected at least one of each",
        ),
        (
            lambda: simulate_series(1, windows=0, window=HOURLY),
            "4 series of 0 windows; expected at least one of each",
        ),
        (
            lambda: simulate_series(1, windows=5, window=HOURLY, columns=["a", "a"]),
            "columns ['a', 'a']; expected distinct names",
        ),
    ],
)
def test_bad_arguments_are_told(call, message):
    with pytest.raises(DataError) as caught:
        call()
    assert str(caught.value) == message
