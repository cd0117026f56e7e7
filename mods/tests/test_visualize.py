"""Pictures of forecasts."""

from __future__ import annotations

import io
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.dates import num2date
from matplotlib.image import imread

from mods.errors import DataError
from mods.models.forecast import forecast_table
from mods.visualization.visualize import chosen_series, picture, plot_forecast, save_figure

ROWS, STEPS = 400, 3


def a_table(columns: int = 2, *, times: bool = True, rows: int = ROWS) -> pd.DataFrame:
    """A forecast table whose forecast is 100, interval 90 to 110, actual 100 but for spikes."""
    values = np.full((rows, columns), 100.0)
    values[-20] = 500.0
    values[-40] = 0.0
    index = (
        pd.date_range("2024-03-01", periods=rows, freq="10min", tz="UTC", name="window_start")
        if times
        else pd.RangeIndex(rows, name="row")
    )
    frame = pd.DataFrame(values, index, [f"column_{n}" for n in range(columns)])
    origins = np.arange(10, rows)
    point = np.full((len(origins), STEPS, columns), 100.0)
    return forecast_table(frame, origins, point, point - 10, point + 10)


def size(data: bytes) -> tuple[int, int]:
    height, width, _ = imread(io.BytesIO(data), format="png").shape
    return width, height


@pytest.mark.parametrize("columns", [1, 2, 12])
def test_each_column_has_its_panel_and_the_panels_stay_readable(columns):
    figure = plot_forecast(a_table(columns), coverage=0.9, title="A forecast")
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        f"column_{n}" for n in range(columns)
    ]
    width, height = size(picture(figure))
    assert width == 1320
    assert (height - 150) / columns > 150  # pixels a panel


def test_what_lies_outside_is_marked_and_counted():
    axes = plot_forecast(a_table(1), last=100).axes[0]
    (marks,) = [line for line in axes.lines if line.get_label() == "outside the interval"]
    assert np.asarray(marks.get_ydata()).tolist() == [0.0, 500.0]
    assert axes.get_title(loc="right") == "2 of 99 outside"


def test_the_last_two_days_are_shown_and_after_them_all_steps_of_the_last_origin():
    table = a_table(1)
    rows = chosen_series(table)["column_0"]
    ahead = rows[rows["step"] == 1]
    assert len(ahead) == 288
    assert rows["target"].is_monotonic_increasing
    assert rows["target"].is_unique
    assert rows["step"].tail(STEPS).tolist() == [1, 2, 3]
    assert rows["target"].iloc[-1] == table["target"].max()
    assert len(chosen_series(table, last=7)["column_0"]) == 7 + STEPS - 1


def test_two_days_are_two_days_for_every_slide():
    table = a_table(1)
    start = table["target"].min()
    for name in ("origin", "target"):
        table[name] = start + (table[name] - start) * 6
    rows = chosen_series(table)["column_0"]
    assert (rows["step"] == 1).sum() == 48


def test_times_are_utc_and_row_numbers_are_numbers():
    timed = plot_forecast(a_table(1))
    assert timed.axes[-1].get_xlabel() == "start of the window, UTC"
    last = num2date(np.asarray(timed.axes[0].lines[0].get_xdata(orig=False))[-1])
    assert last == a_table(1)["target"].max()
    plain = plot_forecast(a_table(1, times=False))
    assert plain.axes[-1].get_xlabel() == "window, row number from 0"
    assert np.asarray(plain.axes[0].lines[0].get_xdata())[-1] == ROWS - 1 + STEPS


def test_the_legend_tells_the_interval_and_the_step():
    figure = plot_forecast(a_table(), coverage=0.8, step=3)
    assert [text.get_text() for text in figure.legends[0].texts] == [
        "80 % interval",
        "forecast, 3 windows ahead",
        "actual",
        "outside the interval",
    ]


def test_units_and_large_numbers():
    table = a_table(1).assign(column="conn_in_kb")
    assert plot_forecast(table).axes[0].get_ylabel() == "kB a window"
    for name in ("forecast", "lower", "upper", "actual"):
        table[name] *= 1e7
    axes = plot_forecast(table).axes[0]
    assert axes.yaxis.get_major_formatter()(2e9) == "2G"


def test_a_table_of_one_origin_without_any_actual_value_is_drawn():
    table = a_table(1)
    table = table[table["origin"] == table["origin"].max()]
    axes = plot_forecast(table).axes[0]
    assert axes.get_title(loc="right") == "not known yet"
    assert len(np.asarray(axes.lines[0].get_xdata())) == STEPS


def test_gaps_stay_gaps():
    table = a_table(1)
    table.loc[table["target"] == table["target"].unique()[-30], "actual"] = np.nan
    axes = plot_forecast(table).axes[0]
    (actual,) = [line for line in axes.lines if line.get_label() == "actual"]
    assert np.isnan(np.asarray(actual.get_ydata())[:-STEPS]).sum() == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"columns": ["colunm_0"]}, "no column 'colunm_0'. Did you mean 'column_0'?"),
        ({"columns": []}, "no forecast to draw"),
        ({"step": 9}, "no forecast 9 steps ahead"),
    ],
)
def test_what_cannot_be_drawn_is_told(options, expected):
    with pytest.raises(DataError, match=re.escape(expected)):
        plot_forecast(a_table(), **options)


def test_more_columns_than_a_picture_holds_are_told():
    with pytest.raises(DataError, match="49 columns in one picture; expected at most 48"):
        plot_forecast(a_table(49, rows=60))


def test_an_empty_table_is_told():
    with pytest.raises(DataError, match="no forecast to draw"):
        plot_forecast(a_table().iloc[:0])


def test_a_figure_is_written_whole_or_not_at_all(tmp_path):
    figure = plot_forecast(a_table(1))
    path = save_figure(figure, tmp_path / "new" / "a.png")
    assert path.read_bytes() == picture(figure)
    assert [found.name for found in path.parent.iterdir()] == ["a.png"]
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write"):
        save_figure(figure, tmp_path / "file" / "a.png")


def test_no_global_state_is_left():
    import matplotlib

    before = dict(matplotlib.rcParams)
    picture(plot_forecast(a_table()))
    assert dict(matplotlib.rcParams) == before
