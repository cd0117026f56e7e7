"""The linear model of each column's own past: what it learns, and that it never looks ahead."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.linear_model import Ridge

from mods.models import linear
from mods.models.encoding import ScaleFree
from mods.models.hyperparameters import Hyperparameters
from mods.models.linear import EVERY, LEAST_ERROR, RIDGE, Regressors, linear_forecast, linear_names

WINDOW = "w01h-s10m"
SETTINGS = Hyperparameters(sequence_len=36)
HORIZON = SETTINGS.horizon


def drawn(seed: int, rows: int, horizon: int = 2) -> tuple[Regressors, np.ndarray]:
    random = np.random.default_rng(seed)
    common, ahead = random.standard_normal((rows, 3)), random.standard_normal((rows, horizon, 2))
    wanted = common[:, :1] - 0.5 * ahead[:, :, 0] + 0.1 * random.standard_normal((rows, horizon))
    return Regressors(common, ahead), wanted


def moving_sum(seed: int, rows: int = 1200) -> pd.DataFrame:
    slots = np.random.default_rng(seed).gamma(4.0, 100.0, rows + 5)
    frame = pd.DataFrame({"a": np.convolve(slots, np.ones(6), mode="valid")})
    frame.attrs["window"] = WINDOW
    return frame


def told(frame: pd.DataFrame, origins: np.ndarray) -> np.ndarray:
    """Return the context's part that tells of the linear model: `(origins, 2 * horizon)`."""
    return ScaleFree(SETTINGS, WINDOW).encode(frame, origins)[1][:, : 2 * HORIZON]


def test_the_first_fit_is_the_ridge_regression_of_what_has_come() -> None:
    regressors, wanted = drawn(1, 2 * EVERY)
    said, _ = linear_forecast(regressors, wanted, first=0)
    known = EVERY - wanted.shape[1] + 1
    for step in range(wanted.shape[1]):
        x = regressors.block(0, known)[step]
        y = wanted[:known, step]
        weight = 1 / np.maximum(np.abs(y) / np.abs(y).mean(), LEAST_ERROR)
        # scikit-learn has one prior for all coefficients: each regressor is given its own unit
        unit = np.sqrt((x**2 * weight[:, None]).sum(axis=0) / weight.sum())
        prior = RIDGE * (step + 1) ** 2 * weight.sum() / known
        oracle = Ridge(alpha=prior, fit_intercept=False).fit(x / unit, y, sample_weight=weight)
        expected = oracle.predict(regressors.block(EVERY, 2 * EVERY)[step] / unit)
        np.testing.assert_allclose(said[EVERY:, step], expected, rtol=1e-9, atol=1e-9)
    assert not said[:EVERY].any(), "nothing is said before the first fit"


@given(
    values=arrays.arrays(np.float64, 200, elements=st.floats(0, 1e6)),
    cut=st.integers(60, 180),
    later=st.floats(0, 1e9),
)
def test_what_stands_at_a_row_is_made_of_rows_up_to_it(
    values: np.ndarray, cut: int, later: float
) -> None:
    frame, changed = pd.DataFrame({"a": values}), pd.DataFrame({"a": values})
    changed.iloc[cut + 1 :] = later
    origins = np.arange(35, cut + 1)
    np.testing.assert_array_equal(told(frame, origins), told(changed, origins))


@pytest.mark.parametrize("wanted", [np.nan, 0.0])
def test_nothing_known_or_nothing_that_moves_says_nothing(wanted: float) -> None:
    regressors, _ = drawn(2, 300)
    said, skill = linear_forecast(regressors, np.full((300, 2), wanted), first=7)
    assert not said.any()
    assert not skill.any()


def test_gaps_and_bursts_leave_a_fit_that_is_as_good_elsewhere() -> None:
    regressors, wanted = drawn(3, 1500)
    damaged = wanted.copy()
    damaged[100:200] = np.nan
    damaged[np.random.default_rng(4).random(len(wanted)) < 0.02] *= 20
    whole, _ = linear_forecast(regressors, wanted, first=0)
    said, skill = linear_forecast(regressors, damaged, first=0)
    late = slice(1000, None)
    assert np.isfinite(said).all()
    assert np.isfinite(skill).all()
    error = np.abs(said - wanted)[late].mean()
    assert error < 1.5 * np.abs(whole - wanted)[late].mean() < 0.2


def test_it_follows_a_series_that_changes_its_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    regressors, wanted = drawn(5, 6000)
    wanted[3000:] *= -1
    said, skill = linear_forecast(regressors, wanted, first=0)
    late = slice(5500, None)
    assert skill[2900].min() > skill[3200].max(), "its skill tells of the change"
    monkeypatch.setattr(linear, "KEEP", 1.0)
    stubborn, _ = linear_forecast(regressors, wanted, first=0)
    error = np.abs(said - wanted)[late].mean()
    assert error < np.abs(stubborn - wanted)[late].mean(), "earlier blocks are forgotten"


def test_a_moving_sum_is_forecast_better_than_by_its_last_value() -> None:
    frame = moving_sum(6)
    encoding = ScaleFree(SETTINGS, WINDOW)
    origins = np.arange(600, 1180)
    encoding.learn(frame, origins)
    _, context, inputs = encoding.encode(frame, origins)
    outputs = np.repeat(context[:, :HORIZON, None, None], 3, axis=3)
    said = encoding.decode(outputs, inputs)[:, :, 0, 1]
    values = frame["a"].to_numpy()
    actual = values[origins[:, None] + np.arange(1, HORIZON + 1)]
    error = np.abs(said - actual).mean(axis=0)
    persistence = np.abs(values[origins][:, None] - actual).mean(axis=0)
    # Five slots of six are known: the best that can be done leaves 1/sqrt(2) at one step.
    assert error[0] < 0.78 * persistence[0]
    assert (error < persistence).all()


def test_its_names_stand_in_front_in_the_context() -> None:
    encoding = ScaleFree(SETTINGS, WINDOW)
    assert len(linear_names(HORIZON)) == 2 * HORIZON
    assert encoding.shape["told"] == HORIZON
    masked = encoding.mask(np.ones((2000, encoding.shape["context"])), np.random.default_rng(1))
    hidden = (masked[:, : 2 * HORIZON] == 0).all(axis=1)
    assert 0.05 < hidden.mean() < 0.15, "masked as one group"
    assert (masked[~hidden, : 2 * HORIZON] == 1).all()
