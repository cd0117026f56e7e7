"""The place in a period: told by the clock, found by rows without times, or not said at all."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mods.models.phase import PHASE_SIZE, Phase, learn_phases, phase_inputs

PER_DAY = 144
PERIODS = (36, PER_DAY)


def series(rows: int, seed: int = 0, first: int = 0) -> pd.Series:
    """Return a column with a job every six hours and the rhythm of a day, from row `first` on."""
    number = np.arange(first, first + rows)
    mean = 300 + 200 * np.sin(2 * np.pi * number / PER_DAY) + 800 * (number % 36 == 7)
    return pd.Series(np.random.default_rng([seed, first]).poisson(mean).astype(float), name="a")


def with_times(column: pd.Series, start: str) -> pd.Series:
    index = pd.date_range(start, periods=len(column), freq="10min", tz="UTC", name="window_start")
    return pd.Series(column.to_numpy(), index=index, name=column.name)


def test_the_clock_tells_the_place():
    learned = learn_phases(with_times(series(1440), "2024-03-01"), PERIODS, PER_DAY)
    # Four windows are too few to see any period, and begin at the job of 07:10.
    few = with_times(series(4, first=43), "2024-03-20T07:10")
    waves = phase_inputs(few, np.array([0, 3]), learned, PER_DAY)
    assert waves.shape == (2, PHASE_SIZE)
    assert waves.dtype == np.float32
    assert waves[0, [0, 12]] == pytest.approx(
        [np.sin(2 * np.pi * 7 / 36), np.cos(2 * np.pi * 7 / 36)], abs=1e-6
    )
    assert waves[1, 24] == pytest.approx(np.sin(2 * np.pi * 46 / 144), abs=1e-6)


def test_rows_that_begin_elsewhere_find_their_place():
    learned = learn_phases(series(2880), PERIODS, PER_DAY)
    whole = phase_inputs(series(4320), np.array([4000, 4319]), learned, PER_DAY)
    # The same network, but its rows are numbered from row 1,001 on.
    later = series(3319, seed=1, first=1001)
    assert np.any(whole)
    assert np.array_equal(
        phase_inputs(later, np.array([4000, 4319]) - 1001, learned, PER_DAY), whole
    )


def test_nothing_is_said_where_nothing_matches():
    learned = learn_phases(series(2880), PERIODS, PER_DAY)
    noise = pd.Series(np.random.default_rng(0).exponential(size=2880), name="a")
    short = series(100)
    zeros = pd.Series(np.zeros(2880), name="a")
    missing = pd.Series(np.full(2880, np.nan), name="a")
    for column in (noise, short, zeros, missing):
        assert not phase_inputs(column, np.array([len(column) - 1]), learned, PER_DAY).any()
    # A constant column has no profile that anything could match.
    assert not phase_inputs(
        series(2880), np.array([2879]), learn_phases(zeros, PERIODS, PER_DAY), PER_DAY
    ).any()
    assert not phase_inputs(series(2880), np.array([2879]), (), PER_DAY).any()


def test_later_rows_change_nothing():
    learned = learn_phases(series(2880), PERIODS, PER_DAY)
    column = series(2880, first=17)
    other = column.copy()
    other.iloc[2001:] = 5.0
    origins = np.arange(1500, 2001, 7)
    assert np.array_equal(
        phase_inputs(column, origins, learned, PER_DAY),
        phase_inputs(other, origins, learned, PER_DAY),
    )


def test_a_thousand_times_as_much_is_at_the_same_place():
    learned = learn_phases(series(2880), PERIODS, PER_DAY)
    column = series(2880, first=17)
    origins = np.arange(1500, 2880, 7)
    assert np.array_equal(
        phase_inputs(1000 * column, origins, learned, PER_DAY),
        phase_inputs(column, origins, learned, PER_DAY),
    )


def test_it_survives_a_bundle():
    (phase, _) = learn_phases(series(2880), PERIODS, PER_DAY)
    back = Phase.restore(phase.state())
    assert (back.period, back.clocked) == (36, False)
    assert back.profile == pytest.approx(phase.profile, abs=1e-5)
    assert np.linalg.norm(phase.profile) == pytest.approx(1)
