"""Thresholds keep the rate that was asked for, whatever the scores' distribution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import genpareto

from mods.anomaly.thresholds import METHODS, Spot, fit_tail, parse_rate, threshold_by_risk
from mods.errors import ConfigError

RISK = 1 / 144
SHAPES = {
    "exponential": lambda rng, n: rng.exponential(size=n),
    "normal": lambda rng, n: np.abs(rng.normal(size=n)),
    "heavy": lambda rng, n: rng.pareto(4, size=n),
    "bounded": lambda rng, n: rng.random(n),
}


def alarms_of(method, scores, risk=RISK):
    threshold = threshold_by_risk(method, risk, warmup=1008, memory=8640)
    return np.array([threshold.update(score) for score in scores.tolist()]), threshold


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", SHAPES)
def test_quiet_data_give_the_rate_that_was_asked_for(method, shape):
    scores = SHAPES[shape](np.random.default_rng(5), 60 * 144)
    alarms, _ = alarms_of(method, scores)
    assert not alarms[:1008].any()
    assert 0.6 < alarms[1008:].sum() / 53 < 1.5


@pytest.mark.parametrize("method", METHODS)
def test_a_rarer_rate_puts_the_threshold_higher(method):
    scores = np.random.default_rng(1).exponential(size=5000)
    values = [alarms_of(method, scores, risk)[1].value for risk in (0.02, RISK, RISK / 7)]
    assert values == sorted(values)
    assert values[0] < values[2]


@pytest.mark.parametrize("method", METHODS)
def test_a_long_incident_neither_raises_the_threshold_nor_ends_early(method):
    rng = np.random.default_rng(2)
    scores = rng.exponential(size=40 * 144)
    incident = slice(20 * 144, 22 * 144)
    scores[incident] = 40 + rng.exponential(size=288)
    threshold = threshold_by_risk(method, RISK, warmup=1008, memory=8640)
    alarms, values = [], []
    for score in scores.tolist():
        alarms.append(threshold.update(score))
        values.append(threshold.value)
    assert all(alarms[incident])
    assert values[incident.stop] < 1.3 * values[incident.start - 1]
    assert sum(alarms[incident.stop :]) < 2 * 18


def test_dspot_follows_a_drift_that_spot_takes_for_alarms():
    rng = np.random.default_rng(3)
    scores = rng.exponential(size=60 * 144) + np.linspace(0, 20, 60 * 144)
    (spot, _), (dspot, _) = alarms_of("spot", scores), alarms_of("dspot", scores)
    assert dspot.sum() / 53 < 2
    assert spot.sum() > 3 * dspot.sum()


@pytest.mark.parametrize("method", METHODS)
def test_a_missing_score_is_no_alarm_and_teaches_nothing(method):
    scores = np.random.default_rng(4).exponential(size=3000)
    gaps = np.insert(scores, np.arange(0, 3000, 10), np.nan)
    whole, one = alarms_of(method, scores)
    holed, other = alarms_of(method, gaps)
    assert not holed[np.isnan(gaps)].any()
    assert holed[~np.isnan(gaps)].tolist() == whole.tolist()
    assert one.value == other.value


def test_scores_that_are_all_alike_are_no_alarms():
    spot = Spot(RISK, warmup=1008)
    assert not any(spot.update(1.0) for _ in range(3000))
    assert spot.update(50.0)


@pytest.mark.parametrize("shape", [-0.2, 0.0, 0.3])
def test_the_tail_is_fitted_as_well_as_scipy_does(shape):
    excess = genpareto.rvs(shape, scale=2.0, size=4000, random_state=7)
    mine, theirs = fit_tail(excess), genpareto.fit(excess, floc=0)[::2]

    def likelihood(fitted):
        return genpareto.logpdf(excess, fitted[0], scale=fitted[1]).sum()

    assert likelihood(mine) > likelihood(theirs) - 0.5
    assert mine == pytest.approx((shape, 2.0), abs=0.12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1/day", 1 / 144), ("2 / weeks", 2 / 1008), (3, 3 / 144), ("0.5", 0.5 / 144),
     ("1/hour", 24 / 144), ("1/month", 1 / 4320), ("1/year", 1 / 52560)],
)  # fmt: skip
def test_a_rate_is_a_share_of_the_windows(text, expected):
    assert parse_rate(text, 144) == pytest.approx(expected)


HIGH = "expected more than 0, at most 36/day, a quarter of the windows. Write for example"
NOT = "expected a number a hour, day, week, month, year. Write for example '1/day' or '2/week'."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (0, f"rate 0; {HIGH}"),
        ("0/day", f"rate '0/day'; {HIGH}"),
        ("-1/day", f"rate '-1/day'; {HIGH}"),
        ("1000000/day", f"rate '1000000/day'; {HIGH}"),
        (1_000_000, f"rate 1000000; {HIGH}"),
        ("inf", f"rate 'inf'; {HIGH}"),
        ("often", f"rate 'often'; {NOT}"),
        ("1/fortnight", f"rate '1/fortnight'; {NOT}"),
        ("1/", f"rate '1/'; {NOT}"),
        ("nan/day", f"rate 'nan/day'; {NOT}"),
    ],
)
def test_a_rate_that_no_threshold_can_keep_is_refused(text, message):
    with pytest.raises(ConfigError) as caught:
        parse_rate(text, 144)
    assert str(caught.value).startswith(message)


def test_a_threshold_of_another_kind_is_refused():
    with pytest.raises(ConfigError, match="threshold 'sigma'; expected one of spot, dspot, conf"):
        threshold_by_risk("sigma", RISK, warmup=10, memory=100)
