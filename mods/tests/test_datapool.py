"""Datapools: the real one, years, every layout, and what is read of them."""

from __future__ import annotations

import shutil
import warnings
import zipfile
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal as assert_equal

import mods
from mods.dataset import datapool, read_data
from mods.dataset.datapool import day_files, extent, is_datapool, read_datapool, read_day
from mods.dataset.feature_files import LAYOUTS, Layout, place, write_features
from mods.dataset.protocols import PROTOCOLS
from mods.errors import ConfigError, DataError, ModsWarning, NotFoundError, QueryError, RangeError
from mods.tests.feature_maker import FIRST, HOUR, features, micro
from mods.timerange import Window


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """A datapool of ssh and http, three days each."""
    for protocol in ("ssh", "http"):
        write_features(tmp_path / "pool", protocol, HOUR, features(3))
    return tmp_path / "pool"


def test_the_real_day_is_read_from_its_zip_and_from_the_folder(real_data: Path) -> None:
    folder = real_data / "real" / "datapools"
    frame = read_data(folder / "2019-06-01.zip")
    assert frame.shape == (144, 4)
    assert frame.columns.tolist() == ["conn_in", "conn_out", "dns_in_distinct", "ssh_in"]
    assert frame.iloc[0].tolist() == [50091.0, 19794.0, 38.0, 2901.0]
    assert frame.index[0] == pd.Timestamp("2019-06-01", tz="UTC")
    assert frame.index.name == "window_start"
    assert frame.attrs["window"] == "w01h-s10m"
    pd.testing.assert_frame_equal(mods.read_datapool(folder), frame)
    quiet = read_data(folder, query="ssh|in|out|internal;sip|out_distinct_`id.orig_h`~o")
    assert quiet.isna().sum().to_dict() == {"in": 0, "out": 144, "internal": 119, "o": 138}
    megabytes = read_data(folder, query="conn|in_sum_orig_bytes|out_sum_orig_bytes~sent_mb")
    assert megabytes.iloc[0].tolist() == [13985095.0, 2.516009]


def test_the_real_day_has_the_columns_that_the_protocols_say(real_data: Path) -> None:
    for file in day_files(real_data / "real" / "datapools"):
        assert read_day(file).columns[1:] == PROTOCOLS[file.protocol].columns


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_real_day_written_again_is_equal_in_every_cell(
    real_data: Path, tmp_path: Path, layout: Layout
) -> None:
    files = day_files(real_data / "real" / "datapools")
    assert len(files) == 6
    for file in files:
        write_features(tmp_path, file.protocol, HOUR, read_day(file), layout=layout)
    written = {file.protocol: file for file in day_files(tmp_path)}
    assert len(written) == 6
    for file in files:
        assert_equal(read_day(written[file.protocol]), read_day(file))
        if layout != "parquet":
            assert written[file.protocol].read() == file.read()


def test_a_year_of_days_is_parsed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sound files never take the slow way, which parses each for itself to name the fault."""

    def slow(*_arguments: object) -> None:
        raise AssertionError("parsed alone")

    monkeypatch.setattr(datapool, "parse_day", slow)
    for protocol in ("ssh", "http"):
        write_features(tmp_path, protocol, HOUR, features(365), layout="zip-month")
    frame = read_datapool(tmp_path, query="ssh|in~a;http|out~b")
    assert frame.shape == (365 * 144, 2)
    np.testing.assert_array_equal(frame["a"], np.arange(365 * 144))
    np.testing.assert_array_equal(frame["b"], np.arange(365 * 144) + 1000)


def test_only_the_days_in_range_are_opened(pool: Path) -> None:
    for day in ("01", "03"):
        (pool / f"ssh/2019/06/{day}/w01h-s10m.tsv").write_bytes(b"junk")
    (pool / "http/2019/06/02/w01h-s10m.tsv").write_bytes(b"junk")
    frame = read_datapool(
        pool,
        query="ssh|in",
        time_range="<2019-06-02T01:00,2019-06-02T03:00)",
        exclude=["<2019-06-02T01:00,2019-06-02T02:00)"],
    )
    np.testing.assert_array_equal(frame["in"], [np.nan] * 6 + [*range(156, 162)])


def test_missing_days_and_windows_are_missing_rows(tmp_path: Path) -> None:
    write_features(tmp_path, "ssh", HOUR, features(1)[6:])
    write_features(tmp_path, "http", HOUR, features(1, FIRST + timedelta(days=2))[:-6])
    frame = read_datapool(tmp_path, query="ssh|in~a;http|in~b")
    assert frame.index[0] == pd.Timestamp("2019-06-01T01:00", tz="UTC")
    assert frame.index[-1] == pd.Timestamp("2019-06-03T22:50", tz="UTC")
    assert len(frame) == 3 * 144 - 12
    assert frame["a"].notna().sum() == frame["b"].notna().sum() == 138
    assert (frame.index[1:] - frame.index[:-1] == pd.Timedelta("10min")).all()


def test_the_window_is_chosen_or_asked_for(tmp_path: Path) -> None:
    for name in ("w10m-s10m", "w02h-s10m"):
        write_features(tmp_path, "ssh", Window.parse(name), features())
    with pytest.raises(RangeError) as caught:
        read_datapool(tmp_path, query="ssh|in")
    assert str(caught.value) == (
        "the datapool has several windows; expected one of w02h-s10m, w10m-s10m. Name one of them."
    )
    with pytest.raises(RangeError, match=r"no window 'w10m-s01m'. Did you mean 'w10m-s10m'"):
        read_datapool(tmp_path, query="ssh|in", window="w10m-s01m")
    assert read_datapool(tmp_path, query="ssh|in", window="w02h-s10m").attrs == {
        "window": "w02h-s10m"
    }
    write_features(tmp_path, "ssh", HOUR, features())
    assert read_datapool(tmp_path, query="ssh|in").attrs == {"window": "w01h-s10m"}


def test_what_is_not_there_is_told_with_what_is(pool: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no datapool .*nothing"):
        read_datapool(tmp_path / "nothing")
    with pytest.raises(QueryError) as caught:
        read_datapool(pool, query="ssh|in;htp|in~x")
    assert str(caught.value).splitlines()[1:] == [
        "  ssh|in;htp|in~x", "         ^", "Did you mean 'http'?"
    ]  # fmt: skip
    with pytest.raises(QueryError) as caught:
        read_datapool(pool, query="ssh|inn")
    assert str(caught.value).splitlines() == [
        "selection query: ssh has no column 'inn'", "  ssh|inn", "      ^", "Did you mean 'in'?"
    ]  # fmt: skip
    with pytest.raises(RangeError) as ranged:
        read_datapool(pool, query="ssh|in", time_range="<2020-01-01,2020-02-01)")
    assert str(ranged.value) == (
        "range '<2020-01-01T00:00:00Z,2020-02-01T00:00:00Z)' holds no day of the datapool; "
        "expected a range that overlaps <2019-06-01,2019-06-03>"
    )


def test_a_column_that_came_later_is_missing_before_and_told(tmp_path: Path) -> None:
    write_features(tmp_path, "ssh", HOUR, features(2, columns=("in",)))
    write_features(tmp_path, "ssh", HOUR, features(1, FIRST + timedelta(days=2)))
    with pytest.warns(ModsWarning) as caught:
        frame = read_datapool(tmp_path, query="ssh|in|out")
    assert str(caught[0].message) == (
        "ssh has no column 'out' on 2 days (the first is 2019-06-01); it counts as missing there"
    )
    assert frame["in"].notna().all()
    assert frame["out"].isna().tolist() == [True] * 288 + [False] * 144


def test_zips_and_files_lie_beside_each_other_at_any_depth(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    write_features(whole, "ssh", HOUR, features(40))
    mixed = tmp_path / "mixed"
    write_features(mixed / "2019", "ssh", HOUR, features(30), layout="zip-month")
    write_features(mixed / "a" / "b", "ssh", HOUR, features(5, date(2019, 7, 1)), layout="zip-day")
    late = features(40)[35 * 144 :]
    write_features(mixed, "ssh", HOUR, late.with_columns(pl.col("in") - 35 * 144))
    assert (mixed / "2019" / "2019-06.zip").is_file()
    assert (mixed / "a" / "b" / "2019-07-05.zip").is_file()
    (mixed / "README.tsv").write_text("not a day")
    (mixed / ".hidden.zip").write_text("not looked at")
    frame = read_datapool(mixed, query="ssh|in")
    expected = np.concatenate([np.arange(30 * 144), np.arange(5 * 144), np.arange(5 * 144)])
    np.testing.assert_array_equal(frame["in"], expected)


def test_a_day_stored_twice_is_told_and_the_plain_file_read(pool: Path) -> None:
    other = features(1).with_columns(pl.col("in") + 7)
    write_features(pool / "old", "ssh", HOUR, other, layout="zip-day")
    with pytest.warns(ModsWarning) as caught:
        frame = read_datapool(pool, query="ssh|in")
    plain = pool / "ssh/2019/06/01/w01h-s10m.tsv"
    assert str(caught[0].message) == (
        f"ssh of 2019-06-01 is stored twice: {plain} is read, "
        f"{pool / 'old' / '2019-06-01.zip'}: ssh/2019/06/01/w01h-s10m.tsv is not"
    )
    assert frame["in"].iloc[0] == 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read_the_same(pool: Path, tmp_path: Path, layout: Layout) -> None:
    other = tmp_path / "other"
    for protocol in ("ssh", "http"):
        paths = write_features(other, protocol, HOUR, features(3), layout=layout)
        assert all(path.is_file() for path in paths)
        assert len(paths) == (1 if layout == "zip-month" else 3)
    query = "ssh|in~a|out~b;http|in~c"
    expected = read_datapool(pool, query=query)
    pd.testing.assert_frame_equal(read_datapool(other, query=query), expected)
    assert extent(other) == extent(pool)
    # Days written again replace what was there, and nothing else.
    again = features(1, FIRST + timedelta(days=1)).with_columns(pl.col("in") + 0.5)
    write_features(other, "ssh", HOUR, again, layout=layout)
    frame = read_datapool(other, query=query)
    np.testing.assert_array_equal(frame["a"][144:288], np.arange(144) + 0.5)
    pd.testing.assert_series_equal(frame["c"], expected["c"])
    assert not list(other.rglob("*partial*"))


@pytest.mark.parametrize("first", LAYOUTS)
@pytest.mark.parametrize("second", LAYOUTS)
def test_no_day_is_written_where_another_copy_would_be_read(
    tmp_path: Path, first: Layout, second: Layout
) -> None:
    write_features(tmp_path, "ssh", HOUR, features(), layout=first)
    newer = features().with_columns(pl.col("in") + 1)
    if LAYOUTS.index(first) < LAYOUTS.index(second):
        with pytest.raises(DataError) as caught:
            write_features(tmp_path, "ssh", HOUR, newer, layout=second)
        assert str(caught.value).startswith("ssh of 2019-06-01 is in the datapool already, as ")
        assert str(caught.value).endswith(f"Write with the layout {first!r}, or to another folder.")
        assert read_datapool(tmp_path, query="ssh|in")["in"].iloc[0] == 0
        return
    write_features(tmp_path, "ssh", HOUR, newer, layout=second)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModsWarning)
        assert read_datapool(tmp_path, query="ssh|in")["in"].iloc[0] == 1


def test_equal_features_make_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_features(tmp_path / name, "ssh", HOUR, features(2), layout="zip-month")
    assert (tmp_path / "a/2019-06.zip").read_bytes() == (tmp_path / "b/2019-06.zip").read_bytes()


def test_the_format_of_a_file_is_the_real_one(tmp_path: Path) -> None:
    table = pl.DataFrame(
        {
            "window_start": [micro(FIRST), micro(FIRST) + 600 * 10**6],
            "in_count_uid": [3, None],
            "in_avg_duration": [1.5, float("nan")],
            "in_distinct_`id.orig_h`": [2.0, 1e300],
        }
    )
    (path,) = write_features(tmp_path, "sip", HOUR, table)
    assert path == tmp_path / "sip/2019/06/01/w01h-s10m.tsv"
    assert path.read_text() == (
        "window_start\twindow_end\tin_count_uid\tin_avg_duration\tin_distinct_`id.orig_h`\n"
        "2019-06-01T00:00:00.000Z\t2019-06-01T01:00:00.000Z\t3\t1.5\t2.0\n"
        '2019-06-01T00:10:00.000Z\t2019-06-01T01:10:00.000Z\t""\t""\t1e+300\n'
    )


def test_the_extent_says_what_is_there_and_what_is_missing(tmp_path: Path) -> None:
    for days in (0, 1, 4, 6):
        write_features(tmp_path, "ssh", HOUR, features(1, FIRST + timedelta(days=days)))
    assert extent(tmp_path) == [
        {
            "protocol": "ssh",
            "window": "w01h-s10m",
            "first_day": "2019-06-01",
            "last_day": "2019-06-07",
            "days": 4,
            "missing_days": 3,
            "gaps": ["<2019-06-03,2019-06-04>", "<2019-06-06,2019-06-06>"],
        }
    ]


def test_links_are_followed_and_loops_are_not(pool: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "ssh").symlink_to(pool / "ssh")
    (pool / "ssh" / "loop").symlink_to(pool / "ssh")
    frame = read_datapool(tmp_path / "linked", query="ssh|in")
    assert len(frame) == 3 * 144


def test_a_datapool_is_a_folder_or_a_zip(pool: Path, tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "all"), "zip", pool)
    (tmp_path / "odd").write_bytes((tmp_path / "all.zip").read_bytes())
    for path in (pool, tmp_path / "all.zip", tmp_path / "odd"):
        assert is_datapool(path)
        assert len(read_data(path, query="ssh|in")) == 3 * 144
    assert not is_datapool(pool / "ssh/2019/06/01/w01h-s10m.tsv")
    assert not is_datapool(tmp_path / "nothing")
    assert not is_datapool("a\0b")


VALUES = st.none() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.lists(VALUES, min_size=2, max_size=2)),
        min_size=1,
        max_size=40,
        unique_by=lambda row: row[0],
    ),
    st.sampled_from(LAYOUTS),
)
def test_features_written_and_read_again_are_equal(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[int, list[float | None]]],
    layout: Layout,
) -> None:
    folder = tmp_path_factory.mktemp("pool")
    table = pl.DataFrame(
        {
            "window_start": [micro(FIRST) + place * 600 * 10**6 for place, _ in rows],
            "in": pl.Series([values[0] for _, values in rows], dtype=pl.Float64, strict=False),
            "out": pl.Series([values[1] for _, values in rows], dtype=pl.Float64, strict=False),
        }
    )
    write_features(folder, "ssh", HOUR, table, layout=layout)
    back = pl.concat(
        [read_day(file).cast({"in": pl.Float64, "out": pl.Float64}) for file in day_files(folder)]
    )
    assert_equal(back, table.sort("window_start"), check_exact=True)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (pl.DataFrame({"in": [1]}), "features of ssh have no sound window_start"),
        (pl.DataFrame({"window_start": [0.0], "in": [1]}), "features of ssh have no sound"),
        (pl.DataFrame({"window_start": [None, 0], "in": [1, 2]}), "features of ssh have no sound"),
        (pl.DataFrame({"window_start": [0]}), "features of ssh have no column besides times"),
        (pl.DataFrame({"window_start": [0], "in": ["x"]}), "features of ssh: column 'in'"),
        (pl.DataFrame({"window_start": [0], "in": [np.inf]}), "features of ssh: column 'in' holds"),
        (pl.DataFrame({"window_start": [0], "a\tb": [1]}), "features of ssh: column 'a\\tb'"),
        (pl.DataFrame({"window_start": [0, 0], "in": [1, 2]}), "features of ssh have windows"),
        (pl.DataFrame({"window_start": [7], "in": [1]}), "features of ssh have windows twice, or"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_told(tmp_path: Path, table: pl.DataFrame, said: str) -> None:
    with pytest.raises(DataError) as caught:
        write_features(tmp_path, "ssh", HOUR, table)
    assert str(caught.value).startswith(said)
    assert not list(tmp_path.iterdir())


def test_another_layout_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"layout 'zip'. Did you mean 'zip-day'"):
        write_features(tmp_path, "ssh", HOUR, features(), layout="zip")  # type: ignore[arg-type]


def test_a_file_knows_whether_it_is_stored(tmp_path: Path) -> None:
    write_features(tmp_path, "ssh", HOUR, features(), layout="zip-day")
    assert place(tmp_path, "ssh", FIRST, HOUR.name, "zip-day").exists()
    assert not place(tmp_path, "dns", FIRST, HOUR.name, "zip-day").exists()
    assert not place(tmp_path, "ssh", FIRST, HOUR.name, "tree").exists()
    assert not place(tmp_path, "ssh", FIRST, HOUR.name, "zip-month").exists()
    with zipfile.ZipFile(tmp_path / "2019-06-01.zip") as archive:
        assert archive.namelist() == ["ssh/2019/06/01/w01h-s10m.tsv"]
