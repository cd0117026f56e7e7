"""Forecasts with alarms: one call, and the table, picture and page that show both."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from mods.anomaly.detect import detect_all
from mods.anomaly.memory import unspoilt
from mods.anomaly.watch import left_out, watch, with_alarms
from mods.errors import ConfigError, ModsWarning
from mods.models.forecast import forecast_table
from mods.models.legacy import CHANGE
from mods.models.predict import table_document
from mods.models.responses import alarms_document, csv_answer
from mods.tests.alarm_maker import HORIZON, WINDOW, quiet_frame, seasonal_table, with_burst
from mods.tests.chromium import needs_chromium, page_after_scripts, text_of
from mods.visualization.page import forecast_page
from mods.visualization.visualize import plot_forecast

ROW, WINDOWS = 2800, 12


class Seasonal:
    """Forecasts without a network."""

    horizon, coverage = HORIZON, 0.9

    def backtest(self, frame: pd.DataFrame) -> pd.DataFrame:
        return seasonal_table(frame)


@pytest.fixture(scope="module", params=[True, False], ids=["times", "rows"])
def frame(request):
    made = with_burst(quiet_frame(21, times=request.param), ROW, WINDOWS, 1.7)
    made.iloc[2900:2906] = np.nan
    return made


def last_days(frame):
    """The range from row 2700 to 2950, in words."""
    first, last = frame.index[2700], frame.index[2950]
    if isinstance(first, pd.Timestamp):
        return f"<{first:%Y-%m-%dT%H:%M},{last:%Y-%m-%dT%H:%M})"
    return f"<{first},{last})"


def test_the_alarms_are_those_of_detect(frame):
    found = watch(Seasonal(), frame, "1/day", include=last_days(frame))
    assert found.scores["window"].tolist() == frame.index[2700:2950].tolist()
    known = frame.iloc[:2950]
    known.attrs = dict(frame.attrs)
    whole = detect_all(seasonal_table(known), "1/day", window=WINDOW)
    shown = whole.within(frame.index[2700:2950])
    assert [one.as_dict() for one in found.incidents] == [one.as_dict() for one in shown.incidents]
    worst = max(found.incidents, key=lambda one: np.nan_to_num(one.score))
    assert (worst.start, worst.columns[0]) == (frame.index[ROW], "conn_in")


class Yesterday(Seasonal):
    """Forecasts what was a day before, so that an outlier comes back as a forecast."""

    def backtest(self, frame: pd.DataFrame) -> pd.DataFrame:
        values, origins = frame.ffill().to_numpy(), np.arange(200, len(frame))
        point = values[origins[:, None] + np.arange(1, HORIZON + 1) - 144]
        return forecast_table(frame, origins, point, 0.9 * point, 1.1 * point)


def test_forecasts_do_not_know_the_departures_that_were_over_by_then(frame):
    found = watch(Seasonal(), frame, "1/week").incidents
    (burst,) = [one for one in found if one.start == frame.index[ROW]]
    raw = Yesterday().backtest(frame)
    table = unspoilt(Yesterday(), frame, raw, [burst], per_day=144)
    assert table.drop(columns=["forecast", "lower", "upper"]).equals(
        raw.drop(columns=["forecast", "lower", "upper"])
    )
    changed = table["forecast"] != raw["forecast"]
    last = frame.index.get_loc(burst.end)
    rows = frame.index.get_indexer(pd.Index(raw["origin"]))
    # Before it, while it goes on, and beside it, nothing is known of its end.
    assert rows[changed].min() > last + 5
    assert set(raw.loc[changed, "column"]) == {"conn_in"}
    gap = [(t["forecast"] / t["actual"] - 1).abs()[changed].mean() for t in (raw, table)]
    assert gap[1] < 0.2 * gap[0]
    assert unspoilt(Yesterday(), frame, raw, [], per_day=144) is raw


def test_what_comes_after_the_range_is_not_looked_at(frame):
    later = frame.copy()
    later.iloc[2950:] *= 5
    later.attrs = dict(frame.attrs)
    one, other = (watch(Seasonal(), f, "1/day", include=last_days(f)) for f in (frame, later))
    pd.testing.assert_frame_equal(one.scores, other.scores)


def test_chosen_columns_are_watched_alone(frame):
    found = watch(Seasonal(), frame, "1/day", include=last_days(frame), columns=["ssh_in"])
    assert list(found.scores.columns[4:]) == ["score:ssh_in"]
    assert all(one.columns == ("ssh_in",) for one in found.incidents)
    assert set(found.table["column"]) == {"conn_in", "ssh_in"}


def test_columns_of_a_model_of_changes_are_chosen_by_their_own_names(frame):
    class Changes(Seasonal):
        def backtest(self, frame: pd.DataFrame) -> pd.DataFrame:
            table = seasonal_table(frame)
            return table.assign(column=table["column"] + CHANGE)

    found = watch(Changes(), frame, "1/day", include=last_days(frame), columns=["ssh_in"])
    assert list(found.scores.columns[4:]) == [f"score:ssh_in{CHANGE}"]


def test_what_was_left_out_is_no_outage(frame):
    first, last = frame.index[2900], frame.index[2906]
    text = f"<{first},{last})".replace("+00:00", "Z").replace(" ", "T")
    rules = left_out([text], frame.index, "left out")
    found = watch(Seasonal(), frame, "1/day", include=last_days(frame), rules=rules)
    (outage,) = [one for one in found.incidents if one.kind == "outage"]
    assert outage.suppressed == "left out"
    plain = watch(Seasonal(), frame, "1/day", include=last_days(frame))
    assert [one.suppressed for one in plain.incidents if one.kind == "outage"] == [None]


def test_the_table_and_the_answer_tell_scores_beside_forecasts(frame):
    found = watch(Seasonal(), frame, "1/day", include=last_days(frame))
    table = with_alarms(found.table, found.scores, found.incidents)
    assert list(table.columns[-4:]) == ["score", "alarm", "incident", "incident_text"]
    pd.testing.assert_frame_equal(table[found.table.columns], found.table)
    burst = table[table["target"] == frame.index[ROW + 2]]
    assert burst["alarm"].all()
    (told_of,) = set(burst["incident"])
    (one,) = [incident for incident in found.incidents if incident.id == told_of]
    assert set(burst["incident_text"]) == {one.text}
    beyond = table["target"] >= frame.index[2950]
    assert table.loc[beyond, table.columns[-4:]].isna().all(axis=None)
    assert table.loc[~beyond, "alarm"].notna().all()
    told = table_document(table)
    assert set(told["alarm"]) == {True, False, None}
    assert b",alarm,incident,incident_text\n" in csv_answer(found.table, found).getvalue()
    document = alarms_document(found)
    text = json.dumps(document, allow_nan=False)
    assert json.loads(text) == document
    assert [one["text"] for one in document["incidents"]] == [one.text for one in found.incidents]
    assert set(document["scores"]["incident"]) == {None, *(one.id for one in found.incidents)}
    assert alarms_document(None) == {"incidents": None, "scores": None}
    if isinstance(frame.index, pd.DatetimeIndex):
        # A client finds an incident's windows among the targets by their text.
        targets = table_document(found.table)["target"]
        assert all(one["peak"] in targets for one in document["incidents"])


@pytest.mark.parametrize("rate", ["0/day", "1000000/day", "often"])
def test_a_rate_that_cannot_be_kept_is_told_before_anything_is_forecast(frame, rate):
    class Never(Seasonal):
        def backtest(self, frame: pd.DataFrame) -> pd.DataFrame:
            raise AssertionError("nothing is to be forecast")

    with pytest.raises(ConfigError, match=f"rate '{rate}'"):
        watch(Never(), frame, rate)


def test_too_little_history_is_told_in_the_result_too():
    with pytest.warns(ModsWarning, match="too short to promise 1/day") as caught:
        found = watch(Seasonal(), quiet_frame(5), "1/day")
    assert found.doubt == str(caught[0].message)


def test_the_picture_marks_incidents_in_their_panels_and_tells_them(frame):
    found = watch(Seasonal(), frame, "1/week", include=last_days(frame))
    figure = plot_forecast(found.table, incidents=found.incidents)
    told = [one for one in found.incidents if one.end >= found.table["target"].min()]
    numbers = [[note.get_text().strip() for note in axes.texts] for axes in figure.axes]
    for axes, marks in zip(figure.axes, numbers, strict=True):
        name = axes.get_title(loc="left")
        touched = [str(n) for n, one in enumerate(told, start=1) if name in one.columns]
        assert [mark for mark in marks if mark.isdigit()] == touched
    text = below(figure)
    assert all(one.text in text for one in told)
    assert below(plot_forecast(found.table)) == plot_forecast(found.table).axes[-1].get_xlabel()
    assert "No incident" in below(plot_forecast(found.table, incidents=[]))
    quiet = [one.suppress("maintenance") for one in found.incidents]
    assert "No incident" in below(plot_forecast(found.table, incidents=quiet))


def below(figure):
    """What stands below the last panel, in one line."""
    return re.sub(r"\s+", " ", figure.axes[-1].get_xlabel())


def test_the_page_lists_incidents_by_their_places(frame):
    found = watch(Seasonal(), frame, "1/week", include=last_days(frame))
    page = forecast_page(found.table, incidents=found.incidents)
    (text,) = re.findall(r'id="data">(.*?)</script>', page)
    data = json.loads(text)
    worst = max(found.incidents, key=lambda one: np.nan_to_num(one.score))
    (shown,) = [one for one in data["incidents"] if one["text"] == worst.text]
    # The grid begins with the first origin, row 2700.
    assert shown["first"] == ROW - 2700
    assert shown["last"] == ROW - 2700 + worst.windows - 1
    assert shown["columns"] == list(worst.columns)
    assert "incidents" not in json.loads(
        re.findall(r'id="data">(.*?)</script>', forecast_page(found.table))[0]
    )


@pytest.mark.slow
@needs_chromium
def test_chromium_tells_the_incidents(tmp_path):
    frame = with_burst(quiet_frame(21), ROW, WINDOWS, 1.7)
    found = watch(Seasonal(), frame, "1/week", include=last_days(frame))
    for name, incidents in {"some": found.incidents, "none": [], "unasked": None}.items():
        path = tmp_path / f"{name}.html"
        path.write_text(forecast_page(found.table, incidents=incidents))
        page = page_after_scripts(path.as_uri(), tmp_path / f"profile-{name}")
        shown = text_of(re.sub(r"<section[^>]* hidden.*?</section>", "", page, flags=re.DOTALL))
        assert ("Incidents" in shown) == (name != "unasked")
        assert ("Incidents None." in shown) == (name == "none")
        assert (found.incidents[0].text in shown) == (name == "some")
