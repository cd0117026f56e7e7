"""Windowed features agree exactly with the plainest loop over records and windows."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mods.dataset.make_dataset import make_dataset
from mods.errors import ModsWarning
from mods.tests import zeek_writer as writer
from mods.tests.sensor_maker import DAY, MINUTE, SECOND, assert_agrees, conn, read_pool

HOSTS = [
    "10.0.0.1",
    "10.255.0.9",
    "172.15.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "172.32.0.0",
    "192.168.1.1",
    "192.169.1.1",
    "8.8.8.8",
    "110.0.0.1",
    "100.64.0.1",
    "100.128.0.1",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "fd12:3456::1",
    "::1",
    "::2",
    "2001:db8::1",
]


# Times on the edges of windows and around them, dense and far apart, over two midnights.
times = st.one_of(
    st.integers(0, 400).map(lambda n: DAY + 22 * 3600 * SECOND + n * MINUTE),
    st.integers(0, 400).map(lambda n: DAY + 22 * 3600 * SECOND + n * MINUTE - 1),
    st.integers(0, 24_000 * SECOND).map(lambda n: DAY + 22 * 3600 * SECOND + n),
    st.integers(0, 2 * 86400).map(lambda n: DAY + n * SECOND),
)
hosts = st.sampled_from(HOSTS)
base = {
    "ts": times,
    "uid": st.just("C1"),
    "id.orig_h": hosts,
    "id.orig_p": st.sampled_from([1, 53, 5060, 65535]),
    "id.resp_h": hosts,
    "id.resp_p": st.sampled_from([53, 5060]),
}
numbers = st.none() | st.integers(0, 1 << 40)
flags = st.none() | st.booleans()
words = st.none() | st.sampled_from(
    ["", "a.example", "A.example", "b.example", "ü.example", "-x", '"q']
)
records = {
    "conn": st.fixed_dictionaries(
        {
            **base,
            "duration": st.none() | st.integers(0, 10**10),
            "orig_bytes": numbers,
            "resp_bytes": numbers,
        }
    ),
    "dns": st.fixed_dictionaries(
        {
            **base,
            "proto": st.sampled_from(["udp", "tcp", None]),
            "query": words,
            **dict.fromkeys(("AA", "RA", "RD", "TC", "rejected"), flags),
        }
    ),
    "sip": st.fixed_dictionaries({**base, "user_agent": words}),
    "ssh": st.fixed_dictionaries(base),
}
logs = st.fixed_dictionaries(
    {name: st.lists(record, max_size=40) for name, record in records.items()}
).filter(lambda made: any(made.values()))
WINDOWS = ["w01h-s10m", "w10m-s01m", "w02h-s01h", "w06m-s02m"]


@settings(
    max_examples=30,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    logs=logs,
    doubled=st.booleans(),
    form=st.sampled_from(["tsv", "json", "iso"]),
    windows=st.lists(st.sampled_from(WINDOWS), min_size=1, max_size=2, unique=True),
)
def test_features_equal_those_of_the_plain_loop(logs, doubled, form, windows):
    if doubled:
        logs = {name: made + made[::2] for name, made in logs.items()}
    with tempfile.TemporaryDirectory() as folder:
        source, pool = Path(folder, "logs"), Path(folder, "pool")
        for name, made in logs.items():
            half = len(made) // 2
            for number, part in enumerate((made[half:], made[:half])):
                if form == "tsv":
                    content = writer.tsv(name, part)
                else:
                    content = writer.json_lines(name, part, iso=form == "iso")
                writer.write(source / f"{name}.{number}.log.gz", content, pack=number == 1)
        with warnings.catch_warnings():
            # few records make no whole window, or leave days between them
            warnings.simplefilter("ignore", ModsWarning)
            make_dataset([source], pool, windows=windows, protocols=records, progress=False)
        assert_agrees(pool, logs, records, windows)


def test_a_record_on_the_exact_edge_belongs_to_the_window_that_starts_there(tmp_path):
    hour = DAY + 3600 * SECOND
    logs = {"conn": [conn(hour - 1), conn(hour), conn(hour + 3600 * SECOND - 1)]}
    writer.write(tmp_path / "logs/conn.log", writer.tsv("conn", logs["conn"]))
    make_dataset([tmp_path / "logs"], tmp_path / "pool", windows=["w01h-s01h"], progress=False)
    rows = read_pool(tmp_path / "pool", "conn", "w01h-s01h")["2019/06/01"]
    assert [row["in_count_uid"] for _start, row in rows[:3]] == [1, 2, None]


def test_both_ends_are_missing_and_a_quiet_protocol_is_zero(tmp_path):
    """A sensor that logs a connection each five minutes from midnight to midnight."""
    made = [conn(DAY + n * 5 * MINUTE + 7) for n in range(288)]
    writer.write(tmp_path / "logs/2019-06-01/conn.log", writer.tsv("conn", made))
    summary = make_dataset([tmp_path / "logs"], tmp_path / "pool", progress=False)
    rows = read_pool(tmp_path / "pool", "ssh", "w01h-s10m")["2019/06/01"]
    values = [row["in"] for _start, row in rows]
    assert values == [0] * 139 + [None] * 5
    assert rows[139][0] == "2019-06-01T23:10:00.000Z"
    assert summary.windows == {"w01h-s10m": (144, 139)}
    averages = read_pool(tmp_path / "pool", "conn", "w01h-s10m")["2019/06/01"]
    assert averages[0][1]["in_count_uid"] == 12
    assert averages[0][1]["in_avg_duration"] is None
    assert averages[0][1]["out_count_uid"] == 0


def test_an_outage_is_missing_and_a_quiet_hour_is_not(tmp_path):
    """Silent from 02:00 to 03:00, then observing, then dead from 06:00 to 09:00."""
    minutes = [m for m in range(24 * 60) if not 120 < m < 180 and not 360 <= m < 540]
    made = [conn(DAY + m * MINUTE) for m in minutes]
    writer.write(tmp_path / "logs/conn.log", writer.tsv("conn", made))
    make_dataset([tmp_path / "logs"], tmp_path / "pool", windows=["w10m-s01m"], progress=False)
    rows = read_pool(tmp_path / "pool", "conn", "w10m-s01m")["2019/06/01"]
    counts = [row["in_count_uid"] for _start, row in rows]
    assert counts[121:171] == [0] * 50
    assert counts[350] == 10
    assert counts[351:540] == [None] * 189
    assert counts[540] == 10
    assert counts[1430] == 10
    assert counts[1431:] == [None] * 9


def test_windows_do_not_depend_on_which_others_are_made(tmp_path):
    made = [conn(DAY + n * 977 * SECOND, orig_bytes=n) for n in range(80)]
    writer.write(tmp_path / "logs/conn.log", writer.tsv("conn", made))
    make_dataset([tmp_path / "logs"], tmp_path / "one", windows=["w01h-s10m"], progress=False)
    both = ["w10m-s01m", "w01h-s10m"]
    make_dataset([tmp_path / "logs"], tmp_path / "two", windows=both, progress=False)
    path = "conn/2019/06/01/w01h-s10m.tsv"
    assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()


@pytest.mark.parametrize("limit", [1, 1 << 27])
def test_memory_that_overflows_to_disk_changes_no_number(tmp_path, monkeypatch, limit):
    import functools

    from mods.dataset import engine_polars as module
    from mods.dataset.facts import FactStore

    monkeypatch.setattr(module, "FactStore", functools.partial(FactStore, limit=limit))
    monkeypatch.setattr(module, "_TOGETHER", 150)
    made = [
        {**conn(DAY + n * 503 * SECOND), "query": f"{n % 7}.example", "proto": "udp", "AA": n > 9}
        for n in range(400)
    ]
    logs = {"dns": made[1::2] + made[::2]}
    for number in range(4):
        part = logs["dns"][number * 100 : number * 100 + 100]
        writer.write(tmp_path / f"logs/dns.{number}.log", writer.tsv("dns", part))
    make_dataset([tmp_path / "logs"], tmp_path / "pool", windows=["w01h-s10m"], progress=False)
    assert_agrees(tmp_path / "pool", logs, ["dns"], ["w01h-s10m"])
    assert not list((tmp_path / "pool").glob(".facts*"))
