"""Tables: the real one, every format, what is mended, and what is told of the rest."""

from __future__ import annotations

import gzip
import io
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mods.config import DEFAULT_QUERY
from mods.dataset import read_data, table, table_text
from mods.dataset.table import read_table
from mods.errors import DataError, ModsError, ModsWarning, NotFoundError, QueryError, RangeError

#: A time of the day, by hour and minute.
T = "2019-06-01T%02d:%02d:00.000Z"


CELLS = st.none() | st.floats(allow_nan=False, allow_infinity=False)


def times(rows: int = 6) -> list[str]:
    return [T % divmod(10 * n, 60) for n in range(rows)]


def timed(starts: list[str], header: str = "window_start\ta\n") -> bytes:
    return (header + "".join(f"{start}\t{n}\n" for n, start in enumerate(starts))).encode()


def test_the_real_table_is_read_and_its_damage_told(real_data: Path) -> None:
    path = real_data / "real" / "train-w01h-s10m.tsv"
    with pytest.warns(ModsWarning) as caught:
        frame = read_data(path, window="w01h-s10m")
    assert [str(w.message) for w in caught] == [
        "train-w01h-s10m.tsv: line 4193 does not have 4 fields; its empty field was removed"
    ]
    assert frame.shape == (17_280, 4)
    assert frame.columns.tolist() == ["conn_in", "conn_out", "dns_in_distinct", "ssh_in"]
    assert frame.iloc[4191].tolist() == [54406.0, 20048.0, 33.0, 3260.0]
    assert frame.attrs["window"] == "w01h-s10m"
    assert isinstance(frame.index, pd.RangeIndex)
    assert frame.index.name == "row"
    # Nothing else is changed: the plainest reading of the file agrees on every other line.
    lines = path.read_text().splitlines()[1:]
    plain = [[float(c) if c else np.nan for c in line.split("\t")] for line in lines]
    del plain[4191]
    np.testing.assert_array_equal(frame.drop(index=4191).to_numpy(), np.array(plain))


def test_a_range_of_rows_and_rows_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a\n" + "\n".join(map(str, range(100))))
    frame = read_table(path, time_range="<10,20)", exclude=("<12,14)",))
    assert frame.index.tolist() == list(range(10, 20))
    assert frame["a"].isna().tolist() == [False, False, True, True, *[False] * 6]


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.parquet", "upload", "tmp8x_.bin"])
@pytest.mark.parametrize("kind", ["tsv", "csv", "semicolons", "parquet", "quoted"])
def test_the_content_tells_the_format(tmp_path: Path, name: str, kind: str) -> None:
    source = pd.DataFrame({"window_start": times(), "a": [1.5, None, 3, 4, 5, 6], "b": range(6)})
    source["window_start"] = pd.to_datetime(source["window_start"])
    path = tmp_path / name
    stamped = source.assign(window_start=times())
    if kind == "parquet":
        source.to_parquet(path)
    elif kind == "quoted":
        stamped.to_csv(path, index=False, quoting=1)
    else:
        stamped.to_csv(path, index=False, sep={"tsv": "\t", "csv": ",", "semicolons": ";"}[kind])
    frame = read_table(path)
    np.testing.assert_array_equal(frame["a"], [1.5, np.nan, 3, 4, 5, 6])
    assert frame["b"].tolist() == [0, 1, 2, 3, 4, 5]
    assert frame.index.name == "window_start"
    assert str(frame.index.dtype) == "datetime64[us, UTC]"
    assert frame.attrs["window"] == "w01h-s10m"
    assert all(str(kind) == "float64" for kind in frame.dtypes)


@pytest.mark.parametrize(
    ("starts", "ends", "window"),
    [
        (times(), None, "w01h-s10m"),
        (times(), [T % divmod(10 * n + 10, 60) for n in range(6)], "w10m-s10m"),
        (["2019-06-01", "2019-06-02"], None, "w01d-s01d"),
        (["2019-06-01 00:00", "2019-06-01 00:01"], None, "w01m-s01m"),
        (["2019-06-01T02:00+02:00", "2019-06-01T02:10+02:00"], None, "w01h-s10m"),
        (["2019-06-01T00:00:00Z"], None, "w01h-s10m"),
        (["2019-06-01T00:00:00Z"], ["2019-06-01T00:10:00Z"], "w10m-s10m"),
    ],
)
def test_the_window_is_what_the_times_show(
    tmp_path: Path, starts: list[str], ends: list[str] | None, window: str
) -> None:
    path = tmp_path / "a.tsv"
    source = pd.DataFrame({"window_start": starts, "a": range(len(starts))})
    if ends:
        source.insert(1, "window_end", ends)
    source.to_csv(path, sep="\t", index=False)
    frame = read_table(path)
    assert frame.attrs["window"] == window
    assert str(frame.index[0]) == "2019-06-01 00:00:00+00:00"


def test_gaps_between_times_are_missing_rows_and_told(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    starts = times()
    path.write_bytes(timed([starts[n] for n in (0, 1, 4, 5)]))
    with pytest.warns(ModsWarning) as caught:
        frame = read_table(path)
    assert str(caught[0].message) == (
        "a.tsv: 2 windows between the rows are not there (the first after line 3); "
        "they count as missing"
    )
    np.testing.assert_array_equal(frame["a"], [0, 1, np.nan, np.nan, 2, 3])


def test_a_query_picks_columns_by_its_final_names(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("ssh_in,conn_in,conn_out,dns_in_distinct,more\n1,2,3,4,5\n")
    frame = read_table(path, query=DEFAULT_QUERY)
    assert frame.to_dict("list") == {
        "conn_in": [2.0], "conn_out": [3.0], "dns_in_distinct": [4.0], "ssh_in": [1.0]
    }  # fmt: skip
    frame = read_table(path, query="any|more~more_kb|conn_in")
    assert frame.to_dict("list") == {"more_kb": [0.005], "conn_in": [2.0]}
    with pytest.raises(QueryError) as caught:
        read_table(path, query="conn|in_count_uid~con_in;ssh|in~ssh_in")
    assert str(caught.value) == (
        "selection query: the table has no column 'con_in'\n"
        "  conn|in_count_uid~con_in;ssh|in~ssh_in\n"
        "       ^\n"
        "Did you mean 'conn_in'?"
    )


# Content, the values that are read (None is missing), and the warning.
MENDED: list[tuple[bytes, list[list[float | None]], str]] = [
    (b"a\tb\n1\t2\n", [[1, 2]], ""),
    (b"\xef\xbb\xbfa\tb\r\n1\t2\r\n", [[1, 2]], ""),
    (b"a\tb\r1\t2\r", [[1, 2]], ""),
    (b"\n\n a \t b\n 1 \t2 \n\n\n", [[1, 2]], ""),
    (b"a,b\n1,2", [[1, 2]], ""),
    (b"a,b\n,2\n\"\",\"3\"\nNA,nan\n", [[None, 2], [None, 3], [None, None]], ""),
    (b"a\n1\n\n3\n", [[1], [None], [3]], ""),
    (b"a\tb\n1\t2\n\t\n\t\n", [[1, 2], [None, None], [None, None]], ""),
    (b"a,b\n1e3,-2.5\n+7,.5\n", [[1000, -2.5], [7, 0.5]], ""),
    (b"a\tb\n1\t\t2\n", [[1, 2]], "line 2 does not have 2 fields; its empty field was removed"),
    (b"a\tb\n\t1\t2\t\n3\t4\n", [[1, 2], [3, 4]], "line 2 does not have 2 fields; its empty"),
    (b"a\tb\n1\t2\t3\n4\t5\n", [[None, None], [4, 5]],
     "line 2 does not have 2 fields; all its values count as missing"),
    (b"a\tb\n1\t2\n3\n4\t5\n", [[1, 2], [None, None], [4, 5]],
     "line 3 does not have 2 fields; all its values count as missing"),
    (b"a\tb\tc\n1\t2\t3\n1\t\t\t2\n", [[1, 2, 3], [None, None, None]],
     "line 3 does not have 3 fields; all its values"),
    (b"a\tb\n1\t2\n\n3\t4\n", [[1, 2], [None, None], [3, 4]], "line 3 does not have 2 fields"),
    (b'a\tb\n"1\t2\n3\t4\n', [[None, None], [3, 4]], "line 2 does not have 2 fields"),
    (b"a\tb\n1\t2\n3\t4\n5", [[1, 2], [3, 4], [None, None]], "line 4 does not have 2 fields"),
    (b"a\tb\n" + b"1\t\t2\n" * 7, [[1, 2]] * 7,
     "line 2, 3, 4, 5, 6 and 2 more lines do not have 2 fields; its empty field was removed"),
    (timed(times()).replace(b"\t1\n", b"\n"), [[0], [None], [2], [3], [4], [5]],
     "line 3 does not have 2 fields; all its values count as missing"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "values", "said"), MENDED)
def test_what_can_be_read_is_read(
    tmp_path: Path, content: bytes, values: list[list[float | None]], said: str
) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frame = read_table(path)
    np.testing.assert_array_equal(frame.to_numpy(), np.array(values, dtype=float))
    assert len(caught) == 0 if not said else said in str(caught[0].message)


def parquet(**columns: object) -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame(columns).to_parquet(buffer)
    return buffer.getvalue()


JUNK = np.random.default_rng(3).bytes(4000)
RAGGED = b"a\tb\n" + b"1\t2\t3\n" * 20
# Content and how the error begins; `a` is the file's name.
REFUSED = [
    (b"", "'a' is empty; expected a header line and rows"),
    (b" \n\n\t\n", "'a' is empty"),
    (b"a\tb\n", "'a' has a header and no rows"),
    (b"a\tb\n\n\n", "'a' has a header and no rows"),
    (JUNK, "'a' is not UTF-8 text"),
    (b"\0" * 100, "'a' holds control characters"),
    (b"a\tb\n1\t\0\n", "'a' holds control characters"),
    ("größe\n1\n".encode("latin-1"), "'a' is not UTF-8 text (byte 2)"),
    ("a\tb\n1\t2\n".encode("utf-16"), "'a' is UTF-16 text"),
    (gzip.compress(b"a\tb\n1\t2\n", mtime=0), "'a' is gzip data"),
    (b"\x28\xb5\x2f\xfd" + JUNK, "'a' is zstd data"),
    (json.dumps({"a": [1]}).encode(), "'a' is JSON"),
    (b"<html><body>404</body></html>", "'a' is HTML or XML"),
    (b"#separator \\x09\n#fields\tts\n", "'a' is a Zeek log"),
    (b"PK\x03\x04 cut", "'a' is a zip without features"),
    (b"PAR1 cut", "'a' is a damaged Parquet file"),
    (b"PAR1" + JUNK + b"PAR1", "'a' is a damaged Parquet file"),
    (parquet(a=[1.0, 2.0])[:-20], "'a' is a damaged Parquet file"),
    (b"1\t2\n3\t4\n", "the first line of 'a' holds numbers"),
    (b"a\ta\n1\t2\n", "'a' has the column 'a' twice"),
    (b",a\n0,1\n", "'a' has a column without a name (number 1)"),
    (b"a\tb\t\n1\t2\t\n", "'a' has a column without a name (number 3)"),
    (b"window_start\twindow_end\n", "'a' has no column besides times"),
    (b"a\tb\n1\tx\n", "line 2 of 'a', column 'b': 'x'; expected a finite number"),
    (b"a\tb\n1\t2\n3\t1,5\n", "line 3 of 'a', column 'b': '1,5'"),
    (b'a,b\n1,2\n3,"1,5"\n', "line 3 of 'a', column 'b': '1,5'"),
    (b"a\tb\n1\tinf\n", "line 2 of 'a', column 'b': 'inf'"),
    (b"a\tb\n1\t-Infinity\n", "line 2 of 'a', column 'b': '-Infinity'"),
    (b"a\tb\n1\t1e999\n", "line 2 of 'a', column 'b': '1e999'"),
    (b"a\tb\n1\t0x10\n", "line 2 of 'a', column 'b': '0x10'"),
    (b"a\tb\n1\t1_000\n", "line 2 of 'a', column 'b': '1_000'"),
    (b"a\tb\n1\ttrue\n", "line 2 of 'a', column 'b': 'true'"),
    (b"a\tb\n1\t-\n", "line 2 of 'a', column 'b': '-'"),
    (b"a\tb\n1\t" + b"9" * 10_000 + b"x\n", "line 2 of 'a', column 'b': '99999"),
    (b"x" * 100_000 + b"\n1\n" + b"y\n", "line 3 of 'a', column 'xxxxxxxxxx"),
    (b"x" * 200_000 + b"\n1\n", "line 1 of 'a' cannot be read: field larger than field limit"),
    (b'a\n"' + b"1" * 200_000 + b'"\n', "line 2 of 'a' cannot be read: field larger than"),
    (b"a\tb\n\t\n\t\n", "the data hold no value, only missing ones"),
    (RAGGED, "20 of 20 lines of 'a' do not have 2 fields (the first is line 2)"),
    (b"a\tb\n" + b"1\t2\n" * 20 + b"1\n" * 11, "11 of 31 lines of 'a' do not have 2 fields"),
    (b"\t".join(b"c%d" % n for n in range(10_001)) + b"\n1\n", "'a' has 10,001 columns"),
    (timed(["2019-06-01", "yesterday"]), "line 3 of 'a' has the window_start 'yesterday'"),
    (timed(["2019-06-01", ""]), "line 3 of 'a' has no window_start"),
    (timed(["1559347200"]), "line 2 of 'a' has the window_start '1559347200'"),
    (timed([times()[0]] * 2), f"line 3 of 'a' has the time {times()[0]} once more"),
    (timed(times()[::-1]), f"line 3 of 'a' has the time {times()[4]} after a later one"),
    (timed([*times(3), "2019-06-01T00:25:00.000Z"]), "line 5 of 'a' has a window that starts at"),
    (timed(["2019-06-01T00:03:00Z", "2019-06-01T00:13:00Z"]), "line 2 of 'a' has a window that"),
    (timed(["2019-06-01T00:00:00.000Z", "2019-06-01T00:00:00.500Z"]), "'a' has windows of 0 s"),
    (timed(["2019-06-01T00:00:00Z", "2019-06-01T00:00:01Z", "2039-06-01T00:00:00Z"]),
     "'a' has 3 rows spread over 631,152,001 windows"),
    (b"window_start\twindow_end\ta\n2019-06-01\t2019-05-31\t1\n",
     "line 2 of 'a' has at 2019-06-01 a window_end that does not fit"),
    (b"window_start\twindow_end\ta\n2019-06-01\t2019-06-02\t1\n2019-06-02\t2019-06-04\t1\n",
     "line 3 of 'a' has at 2019-06-02 a window_end that does not fit"),
    (b"window_start\twindow_end\ta\n2019-06-01T00:00\t2019-06-01T00:45\t1\n"
     b"2019-06-01T00:30\t2019-06-01T01:15\t1\n",
     "'a' has windows of 2700 s that are 1800 s apart"),
    (parquet(a=["x"]), "column 'a' of 'a' holds String; expected numbers"),
    (parquet(a=[[1, 2]]), "column 'a' of 'a' holds List(Int64); expected numbers"),
    (parquet(a=[True]), "column 'a' of 'a' holds Boolean; expected numbers"),
    (parquet(a=[1.0, np.inf]), "row 1 of 'a', column 'a': inf"),
    (parquet(window_start=[1, 2], a=[1, 2]), "column 'window_start' of 'a' holds Int64"),
    (parquet(window_start=["x"], a=[1]), "row 0 of 'a' has the window_start 'x'"),
    (parquet(window_start=pd.Series([pd.Timestamp("2019-06-01"), pd.NaT]), a=[1, 2]),
     "row 1 of 'a' has no window_start"),
    (parquet(window_start=pd.to_datetime(["2019-06-01"])), "'a' has no column besides times"),
    (parquet(a=np.array([], dtype=float)), "'a' has no rows"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "said"), REFUSED)
def test_what_is_no_table_is_told_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModsWarning)
        with pytest.raises(ModsError) as caught:
            read_table(path)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_parquet_file_that_would_expand_beyond_all_measure_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "_MAX_CELLS", 1000)
    path = tmp_path / "a"
    pd.DataFrame({"a": np.zeros(1001)}).to_parquet(path)
    with pytest.raises(DataError, match="'a' holds 1,001 values; expected at most 1,000"):
        read_table(path)


def test_a_file_of_too_many_lines_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_text, "_MAX_LINES", 100)
    path = tmp_path / "a"
    path.write_bytes(b"\n" * 101)
    with pytest.raises(DataError, match="'a' has over 100 lines; expected a table of windows"):
        read_table(path)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.truncate(table.MAX_BYTES + 1)
    with pytest.raises(DataError, match="'a' has 268,435,457 bytes; expected a table of at most"):
        read_table(path)


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no file .*nothing"):
        read_data(tmp_path / "nothing")
    with pytest.raises(DataError, match="is a folder"):
        read_table(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(DataError, match="is no plain file"):
        read_table(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ModsError, match="loop"):
        read_data(tmp_path / "loop")
    with pytest.raises(ModsError, match="null"):
        read_data("a\0b")
    with pytest.raises(ModsError, match="File name too long"):
        read_data("a" * 300)


@pytest.mark.parametrize("window", ["w10m-s01m", "w02h-s20m"])
def test_a_window_that_does_not_fit_is_told(tmp_path: Path, window: str) -> None:
    path = tmp_path / "a"
    source = pd.DataFrame({"window_start": times(), "a": range(6)})
    source.insert(1, "window_end", [T % divmod(10 * n + 60, 60) for n in range(6)])
    source.to_csv(path, sep="\t", index=False)
    assert read_table(path, window="w01h-s10m").attrs["window"] == "w01h-s10m"
    with pytest.raises(RangeError, match=f"window '{window}' does not fit the times of 'a'"):
        read_table(path, window=window)


@given(
    st.lists(
        st.lists(CELLS, min_size=2, max_size=2),
        min_size=1,
        max_size=30,
    ).filter(lambda rows: any(cell is not None for row in rows for cell in row)),
    st.sampled_from(["tsv", "csv", "parquet"]),
    st.booleans(),
)  # fmt: skip
def test_a_frame_written_and_read_again_is_equal(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[float | None]],
    kind: str,
    with_times: bool,
) -> None:
    frame = pd.DataFrame(np.array(rows, dtype=float), columns=["a", "b"])
    path = tmp_path_factory.mktemp("table") / "file"
    if with_times:
        starts = pd.date_range("2019-06-01", periods=len(rows), freq="10min", tz="UTC", unit="us")
        frame.index = pd.DatetimeIndex(starts, name="window_start")
    else:
        frame.index = pd.RangeIndex(len(rows), name="row")
    if kind == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, sep="\t" if kind == "tsv" else ",", index=with_times, na_rep="NA")
    pd.testing.assert_frame_equal(read_table(path), frame, check_freq=False)


@given(st.binary(max_size=200), st.integers(0, 5))
def test_any_bytes_are_a_table_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes, how: int
) -> None:
    heads = [b"", b"a\tb\n", b"window_start\ta\n2019-06-01\t", b"PAR1", b"\x1f\x8b", b"a,b\n1,2\n"]
    path = tmp_path_factory.mktemp("junk") / "file"
    path.write_bytes(heads[how] + junk)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModsWarning)
        try:
            frame = read_data(path)
        except ModsError as error:
            assert str(error)
        else:
            assert frame.notna().any(axis=None)


@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=3))
def test_a_damaged_byte_is_told_or_changes_a_value_only(
    tmp_path_factory: pytest.TempPathFactory, place: int, junk: bytes
) -> None:
    sound = timed(times(36))
    spot = place % len(sound)
    path = tmp_path_factory.mktemp("damaged") / "file"
    path.write_bytes(sound[:spot] + junk + sound[spot + 1 :])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModsWarning)
        try:
            frame = read_table(path)
        except ModsError as error:
            assert "\n" not in str(error)
        else:
            assert len(frame.columns) >= 1
