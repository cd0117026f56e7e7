"""Incidents: stable, merged, told in words, kept quiet by rules and still counted."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from mods.anomaly.detect import detect, detect_all
from mods.anomaly.incidents import Incident, prolonged, runs
from mods.anomaly.inject import Injection, inject
from mods.anomaly.memory import without_departures
from mods.anomaly.notices import incident_lines, notice_log
from mods.anomaly.suppression import (
    Job,
    Maintenance,
    Rules,
    read_rules,
    suppress,
    suppressed_counts,
)
from mods.errors import ConfigError, NotFoundError
from mods.tests.alarm_maker import WINDOW, quiet_frame, seasonal_table, with_burst

START = pd.Timestamp("2019-06-16T02:00", tz="UTC")


def incident(start=START, windows=3, columns=("conn_in",), kind="departure", direction="more"):
    timed = isinstance(start, pd.Timestamp)
    end = start + (windows - 1) * (pd.Timedelta(minutes=10) if timed else 1)
    return Incident("x", kind, start, end, start, windows, 9.0, columns, direction, {}, {}, "")


def test_alarms_near_one_another_are_one_incident():
    marked = np.zeros(40, dtype=bool)
    marked[[3, 5, 12, 13, 30]] = True
    assert runs(marked, 6) == [(3, 13), (30, 30)]
    assert runs(marked, 5) == [(3, 5), (12, 13), (30, 30)]
    assert runs(np.zeros(4, dtype=bool), 6) == []


def test_an_incident_goes_on_while_it_is_strange_and_no_longer():
    alarms, lasting = np.zeros(10, dtype=bool), np.ones(10, dtype=bool)
    alarms[3] = True
    lasting[7] = False
    assert np.flatnonzero(prolonged(alarms, lasting)).tolist() == [3, 4, 5, 6]
    assert not prolonged(np.zeros(10, dtype=bool), lasting).any()


def test_two_bursts_an_hour_apart_are_one_incident_and_a_day_apart_two():
    frame = with_burst(with_burst(quiet_frame(21), 2500, 6, 1.7), 2510, 6, 1.7)
    frame = with_burst(frame, 2700, 6, 1.7)
    strange = [one for one in detect(seasonal_table(frame), window=WINDOW) if one.score > 20]
    starts = [frame.index.get_loc(one.start) for one in strange]
    assert len(starts) == 2
    assert starts[0] in (2500, 2501)
    assert starts[1] in (2700, 2701)


def test_the_sentence_says_what_when_and_how_much():
    frame = with_burst(with_burst(quiet_frame(21), 2500, 6, 3), 2500, 6, 0.4, "ssh_in")
    worst = max(detect(seasonal_table(frame), window=WINDOW), key=lambda one: one.score)
    assert set(worst.columns) == {"conn_in", "ssh_in"}
    assert worst.start == frame.index[2500]
    assert "2019-06-18 08:40" in worst.text
    assert f"{worst.seen[worst.columns[0]]:,.0f}" in worst.text
    others = {"conn_in": "conn_in rose", "ssh_in": "ssh_in fell"}
    assert f"At the same time {others[worst.columns[1]]}." in worst.text


def test_what_falls_to_nothing_is_said_to():
    frame = with_burst(quiet_frame(21), 2500, 12, 0)
    worst = max(detect(seasonal_table(frame), window=WINDOW), key=lambda one: one.score)
    assert worst.direction == "less"
    assert worst.seen["conn_in"] == 0
    assert "conn_in fell to nothing from 2019-06-18 08:40 to" in worst.text


def test_maintenance_that_overlaps_itself_is_one_time_of_maintenance():
    hour = pd.Timedelta(hours=1)
    rules = Rules(
        maintenance=(
            Maintenance(START - hour, START + pd.Timedelta(minutes=15), "first"),
            Maintenance(START + pd.Timedelta(minutes=5), START + hour, "second"),
        )
    )
    inside, beyond = incident(), incident(windows=9)
    kept = suppress([inside, beyond], rules, slide=600)
    assert [one.suppressed for one in kept] == ["first", None]
    twice = Rules(maintenance=rules.maintenance * 2)
    assert suppress([inside, beyond], twice, slide=600) == kept


@pytest.mark.parametrize(
    ("rules", "one", "reason"),
    [
        (Rules(columns=("conn_in",)), incident(), "columns"),
        (Rules(columns=("conn_in",)), incident(columns=("conn_in", "ssh_in")), None),
        (Rules(minimal_seconds=3600), incident(), "minimal_duration"),
        (Rules(minimal_seconds=1800), incident(), None),
        (Rules(jobs=(Job(86400, 7200, 3600, (), "backup"),)), incident(), "backup"),
        (Rules(jobs=(Job(86400, 7200, 1200),)), incident(), None),
        (Rules(jobs=(Job(86400, 3600, 3600),)), incident(), None),
        (Rules(jobs=(Job(86400, 7200, 3600),)), incident(direction="less"), None),
        (Rules(jobs=(Job(86400, 7200, 3600, ("ssh_in",)),)), incident(), None),
        (Rules(jobs=(Job(86400, 82800, 14400),)), incident(START - pd.Timedelta("1h")), "job"),
        (Rules(jobs=(Job(604800, 7200, 3600),)), incident(), None),
        (Rules(maintenance=(Maintenance(5, 9),)), incident(5), "maintenance"),
        (Rules(maintenance=(Maintenance(5, 7),)), incident(5), None),
    ],
)
def test_a_rule_keeps_quiet_what_it_names(rules, one, reason):
    assert suppress([one], rules, slide=600)[0].suppressed == reason


def test_what_is_suppressed_is_marked_and_counted_and_not_in_the_notices(tmp_path):
    frame = with_burst(quiet_frame(21), 2500, 6, 2)
    path = tmp_path / "rules.toml"
    path.write_text(
        'columns = ["ssh_in"]\n[[maintenance]]\nstart = 2019-06-18T08:00:00Z\n'
        'end = "2019-06-18 12:00"\nreason = "new switch"\n'
    )
    table = seasonal_table(frame)
    plain = detect_all(table, window=WINDOW)
    ruled = detect_all(table, window=WINDOW, rules=read_rules(path))
    assert [one.id for one in ruled.incidents] == [one.id for one in plain.incidents]
    assert plain.suppressed == {}
    assert ruled.suppressed["new switch"] == 1
    assert ruled.suppressed == suppressed_counts(ruled.incidents)
    quiet = [one for one in ruled.incidents if one.suppressed]
    assert len(quiet) == sum(ruled.suppressed.values())
    lines = [json.loads(line) for line in incident_lines(ruled).splitlines()]
    assert [line["suppressed"] for line in lines] == [one.suppressed for one in ruled.incidents]
    log = notice_log(ruled)
    assert not any(one.id in log for one in quiet)
    assert all(one.id in log for one in ruled.incidents if not one.suppressed)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colums = ['a']", "rule 'colums' is not known. Did you mean 'columns'?"),
        ("columns = 'a'", "columns 'a'; expected a list of column names"),
        ("minimal_duration = 'long'", "minimal_duration 'long'; expected a number and one of"),
        ("maintenance = 3", "maintenance 3; expected tables that begin with [[maintenance]]"),
        ("[[maintenance]]\nstart = 5\nend = 5", "maintenance from 5 to 5; expected a start before"),
        ("[[maintenance]]\nstart = 5\nend = 2024-01-01", "expected two times or two row numbers"),
        ("[[maintenance]]\nstart = 5", "maintenance with end None; expected a time"),
        ("[[job]]\nevery = '1d'\nlasts = '2d'", "a job that lasts 2d every 1d; expected 0 < lasts"),
        ("[[job]]\nevery = '1d'\nlasts = '1h'\nat = '25:00'", "a job at '25:00'; expected a time"),
        ("[[job]]\nlasts = '1h'", "job's every None; expected a number and one of"),
        ("columns = [", "expected TOML"),
    ],
)
def test_a_rules_file_that_makes_no_sense_is_refused(tmp_path, text, message):
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_rules(path)
    assert message in str(caught.value)


def test_no_rules_file_is_said_so(tmp_path):
    with pytest.raises(NotFoundError, match=r"no rules file '.*none\.toml'"):
        read_rules(tmp_path / "none.toml")


def test_rules_by_times_do_not_fit_rows_without_times():
    rules = Rules(maintenance=(Maintenance(START, START + pd.Timedelta(hours=1)),))
    with pytest.raises(ConfigError, match=r"but the data have row numbers; expected the same"):
        suppress([incident(5)], rules, slide=600)
    with pytest.raises(ConfigError, match="a rule for a periodic job needs times"):
        suppress([incident(5)], Rules(jobs=(Job(86400, 0, 60),)), slide=600)


def test_a_level_that_stays_is_accepted_and_the_record_says_so():
    frame = with_burst(quiet_frame(21), 2500, 400, 2)
    told = detect(seasonal_table(frame), window=WINDOW)
    stays = [one for one in told if one.accepted is not None]
    assert len(stays) == 1
    assert stays[0].accepted == stays[0].start + pd.Timedelta(days=1)
    assert "is taken as the new normal from 2019-06-19 08:40 on." in stays[0].text
    assert stays[0].as_dict()["accepted"] == "2019-06-19T08:40:00Z"
    masked = without_departures(frame, stays, per_day=144)
    pd.testing.assert_frame_equal(masked, frame)


def test_only_what_departed_is_masked_and_the_frame_is_left_alone():
    frame = with_burst(quiet_frame(21), 2500, 12, 2)
    before = frame.copy()
    found = [one for one in detect(seasonal_table(frame), window=WINDOW) if one.score > 20]
    masked = without_departures(frame, found, per_day=144)
    pd.testing.assert_frame_equal(frame, before)
    changed = masked["conn_in"] != frame["conn_in"]
    assert changed.iloc[2500:2512].all()
    assert changed.sum() < 40
    line = masked["conn_in"].iloc[2500:2512].diff().dropna()
    assert line.max() - line.min() < 1e-6
    pd.testing.assert_series_equal(masked["ssh_in"], frame["ssh_in"])
    assert masked.attrs == frame.attrs


@pytest.mark.network
def test_an_outlier_of_two_hours_hardly_touches_the_forecasts_of_the_next_day():
    from mods.models.loading import load_model

    model, row = load_model("default"), 2500
    frame = quiet_frame(21)
    hurt = inject(frame, [Injection(row, 12, "burst", "conn_in", 20.0)])
    found = detect(seasonal_table(hurt), window=WINDOW)
    near = [one for one in found if one.start <= frame.index[row + 17] and one.score > 20]
    masked = without_departures(hurt, near, per_day=144)

    def error(data):
        part = data.iloc[row - 600 : row + 18 + 144]
        part.attrs = dict(frame.attrs)
        table = model.backtest(part)
        origins = table["origin"] >= frame.index[row + 18]
        late = table[origins & (table["column"] == "conn_in")].dropna()
        truth = frame["conn_in"].loc[late["target"]].to_numpy()
        return np.abs(late["forecast"].to_numpy() / truth - 1).mean()

    undisturbed, spoiled, mended = (error(data) for data in (frame, hurt, masked))
    assert mended <= 1.15 * undisturbed
    assert mended < spoiled
