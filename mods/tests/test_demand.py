"""Intermittent demand: its classes, and Croston's method and TSB against published figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from mods.features.demand import croston, describe_demand, one_step_error, tsb


def test_croston_and_tsb_by_hand():
    demands = np.array([0, 0, 6.0, 0, 3.0, 0, 0, 0])
    # size 6, interval 3; then 6 + .2 (3 - 6) = 5.4 and 3 + .2 (2 - 3) = 2.8
    expected = [np.nan, np.nan, 2, 2, 5.4 / 2.8, 5.4 / 2.8, 5.4 / 2.8, 5.4 / 2.8]
    np.testing.assert_allclose(croston(demands, 0.2), expected)
    # chance 1/3, .3, .37, .333, .2997, .26973; size 6, then 5.4
    expected = [np.nan, np.nan, 2, 1.8, 5.4 * 0.37, 5.4 * 0.333, 5.4 * 0.2997, 5.4 * 0.26973]
    np.testing.assert_allclose(tsb(demands, 0.2, 0.1), expected)
    assert one_step_error(np.array([1.0, 4.0]), np.array([2.0, 9.0])) == 2.0
    # demands that come every time: both are simple exponential smoothing
    always = np.array([4.0, 8.0, 2.0, 6.0])
    smooth = pd.Series(always).ewm(alpha=0.3, adjust=False).mean()
    np.testing.assert_allclose(croston(always, 0.3), smooth)
    np.testing.assert_allclose(tsb(always, 0.3, 0.3), smooth)


def spread(intervals: Sequence[int], sizes: Sequence[float], rest: int) -> np.ndarray:
    """Return the windows of demands that come after these intervals, and the zeros after them."""
    values = np.zeros(sum(intervals) + rest)
    values[np.cumsum(intervals) - 1] = sizes
    return values


def test_croston_gives_published_forecasts():
    # Monthly sales of a lubricant: Hyndman and Athanasopoulos, "Forecasting: Principles and
    # Practice", 2nd edition, 2018, section 12.2: size 2.750, interval 2.793, forecast 0.985.
    intervals, sizes = [2, 2, 2, 5, 2, 1, 6, 8, 1, 3, 2], [2, 1, 11, 2, 6, 3, 7, 3, 1, 1, 1]
    sales = spread(intervals, sizes, 2)
    assert len(sales) == 36
    assert croston(sales, 0.1)[-1] == pytest.approx(0.985, abs=5e-4)
    assert croston(sales, 0.1)[-1] == pytest.approx(2.750 / 2.793, abs=5e-4)
    # The tests of Durbyn.jl, which follows the R package forecast, give it to all digits.
    demands = spread([3, 3, 4, 3], [5, 3, 7, 4], 2)
    assert croston(demands, 0.1)[-1] == pytest.approx(1.5915857605177997, rel=1e-12)


def test_tsb_gives_the_forecasts_of_an_independent_implementation():
    # From the tests of the Python package intermittent-forecast (pmrgn/intermittent-forecast):
    # alpha 0.3, beta 0.1. It begins with the first demand and its interval before it smooths;
    # windows with the same first demand, put before the series, make ours begin so.
    series = np.array([0, 0, 3, 0, 4, 0, 0, 0, 2, 0], dtype=float)
    given = [0.9, 0.81, 1.029, 0.9261, 1.2468390, 1.1221551, 1.0099396, 0.9089456, 1.0123723]
    found = tsb(np.concatenate([series[:3], series]), 0.3, 0.1)[3:]
    np.testing.assert_allclose(found, [*given, 0.9111351], rtol=1e-5)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([5, 6, 5, 6], "smooth"),
        ([1, 1, 1, 20], "erratic"),
        ([0, 5, 0, 5], "intermittent"),
        ([0, 1, 0, 1, 0, 30], "lumpy"),
        ([0, 0, 0], "none"),
        ([-1, 1, -1, 1], "erratic"),
    ],
)
def test_classes_of_demand(values, kind):
    assert describe_demand(np.array(values, dtype=float)).kind == kind
