"""From data to incidents: `mods detect`, `mods.detect` and the files that they write."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mods
from mods.anomaly.detect import SILENT, detect_all
from mods.anomaly.notices import notice_log, write_detection
from mods.cli import main
from mods.errors import DataError
from mods.tests.alarm_maker import WINDOW, quiet_frame, seasonal_table, with_burst

SAMPLE = Path(__file__).resolve().parents[2] / "data/test/sample-test-w01h-s10m.tsv"


@pytest.mark.network
def test_a_table_becomes_scores_incidents_notices_and_a_picture(tmp_path, capsys):
    if not SAMPLE.is_file():
        pytest.skip("the sample is not beside the package")
    arguments = ["detect", "--data", str(SAMPLE), "--model", "default", "--rate", "1/day"]
    for name in ("x.csv", "x.jsonl", "x.log", "x.png"):
        assert main([*arguments, "--out", str(tmp_path / name), "--json"]) == 0
        document = json.loads(capsys.readouterr().out)

    frame = pd.read_csv(SAMPLE, sep="\t")
    columns = document["columns"]
    scores = pd.read_csv(tmp_path / "x.csv")
    assert list(scores.columns) == ["window", "score", "alarm", "incident"] + [
        f"score:{name}" for name in columns
    ]
    assert scores["window"].is_unique
    assert scores["window"].is_monotonic_increasing
    assert set(pd.to_datetime(scores["window"])) <= set(pd.to_datetime(frame["window_start"]))
    assert int(scores["alarm"].sum()) == document["alarms"] > 0
    lines = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert lines == document["incidents"]
    assert {line["id"] for line in lines} == set(scores["incident"].dropna())
    fields = "id kind start end peak score columns direction expected seen text suppressed"
    assert all(set(fields.split()) <= set(line) for line in lines)
    notices = (tmp_path / "x.log").read_text().splitlines()
    assert [row.split("\t")[11] for row in notices if not row.startswith("#")] == [
        line["text"] for line in lines
    ]
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")

    # The sensor was out once, and the burst is there for anybody to see.
    kinds = [line["kind"] for line in lines]
    assert kinds.count("outage") == 1
    assert any(line["columns"] == ["conn_in"] and line["direction"] == "more" for line in lines)


@pytest.mark.network
def test_real_data_give_about_as_many_false_alarms_as_were_asked_for(real_data, tmp_path, capsys):
    table = real_data / "real" / "train-w01h-s10m.tsv"
    out = tmp_path / "x.csv"
    arguments = ["--model", "default", "--window", WINDOW, "--range", "<8640,17280)"]
    assert main(["detect", "--data", str(table), *arguments, "--out", str(out), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    scores = pd.read_csv(out)
    assert scores["window"].tolist() == list(range(8640, 17280))
    # The series has unlabelled events of its own, so the promise of quiet data does not bind.
    assert 0.3 < document["alarms"] / 60 < 3


@pytest.mark.parametrize("times", [True, False])
def test_a_burst_is_one_incident_that_says_what_happened(times):
    frame = with_burst(quiet_frame(21, times=times), 2500, 12, 1.6)
    incidents = mods.detect(seasonal_table(frame), "1/week", window=WINDOW)
    worst = max(incidents, key=lambda one: one.score)
    assert worst.start == frame.index[2500]
    assert 2503 <= list(frame.index).index(worst.end) <= 2517
    assert worst.columns[0] == "conn_in"
    assert worst.direction == "more"
    expected = worst.expected["conn_in"]
    assert expected["lower"] <= expected["forecast"] <= expected["upper"] < worst.seen["conn_in"]
    assert worst.text.startswith("conn_in rose ")
    assert len([one for one in incidents if one.start <= worst.end and one.end >= worst.start]) == 1


def test_the_future_changes_no_score_and_no_identifier():
    frame = with_burst(quiet_frame(20), 2500, 12, 1.6)
    table = seasonal_table(frame)
    cut = frame.index[2506]
    part = table[table["origin"] <= cut]
    part = part.assign(actual=part["actual"].where(part["target"] <= cut))
    now, later = (detect_all(t, "1/day", window=WINDOW) for t in (part, table))
    shared = later.scores[later.scores["window"] <= cut]
    np.testing.assert_allclose(now.scores["score"], shared["score"])
    growing = now.incidents[-1]
    assert growing.end == cut
    assert growing.id in {one.id for one in later.incidents}
    again = detect_all(table.sample(frac=1, random_state=1), "1/day", window=WINDOW)
    assert [one.as_dict() for one in again.incidents] == [one.as_dict() for one in later.incidents]


def test_no_data_is_an_outage_and_never_a_zero():
    frame = quiet_frame(20)
    frame.iloc[2000:2020] = np.nan
    frame.iloc[2300:2310, 1] = np.nan
    detection = detect_all(seasonal_table(frame), "1/day", window=WINDOW)
    outages = [one for one in detection.incidents if one.kind == "outage"]
    assert [(one.start, one.end) for one in outages] == [
        (frame.index[2000], frame.index[2019]),
        (frame.index[2300], frame.index[2309]),
    ]
    assert [one.columns for one in outages] == [("conn_in", "ssh_in"), ("ssh_in",)]
    assert outages[1].text.startswith("No data from")
    scores = detection.scores.set_index("window")
    silent = scores.loc[frame.index[2000] : frame.index[2019]]
    assert (silent["score"] == SILENT).all()
    assert silent["score:conn_in"].isna().all()
    assert silent["alarm"].all()
    assert set(silent["incident"]) == {outages[0].id}
    # One silent column is no alarm of the whole window, and the other is judged as ever.
    assert scores.loc[frame.index[2305], "score"] == scores.loc[frame.index[2305], "score:conn_in"]


def test_a_notice_log_needs_times(tmp_path):
    table = seasonal_table(quiet_frame(12, times=False))
    detection = detect_all(table, "1/day", window=WINDOW)
    with pytest.raises(DataError, match="a notice log needs times, and the data have row numbers"):
        notice_log(detection)
    write_detection(detection, tmp_path / "x.csv")
    assert pd.read_csv(tmp_path / "x.csv")["window"].tolist() == list(range(37, 12 * 144))


def test_a_notice_log_has_the_fields_that_it_declares():
    frame = with_burst(quiet_frame(15), 2000, 9, 2)
    lines = notice_log(detect_all(seasonal_table(frame), window=WINDOW)).splitlines()
    head = {line.split("\t")[0]: line.split("\t")[1:] for line in lines if line[0] == "#"}
    assert head["#path"] == ["notice"]
    assert len(head["#fields"]) == len(head["#types"])
    rows = [line.split("\t") for line in lines if line[0] != "#"]
    assert {len(row) for row in rows} == {len(head["#fields"])}
    notices = pd.DataFrame(rows, columns=head["#fields"])
    burst = notices[notices["ts"].astype(float) == frame.index[2000].timestamp()]
    assert burst["note"].tolist() == ["MODS::Departure"]
    assert burst["msg"].item().startswith("conn_in rose ")


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        ("0", "rate '0'; expected more than 0"),
        ("1000000/day", "rate '1000000/day'; expected more than 0, at most 36/day, a quarter of"),
        ("often", "rate 'often'; expected a number a hour, day, week, month, year."),
    ],
)
@pytest.mark.parametrize("words", [["detect", "--rate"], ["predict", "--alarm-rate"]])
def test_a_rate_that_cannot_be_kept_is_told_before_anything_is_forecast(
    rate, message, words, capsys, monkeypatch
):
    def never(*_arguments, **_options):
        raise AssertionError("nothing is to be forecast")

    monkeypatch.setattr("mods.models.mods_model.Model.backtest", never)
    command, option = words
    assert main([command, "--data", str(SAMPLE), "--model", "default", option, rate]) == 2
    assert message in capsys.readouterr().err


def test_nothing_forecast_is_nothing_to_draw(tmp_path):
    detection = detect_all(seasonal_table(quiet_frame(12)), window=WINDOW)
    nothing = detection.within(pd.DatetimeIndex([], tz="UTC"))
    assert nothing.incidents == []
    with pytest.raises(DataError, match="no window to draw; expected windows that were forecast"):
        write_detection(nothing, tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []
