"""Scores: their range, direction and warm-up, and what a window at a time gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mods.anomaly.scores import Scorer, score_windows
from mods.tests.alarm_maker import quiet_frame, seasonal_forecasts, with_burst


@pytest.fixture(scope="module")
def quiet():
    return quiet_frame(20)


def scored(frame):
    forecasts = seasonal_forecasts(frame)
    return forecasts, score_windows(forecasts)


def test_scores_are_never_negative_and_one_window_a_day_lies_about_five(quiet):
    _, scores = scored(quiet)
    late = scores.window[3 * 144 :]
    assert np.isfinite(late).all()
    assert late.min() >= 0
    assert 2 < np.quantile(late, 1 - 1 / 144) < 8


@pytest.mark.parametrize(("factor", "sign"), [(1.4, 1), (0.7, -1)])
def test_more_is_positive_and_less_is_negative(quiet, factor, sign):
    forecasts, scores = scored(with_burst(quiet, 2000, 12, factor))
    rows = slice(list(forecasts.windows).index(quiet.index[2000]), None)
    hit = scores.window[rows][:12]
    assert hit.max() > 2 * np.quantile(scores.window[288:1900], 0.999)
    assert (scores.direction[rows, 0][:4] == sign).all()


def test_a_stronger_departure_scores_higher(quiet):
    highest = [
        scored(with_burst(quiet, 2000, 12, factor))[1].window[1950:1990].max()
        for factor in (1.1, 1.2, 1.4, 1.8)
    ]
    assert highest == sorted(highest)
    assert highest[-1] > 3 * highest[0]


def test_one_wild_column_counts_alone_and_two_uneasy_ones_more_than_each(quiet):
    one = with_burst(quiet, 2000, 12, 1.3)
    both = with_burst(one, 2000, 12, 1.3, "ssh_in")
    row = 2000 - 37 + 2
    (_, alone), (_, together) = scored(one), scored(both)
    assert alone.window[row] >= alone.columns[row].max()
    assert together.window[row] > together.columns[row].max()
    assert together.window[row] > alone.window[row]


def test_what_is_missing_has_no_score_and_no_direction(quiet):
    frame = quiet.copy()
    frame.attrs = dict(quiet.attrs)
    frame.iloc[2000:2006, 0] = np.nan
    frame.iloc[2100:2103] = np.nan
    _, scores = scored(frame)
    rows = slice(2000 - 37, 2006 - 37)
    assert np.isnan(scores.columns[rows, 0]).all()
    assert (scores.direction[rows, 0] == 0).all()
    np.testing.assert_allclose(scores.window[rows], scores.columns[rows, 1])
    assert np.isnan(scores.window[2100 - 37 : 2103 - 37]).all()
    assert np.isfinite(scores.window[2103 - 37 : 2200]).all()


@settings(max_examples=15)
@given(st.lists(st.integers(1, 900), min_size=1, max_size=6), st.integers(0, 3))
def test_windows_score_the_same_one_at_a_time_and_all_at_once(sizes, seed):
    forecasts = seasonal_forecasts(with_burst(quiet_frame(6, seed), 500, 9, 1.5))
    whole = score_windows(forecasts).window
    scorer, parts, row = Scorer(2), [], 0
    for size in [*sizes, len(forecasts)]:
        part = slice(row, row + size)
        arrays = (forecasts.actual, forecasts.point, forecasts.lower, forecasts.upper)
        parts.append(scorer.update(*(array[part] for array in arrays)).window)
        row += size
    np.testing.assert_allclose(np.concatenate(parts), whole)


@settings(max_examples=20)
@given(st.integers(40, 700), st.floats(0, 1e9), st.integers(0, 1))
def test_no_value_breaks_the_scores(row, value, column):
    frame = quiet_frame(5)
    frame.iloc[row, column] = value
    _, scores = scored(frame)
    assert np.isfinite(scores.window).all()
    assert scores.window.min() >= 0
    assert set(np.unique(scores.direction)) <= {-1, 1}


def test_a_score_knows_nothing_of_the_future(quiet):
    _, before = scored(quiet)
    _, after = scored(with_burst(quiet, 2000, 12, 3))
    np.testing.assert_array_equal(before.window[: 2000 - 37], after.window[: 2000 - 37])
