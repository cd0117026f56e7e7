"""Windows and ranges: their text, what they select, and what is said about mistakes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mods.errors import RangeError
from mods.timerange import RowRange, TimeRange, Window, parse_range, select


def at(text: str) -> int:
    """Return microseconds since the epoch."""
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("name", "length", "slide"),
    [
        ("w01h-s10m", 3600, 600),
        ("w10m-s01m", 600, 60),
        ("w10m-s10m", 600, 600),
        ("w01d-s01h", 86400, 3600),
        ("w01m-s01s", 60, 1),
    ],
)
def test_a_window_is_its_name(name: str, length: int, slide: int) -> None:
    window = Window.parse(name)
    assert (window.length, window.slide, window.name) == (length, slide, name)


@pytest.mark.parametrize(
    "name",
    ["", "w1h-s10m", "w01h", "w01h-s10x", "w01h-s07m", "w00h-s10m", "w01h-s00m", "W01H-S10M",
     "w10m-s01h", "w01h-s10m ", "w\u0660\u0661h-s10m"],
)  # fmt: skip
def test_another_name_is_no_window(name: str) -> None:
    with pytest.raises(RangeError, match="window name"):
        Window.parse(name)


@given(st.integers(1, 99), st.sampled_from("smhd"), st.integers(1, 99))
def test_a_window_written_and_parsed_again_is_the_same(slide: int, unit: str, times: int) -> None:
    seconds = slide * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
    window = Window(seconds * times, seconds)
    try:
        name = window.name
    except RangeError as error:
        assert "has no name" in str(error)
    else:
        assert Window.parse(name) == window


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("<2019-06-01,2019-06-03)", "2019-06-01", "2019-06-03"),
        ("<2019-06-01,2019-06-03>", "2019-06-01", "2019-06-04"),
        ("<2019,2020)", "2019-01-01", "2020-01-01"),
        ("<2019,2019>", "2019-01-01", "2020-01-01"),
        ("<2019-02,2019-02>", "2019-02-01", "2019-03-01"),
        ("<2019-12,2019-12>", "2019-12-01", "2020-01-01"),
        ("<2020-02-29,2020-02-29>", "2020-02-29", "2020-03-01"),
        # a part date stands for its first instant, so only that is left out
        ("(2019-06-01,2019-06-03)", "2019-06-01T00:00:00.000001", "2019-06-03"),
        ("(2019-06,2019-07)", "2019-06-01T00:00:00.000001", "2019-07-01"),
        ("<2019-06-01T12Z,2019-06-01T13:00>", "2019-06-01T12:00", "2019-06-01T13:00:00.000001"),
        ("<2019-06-01T02:00+02:00,2019-06-01T02)", "2019-06-01", "2019-06-01T02:00"),
        ("<2019-06-01T00:00:00.5Z,2019-06-02)", "2019-06-01T00:00:00.500000", "2019-06-02"),
        (" < 2019-06-01 , 2019-06-02 ) ", "2019-06-01", "2019-06-02"),
        ("<1969-12-31,1970-01-01>", "1969-12-31", "1970-01-02"),
    ],
)  # fmt: skip
def test_a_range_of_times(text: str, start: str, end: str) -> None:
    assert TimeRange.parse(text) == TimeRange(at(start), at(end))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "range ''"),
        ("2019", "range '2019'"),
        ("<2019-06-01)", "range '<2019-06-01)'"),
        ("<2019,2020,2021)", "range '<2019,2020,2021)'"),
        ("[2019,2020]", "range '[2019,2020]'"),
        ("<,)", "'' in range"),
        ("<2019-13-01,2020)", "'2019-13-01' in range"),
        ("<2019-02-30,2020)", "'2019-02-30' in range"),
        ("<2019-06-01T25:00,2020)", "'2019-06-01T25:00' in range"),
        ("<2019-06-01T00:00+99:00,2020)", "'2019-06-01T00:00+99:00' in range"),
        ("<2019,9999>", "'9999' in range"),
        ("<yesterday,today)", "'yesterday' in range"),
        ("<2020,2019)", "is empty"),
        ("<2019,2019)", "is empty"),
        ("<\u0662\u0660\u0661\u0669,2020)", "in range"),
    ],
)
def test_another_text_is_no_range_of_times(text: str, said: str) -> None:
    with pytest.raises(RangeError, match=re.escape(said)):
        TimeRange.parse(text)


@given(st.integers(at("1900-01-01"), at("2200-01-01")), st.integers(1, 10**15))
@example(0, 1)
def test_a_range_of_times_written_and_parsed_again_is_the_same(start: int, length: int) -> None:
    chosen = TimeRange(start, start + length)
    assert TimeRange.parse(chosen.text) == chosen


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_a_range_of_rows_written_and_parsed_again_is_the_same(start: int, length: int) -> None:
    chosen = RowRange(start, start + length)
    assert RowRange.parse(chosen.text) == chosen


@given(st.text("<>(),0123456789-T:Z+. ²", max_size=30))
def test_any_text_is_a_range_or_a_clear_error(text: str) -> None:
    for kind in (TimeRange, RowRange):
        try:
            chosen = kind.parse(text)
        except RangeError as error:
            assert str(error)
        else:
            assert chosen.start < chosen.end


@pytest.mark.parametrize(
    ("text", "rows"),
    [("<1,3)", [1, 2]), ("(1,3)", [2]), ("<1,3>", [1, 2, 3]), ("(1,3>", [2, 3])],
)
def test_a_range_of_rows(text: str, rows: list[int]) -> None:
    assert np.flatnonzero(RowRange.parse(text).mask(pd.RangeIndex(6))).tolist() == rows


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<2019-06-01,2019-06-02)", "on a table without times; expected row numbers"),
        ("<3,1)", "row range '<3,1)' is empty"),
        ("<-1,3)", "row numbers"),
        ("<²,3)", "row numbers"),
        ("<1.5,3)", "row numbers"),
    ],
)
def test_another_text_is_no_range_of_rows(text: str, said: str) -> None:
    with pytest.raises(RangeError) as caught:
        RowRange.parse(text)
    assert said in str(caught.value)


def frame(rows: int = 144) -> pd.DataFrame:
    index = pd.date_range("2019-06-01", periods=rows, freq="10min", tz="UTC", unit="us")
    data = {"a": np.arange(rows, dtype=float), "b": np.ones(rows)}
    made = pd.DataFrame(data, index=index.rename("window_start"))
    made.attrs["window"] = "w01h-s10m"
    return made


def test_a_range_cuts_and_exclusions_leave_missing_rows() -> None:
    chosen = select(
        frame(),
        "<2019-06-01T01:00,2019-06-01T03:00)",
        ["<2019-06-01T01:30,2019-06-01T02:00)", "<2019-06-01T00:00,2019-06-01T01:00>"],
    )
    assert len(chosen) == 12
    assert chosen["a"].isna().tolist() == [True, False, False, *[True] * 3, *[False] * 6]
    assert chosen.attrs["window"] == "w01h-s10m"
    assert chosen.index.name == "window_start"


def test_one_exclusion_may_be_given_as_text() -> None:
    assert select(frame(), None, "<2019-06-01,2019-06-01T01:00)")["a"].isna().sum() == 6


def test_select_leaves_the_frame_as_it_was() -> None:
    given_frame = frame()
    select(given_frame, None, ["<2019-06-01T01:30,2019-06-01T02:00)"])
    pd.testing.assert_frame_equal(given_frame, frame())


@pytest.mark.parametrize(
    ("include", "exclude", "said"),
    [
        (
            "<2020,2021)",
            (),
            "range '<2020,2021)' holds no row of the data; expected a range that overlaps "
            "<2019-06-01T00:00:00Z,2019-06-01T23:50:00Z>",
        ),
        (None, ("<2019,2020)",), "nothing is left after leaving ranges out. Leave out less."),
        (None, ("2019",), "range '2019'"),
        ("<0,5)", (), "'0' in range '<0,5)'"),
    ],
)
def test_a_range_that_does_not_fit_is_told(
    include: str | None, exclude: tuple[str, ...], said: str
) -> None:
    with pytest.raises(RangeError) as caught:
        select(frame(), include, exclude)
    assert str(caught.value).startswith(said)


def test_data_without_a_value_are_told() -> None:
    with pytest.raises(RangeError, match="the data hold no value, only missing ones"):
        select(frame() * np.nan)


def test_rows_are_numbers_and_times_are_times() -> None:
    assert isinstance(parse_range("<0,3)", pd.RangeIndex(3)), RowRange)
    assert isinstance(parse_range("<2019,2020)", frame().index), TimeRange)
