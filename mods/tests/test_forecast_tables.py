"""Forecast tables that are no good: clear messages, or right answers all the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mods.anomaly.detect import detect, detect_all
from mods.anomaly.forecasts import read_forecasts
from mods.errors import ConfigError, DataError, ModsWarning
from mods.tests.alarm_maker import WINDOW, quiet_frame, seasonal_table, with_burst


@pytest.fixture(scope="module")
def table():
    return seasonal_table(with_burst(quiet_frame(12), 1500, 6, 2))


@pytest.fixture(scope="module")
def rows():
    return seasonal_table(quiet_frame(12, times=False))


def changed(table, column, value, where=slice(None)):
    copy = table.copy()
    values = copy[column].astype(object).to_numpy(copy=True)
    values[where] = value
    return copy.assign(**{column: values}).infer_objects()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.drop(columns=["lower", "step"]),
            "the forecast table has no column 'step', 'lower'; expected the columns origin,",
        ),
        (lambda t: t.iloc[:0], "the forecast table has no rows; expected the forecasts of some"),
        (
            lambda t: t.assign(actual=np.nan),
            "the forecast table has no actual value; expected an actual value for some windows."
            " Forecast windows that the data know, and give that table.",
        ),
        (
            lambda t: t[t["origin"] == t["origin"].iloc[0]],
            "the forecast table has no window whose actual value can be known; expected origins"
            " later than some targets. Give the forecasts of more origins.",
        ),
        (
            lambda t: pd.concat([t, t.iloc[:1]]),
            "the forecast table says the same origin, step and column twice; expected each of",
        ),
        (lambda t: changed(t, "step", 0), "step 0 in the forecast table; expected 1 to 1000"),
        (lambda t: changed(t, "step", 1.5), "steps are of type float64; expected whole numbers"),
        (
            lambda t: changed(t, "step", 3, slice(0, 1)),
            "is called step 3; expected step 1. Give the forecast table as predict or backtest",
        ),
        (
            lambda t: changed(t, "forecast", np.inf, slice(4, 5)),
            "forecast is infinite in row 4; expected finite numbers, or empty cells",
        ),
        (
            lambda t: changed(t, "upper", "high"),
            "upper of the forecast table is of type str; expected numbers",
        ),
        (lambda t: changed(t, "origin", None, slice(2, 3)), "origin is empty in row 2; expected a"),
        (
            lambda t: t.assign(origin=t["origin"].astype(str), target=t["target"].astype(str)),
            "of type str; expected UTC times or whole row numbers. Read the times with",
        ),
    ],
)
def test_a_table_that_is_none_is_refused(rows, change, message):
    with pytest.raises(DataError) as caught:
        detect(change(rows), window=WINDOW)
    assert message in str(caught.value)


def test_times_beside_row_numbers_are_refused(table):
    with pytest.raises(DataError, match="both UTC times, or both row numbers"):
        detect(table.assign(origin=np.arange(len(table))))


@pytest.mark.parametrize("rate", [0, "0/day", "1000000/day"])
def test_a_rate_of_zero_or_a_million_is_refused(table, rate):
    with pytest.raises(ConfigError, match=r"expected more than 0, at most 36/day"):
        detect(table, rate)


def test_an_unsorted_table_gives_the_same_answer(table):
    plain = detect_all(table, window=WINDOW)
    mixed = detect_all(table.sample(frac=1, random_state=0), window=WINDOW)
    pd.testing.assert_frame_equal(mixed.scores[plain.scores.columns], plain.scores)
    assert [one.id for one in mixed.incidents] == [one.id for one in plain.incidents]


def test_origins_that_are_missing_cost_their_forecasts_and_nothing_else(table):
    origins = table["origin"].unique()
    gone = set(origins[800:830]) | set(origins[100:900:7])
    holed = detect_all(table[~table["origin"].isin(gone)], window=WINDOW)
    whole = detect_all(table, window=WINDOW)
    assert holed.scores["window"].tolist() == whole.scores["window"].tolist()
    # Windows that nothing was said about have no actual value in the table: they are silent.
    assert {one.kind for one in holed.incidents} <= {"departure", "outage"}
    worst = max(whole.incidents, key=lambda one: one.score)
    assert worst.id in {one.id for one in holed.incidents}


def test_the_window_is_taken_from_the_times_and_guessed_with_a_warning_from_rows(table, rows):
    assert read_forecasts(table).per_day == 144
    with pytest.warns(ModsWarning, match="rows are taken for ten minutes each"):
        assert read_forecasts(rows).per_day == 144
    with pytest.raises(DataError, match="is called step 1; expected step 2"):
        read_forecasts(table, window="w01h-s05m")


def test_too_little_history_is_said(table):
    short = table[table["origin"] < table["origin"].min() + pd.Timedelta(days=3)]
    with pytest.warns(ModsWarning, match=r"3\.0 days of history are too short to promise 1/day"):
        detect(short)
    with pytest.warns(ModsWarning, match=r"promise 1/month false alarms: 32 days are needed"):
        detect(table, "1/month")


def test_one_column_and_one_step_are_enough(table):
    one = table[(table["column"] == "conn_in") & (table["step"] == 1)]
    detection = detect_all(one)
    assert list(detection.scores.columns) == [
        "window", "score", "alarm", "incident", "score:conn_in",
    ]  # fmt: skip
    worst = max(detection.incidents, key=lambda incident: incident.score)
    assert worst.start == pd.Timestamp("2019-06-11T10:00", tz="UTC")
