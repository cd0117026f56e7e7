"""Zeek logs as uploads: the forecasts are those of the datapool that `mods features` makes."""

from __future__ import annotations

import gzip
import io
import zipfile

import numpy as np
import polars as pl
import pytest

from mods import config
from mods.dataset.make_dataset import make_dataset
from mods.errors import DataError, RangeError
from mods.models import api
from mods.models.api_errors import ServiceError, collected_warnings
from mods.models.request_data import read_upload
from mods.models.upload_logs import log_features
from mods.tests.running_service import an_upload
from mods.tests.zeek_writer import json_lines, tsv

START = 1_709_251_200_000_000
HOURS = 8


def records(protocol: str, count: int = 3000) -> list[dict]:
    rng = np.random.default_rng(len(protocol) + ord(protocol[0]))
    times = np.sort(rng.integers(0, HOURS * 3_600_000_000, count)) + START
    return [
        {
            "ts": int(ts),
            "uid": f"C{n}",
            "id.orig_h": "10.0.0.1" if n % 3 else "8.8.8.8",
            "id.orig_p": 5000,
            "id.resp_h": "9.9.9.9" if n % 3 else "10.0.0.2",
            "id.resp_p": 53,
            "proto": "udp",
            "query": f"q{n % 50}.org",
            "duration": 1000,
            "orig_bytes": 10,
            "resp_bytes": 20,
        }
        for n, ts in enumerate(times)
    ]


LOGS = {name: records(name) for name in ("conn", "dns", "ssh")}


def fields(protocol: str) -> list[dict]:
    """Return the records with only what Zeek writes in that log."""
    own = {"dns": ["proto", "query"], "ssh": []}.get(protocol)
    ends = ["ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p"]
    if own is None:
        return [{k: v for k, v in each.items() if k != "query"} for each in LOGS[protocol]]
    return [{k: each[k] for k in [*ends, *own]} for each in LOGS[protocol]]


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


CONN_TSV = tsv("conn", LOGS["conn"]).encode()
CONN_JSON = json_lines("conn", fields("conn"), path=True).encode()
ALL = {
    "day1__conn.log": CONN_TSV,
    "day1__dns.log.gz": gzip.compress(tsv("dns", LOGS["dns"]).encode()),
    "ssh.log": json_lines("ssh", fields("ssh")).encode(),
    "notes.txt": b"hello",
}


def parquet() -> bytes:
    rows = [
        {"ts": each["ts"] / 1e6} | {k: v for k, v in each.items() if k not in ("ts", "query")}
        for each in LOGS["conn"]
    ]
    buffer = io.BytesIO()
    pl.DataFrame(rows).write_parquet(buffer)
    return buffer.getvalue()


def read(folder, content, name, query=None, window=None, **asked):
    path = folder / name
    path.write_bytes(content)
    asked = {"exclude": (), "model_query": None, "model_window": None} | asked
    return read_upload(path, query=query, window=window, **asked)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The features of the three logs, as `mods features` makes them of a directory."""
    folder = tmp_path_factory.mktemp("logs")
    for name in LOGS:
        (folder / f"{name}.log").write_text(tsv(name, LOGS[name]))
    make_dataset([folder], folder / "pool", progress=False)
    from mods.dataset import read_data

    return read_data(folder / "pool")


def test_a_zip_of_logs_gives_the_features_of_mods_features(tmp_path, reference):
    found = read(tmp_path, zipped(**ALL), "all.zip")
    assert found.source == "upload"
    assert found.frame.attrs["window"] == "w01h-s10m"
    assert list(found.frame.columns) == ["conn_in", "conn_out", "dns_in_distinct", "ssh_in"]
    assert found.frame.equals(reference)
    assert found.frame["conn_in"].sum() > 1000


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (CONN_TSV, "whatever.txt"),
        (CONN_JSON, "whatever.json"),
        (gzip.compress(CONN_TSV, mtime=0), "upload"),
        (gzip.compress(CONN_JSON, mtime=0), "conn.json.gz"),
        (zipped(**{"conn.log": CONN_TSV}), "conn.zip"),
        (parquet(), "conn.parquet"),
    ],
)
def test_one_log_in_any_form_is_forecast_by_what_it_holds(tmp_path, reference, content, name):
    found = read(tmp_path, content, name)
    columns = list(found.frame.columns)
    assert columns[:2] == ["conn_in", "conn_out"]
    # A zip is all that the sensor logged: what is not in it was quiet.
    assert (columns[2:] == ["dns_in_distinct", "ssh_in"]) == name.endswith(".zip")
    both = reference.index.intersection(found.frame.index)
    assert len(both) >= 48
    assert found.frame.loc[both, columns[:2]].equals(reference.loc[both, columns[:2]])


def test_a_query_chooses_the_features(tmp_path):
    found = read(tmp_path, CONN_TSV, "a.log", query="conn|out_sum_orig_bytes~up")
    assert list(found.frame.columns) == ["up"]


def at(*seconds: int) -> bytes:
    """Return a log of conn with a record at each of some seconds."""
    one = LOGS["conn"][0]
    text: str = tsv("conn", [one | {"ts": START + second * 10**6} for second in seconds])
    return text.encode()


def test_the_last_day_of_logs_is_that_which_they_saw(tmp_path):
    found = read(tmp_path, CONN_TSV, "conn.log")
    # Their days are whole, and the logs are of eight hours.
    assert len(found.frame) == 144
    seen = found.frame.dropna(how="all").index
    assert len(seen) < 50
    assert found.last_day == f"<{seen[0]:%Y-%m-%dT%H:%M:%SZ},{seen[-1]:%Y-%m-%dT%H:%M:%SZ}>"


def test_logs_of_a_minute_say_which_windows_would_do(tmp_path):
    with pytest.raises(DataError) as caught, collected_warnings():
        read(tmp_path, at(*range(70)), "short.log")
    assert str(caught.value).startswith(
        "the logs in 'short.log' reach over no whole window of w01h-s10m; expected logs of"
    )
    # Another way to write a window's name is another way to write it.
    found = read(tmp_path, at(*range(70)), "short.log", window="w10s-s01s")
    again = read(tmp_path, at(*range(70)), "short.log", window="w10s-s01s", include="<2024,2025)")
    assert found.frame.equals(again.frame)
    assert read(tmp_path, at(*range(300)), "short.log", window="w60s-s10s").frame.attrs == {
        "window": "w01m-s10s"
    }


def test_a_small_log_cannot_ask_for_endless_work(tmp_path):
    days = at(*(86_400 * day for day in range(0, 900, 3)))
    with pytest.raises(DataError) as caught:
        read(tmp_path, days, "spread.log", window="w10s-s01s")
    assert str(caught.value) == (
        "records on 300 days make 25,920,000 windows of w10s-s01s; expected at most 250,000. "
        "Choose a window with a longer slide, or leave days out."
    )
    apart = at(0, 5, 10, 86_400 * 4000, 86_400 * 4000 + 5)
    message = "34,568,640 windows between the first day and the last; expected at most 2,"
    with pytest.raises(RangeError, match=message), collected_warnings():
        read(tmp_path, apart, "apart.log", window="w10s-s10s")
    with collected_warnings() as heard:
        asked = {"window": "w10s-s10s", "include": "<2024-03-01,2024-03-02)"}
        assert len(read(tmp_path, apart, "a.log", **asked).frame) == 8640
    assert "the records jump from 2024-03-01 to 2035-02-12: did a clock?" in heard[0]


BAD = [
    (gzip.compress(bytes(300 << 20), 1, mtime=0), "bomb.gz", "holds more than fits"),
    (gzip.compress(b"a\tb\n" * 5, mtime=0), "a.gz", "no Zeek log"),
    (tsv("weird", [], fields=["ts", "uid"]).encode(), "weird.log", "no features"),
    (
        tsv("http", records("http")).encode(),
        "http.log",
        "the logs are of http; expected logs of conn, dns, ssh. Say with data_select_query which "
        "features to forecast, for example http|in#window_start,window_end.",
    ),
    (tsv("conn", []).encode(), "conn.log", "no record"),
    (b'{"a": 1}\n', "a.json", "JSON whose name is no protocol's"),
    (zipped(**{"..__conn.log": CONN_TSV}), "out.zip", "leads out of it"),
    (
        zipped(**{"conn.log.gz": gzip.compress(bytes(200 << 20), 1, mtime=0)}),
        "b.zip",
        "holds more than fits",
    ),
]


@pytest.mark.parametrize(("content", "name", "expected"), BAD)
def test_what_cannot_be_used_is_told(tmp_path, content, name, expected):
    with pytest.raises(DataError) as caught:
        read(tmp_path, content, name)
    assert expected in str(caught.value)


def test_tables_and_datapools_are_left_alone(tmp_path):
    for content in (b"", b"a,b\n1,2\n", b"window_start\ta\n", zipped(**{"readme.txt": b"x"})):
        path = tmp_path / "upload"
        path.write_bytes(content)
        assert (
            log_features(path, query=None, usual=config.DEFAULT_QUERY, window="w01h-s10m") is None
        )


@pytest.mark.network
def test_the_service_forecasts_logs_and_leaves_nothing(folder):
    answer = api.predict(data=an_upload(folder, zipped(**ALL), "logs.zip"))
    assert isinstance(answer, dict)
    assert answer["data"] == "upload"
    assert answer["data_select_query"] == config.DEFAULT_QUERY
    assert answer["columns"] == ["conn_in", "conn_out", "dns_in_distinct", "ssh_in"]
    with pytest.raises(ServiceError) as caught:
        api.predict(data=an_upload(folder, zipped(**ALL)[:-40], "logs.zip"))
    assert caught.value.status == 422
    assert list((folder / "uploads").iterdir()) == []
