"""Every engine gives equal numbers: those of the plainest loop."""

from __future__ import annotations

import importlib.util
import ipaddress
import shutil
import socket
import subprocess
import tempfile
import warnings
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mods.dataset.direction import Hosts
from mods.dataset.make_dataset import make_dataset
from mods.errors import ConfigError, ModsWarning, NotFoundError
from mods.tests import zeek_writer as writer
from mods.tests.sensor_maker import assert_agrees
from mods.tests.test_windows import logs, records


@settings(
    max_examples=8,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(logs=logs, windows=st.sampled_from([["w10m-s02m", "w02h-s01h"], ["w01h-s10m"]]))
def test_duckdb_equals_the_plain_loop(logs, windows):
    pytest.importorskip("duckdb")
    with tempfile.TemporaryDirectory() as folder:
        check("duckdb", logs, windows, Path(folder))


def check(engine, logs, windows, folder, **options):
    for name, made in logs.items():
        writer.write(folder / f"logs/{name}.log", writer.tsv(name, made))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModsWarning)
        summary = make_dataset(
            [folder / "logs"],
            folder / "pool",
            windows=windows,
            protocols=records,
            engine=engine,
            progress=False,
            **options,
        )
    assert_agrees(folder / "pool", logs, records, windows)
    assert sum(summary.counts.rows.values()) == sum(map(len, logs.values()))
    return summary


HOSTS = ["10.1.1.1", "10.2.2.2", "2001:db8:0:1::5", "2001:db8::2:5", "192.0.2.7", "fe80::1"]


def mixed():
    """Records whose networks only `ipaddress` can tell, with ports to filter by."""
    made = [
        {
            "ts": 1_559_347_200_000_000 + n * 71_000_000,
            "id.orig_h": HOSTS[n % 6],
            "id.orig_p": 1000 + n % 3,
            "id.resp_h": HOSTS[(n * n + 1) % 6],
            "id.resp_p": 53,
            "orig_bytes": n,
            "duration": n * 10,
            "query": f"q{n % 11}",
            "proto": "udp",
            "AA": n % 2 == 0,
        }
        for n in range(200)
    ]
    return {"conn": made[::2], "dns": made[1::2]}


def options():
    return {
        "local_nets": ["10.0.0.0/8", "2001:db8:0:1::/64"],
        "allow": ["10.0.0.0/8", "2001:db8::2:0/112"],
        "never": [":1002", "192.0.2.7"],
        "time_range": "<2019-06-01T00:30,2019-06-02)",
    }


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_filters_ranges_and_hidden_networks(tmp_path, engine):
    pytest.importorskip("duckdb")
    assert_filtered(tmp_path, engine)


def assert_filtered(folder, engine, **more):
    source = mixed()
    for name, made in source.items():
        writer.write(folder / f"logs/{name}.log", writer.tsv(name, made))
    summary = make_dataset(
        [folder / "logs"], folder / "pool", engine=engine, progress=False, **options(), **more
    )
    begin = 1_559_347_200_000_000 + 1_800_000_000

    def taken(record):
        ends = {record["id.orig_h"], record["id.resp_h"]}
        allowed = ends & {"10.1.1.1", "10.2.2.2", "2001:db8::2:5"}
        return allowed and "192.0.2.7" not in ends and record["id.orig_p"] != 1002

    inside = {n: [r for r in made if r["ts"] >= begin] for n, made in source.items()}
    kept = {n: [r for r in made if taken(r)] for n, made in inside.items()}
    counts = summary.counts
    for name in source:
        assert counts.rows[name] == 100
        assert counts.out_of_range[name] == 100 - len(inside[name])
        assert counts.left_out[name] == len(inside[name]) - len(kept[name])
    # what the rules leave out still shows that the sensor was observing
    observing = [{**r, "id.orig_h": None} for r in inside["conn"] if not taken(r)]
    observing += [{**r, "id.orig_h": None} for r in inside["dns"] if not taken(r)]
    logs = {**kept, "ssh": observing}
    nets = options()["local_nets"]
    assert_agrees(folder / "pool", logs, ["conn", "dns"], ["w01h-s10m"], nets)


@given(
    network=st.ip_addresses().flatmap(
        lambda address: st.integers(0, address.max_prefixlen).map(
            lambda length: ipaddress.ip_network((address, length), strict=False)
        )
    ),
    data=st.data(),
)
def test_the_pattern_of_a_network_matches_its_hosts_and_no_other(network, data):
    """Read by Rust's regular expressions, as Polars does, beside `ipaddress`."""
    size = network.num_addresses - 1
    inside = [str(network[data.draw(st.integers(0, size))]) for _ in range(3)]
    beside = [str(data.draw(st.ip_addresses())) for _ in range(3)]
    edges = [str(network[0]), str(network[-1])]
    hosts = Hosts.of([network])
    texts = pl.Series([*inside, *beside, *edges])
    expected = [ipaddress.ip_address(text) in network for text in texts]
    if not hosts.hidden:
        assert texts.str.contains(hosts.pattern).to_list() == expected
    assert [hosts.contains(text) for text in texts] == expected


def test_an_unknown_engine_is_told(tmp_path):
    writer.write(tmp_path / "conn.log", writer.tsv("conn", mixed()["conn"]))
    with pytest.raises(ConfigError, match="engine 'polar'; expected one of polars, duckdb, spark"):
        make_dataset([tmp_path / "conn.log"], tmp_path / "pool", engine="polar")


def test_an_address_needs_spark(tmp_path):
    with pytest.raises(ConfigError, match=r"'hdfs://node/zeek' with the engine 'polars'; expect"):
        make_dataset(["hdfs://node/zeek"], tmp_path / "pool")
    with pytest.raises(ConfigError, match=r"'hdfs://node/pool' with the engine 'duckdb'; expect"):
        make_dataset([tmp_path], "hdfs://node/pool", engine="duckdb")
    assert not (tmp_path / "pool").exists()


class TestSpark:
    """Where PySpark and Java are installed."""

    @pytest.fixture(autouse=True)
    def spark(self, monkeypatch):
        if importlib.util.find_spec("pyspark") is None or shutil.which("java") is None:
            pytest.skip("PySpark or Java is not installed")
        monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")

    @pytest.mark.slow
    @pytest.mark.timeout(900)
    @pytest.mark.filterwarnings("ignore")  # PySpark's own, of pandas 3 and sockets left open
    def test_it_equals_the_others(self, tmp_path):
        assert_filtered(tmp_path, "spark", master="local[2]")

    @pytest.mark.slow
    @pytest.mark.timeout(900)
    @pytest.mark.filterwarnings("ignore")
    def test_logs_at_addresses_of_a_hadoop_file_system(self, tmp_path):
        """By address, as on HDFS: gz files in directories, beside what is no log."""
        source = mixed()
        for name, records_of in source.items():
            for part in range(3):
                text = writer.tsv(name, records_of[part::3])
                writer.write(tmp_path / f"logs/day-{part}/{name}.log.gz", text, pack=True)
        writer.write(tmp_path / "logs/day-0/conn.log", writer.tsv("conn", source["conn"][::3]))
        writer.write(tmp_path / "logs/notes.txt", "no log")
        address = f"file://{tmp_path}/logs"

        def made():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ModsWarning)
                return make_dataset(
                    [address],
                    tmp_path / "pool",
                    engine="spark",
                    master="local[2]",
                    progress=False,
                )

        summary = made()
        assert summary.counts.rows == {"conn": 100, "dns": 100}
        assert sorted((path.name, why) for path, why in summary.not_used) == [
            ("conn.log.gz", "conn.log lies unpacked beside it"),
            ("notes.txt", "no Zeek log"),
        ]
        whole = {**source, "ssh": []}
        assert_agrees(tmp_path / "pool", whole, ["conn", "dns", "ssh"], ["w01h-s10m"])
        assert made().written == []

        pool = f"file://{tmp_path}/by-day"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ModsWarning)
            for _ in range(2):  # the second run replaces the days
                told = make_dataset([address], pool, engine="spark", progress=False).text
        assert told.endswith(f"files written in {pool}")
        for protocol in ("conn", "dns"):
            path = f"{protocol}/2019/06/01/w01h-s10m.tsv"
            day = tmp_path / "by-day" / protocol / "w01h-s10m" / "day=2019-06-01"
            stored = pl.concat(pl.read_parquet(part) for part in day.glob("*.parquet"))
            written = pl.read_csv(tmp_path / "pool" / path, separator="\t", infer_schema=False)
            columns = written.columns[2:]
            assert stored.columns == written.columns
            stored = stored.sort("window_start").select(columns)
            assert stored.equals(written.select(pl.col(columns).replace("", None).cast(pl.Float64)))
        with pytest.raises(NotFoundError, match="cannot list 'file:///nowhere/zeek'"):
            make_dataset(["file:///nowhere/zeek"], tmp_path / "pool", engine="spark")

    @pytest.mark.slow
    @pytest.mark.timeout(900)
    @pytest.mark.filterwarnings("ignore")
    def test_a_standalone_cluster_of_two_workers(self, tmp_path):
        """As `docs/howto/cluster.md` shows it, with the programs that PySpark brings."""
        import pyspark

        program = Path(pyspark.__file__).parent / "bin" / "spark-class"
        deploy = "org.apache.spark.deploy"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        master = f"spark://127.0.0.1:{port}"
        place = ["--host", "127.0.0.1", "--webui-port", "0"]
        worker = [f"{deploy}.worker.Worker", *place, "--cores", "1", "--memory", "1g"]
        running = []
        try:
            for number, arguments in enumerate(
                [
                    [f"{deploy}.master.Master", *place, "--port", str(port)],
                    [*worker, "--work-dir", str(tmp_path / "work-1"), master],
                    [*worker, "--work-dir", str(tmp_path / "work-2"), master],
                ]
            ):
                with (tmp_path / f"{number}.log").open("w") as told:
                    command = [str(program), *arguments]
                    running.append(subprocess.Popen(command, stdout=told, stderr=told))
            assert_filtered(tmp_path, "spark", master=master)
            workers = [path for path in tmp_path.glob("work-*") if any(path.iterdir())]
            assert len(workers) == 2
        finally:
            for process in reversed(running):
                process.terminate()
                process.wait()


def test_spark_without_java_is_told(monkeypatch):
    from mods.dataset import engine_spark

    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(
        ConfigError, match="Spark needs Java, and there is none; expected Java 17 or later"
    ):
        engine_spark._check_java()


def test_spark_without_pyspark_is_told(monkeypatch):
    import sys

    from mods.dataset import engine_spark

    monkeypatch.setitem(sys.modules, "pyspark", None)
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(ConfigError, match="the engine 'spark' is not installed"):
        engine_spark._session(None)
