"""The Spark engine: executors read the logs with the same reader, into the same expressions.

Executors open the logs themselves, so these lie on a file system that all workers share, or
at an address of a Hadoop file system, from which Spark brings them; and the workers' Python
has this package.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess  # nosec B404
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import narwhals as nw
import polars as pl

from mods.dataset.engine import CollectedFacts, days_of, note
from mods.dataset.hadoop import (
    HadoopFile,
    copy_there,
    exists,
    is_address,
    list_files,
    write_by_day,
)
from mods.dataset.plan import DaysTouched, Plan
from mods.dataset.protocols import FIELDS, Protocol
from mods.dataset.records import Reject, empty_records
from mods.dataset.windows import Lazy
from mods.dataset.zeek import Log, ReadLog, recognise
from mods.errors import ConfigError

__all__ = ["SparkFacts"]

#: Beside the fields: `protocol`, and `note`, a JSON text, on the one row that tells of a file.
_ALL = (*FIELDS, "protocol", "note")


class SparkFacts(CollectedFacts):
    """The facts that Spark makes of the records.

    Parameters
    ----------
    plan
        What is to be made.
    master
        The cluster; by default that of `spark-submit`, else the cores of this computer.

    Raises
    ------
    ConfigError
        Where PySpark or Java is not installed, or the cluster cannot be reached.
    """

    def __init__(self, plan: Plan, master: str | None = None) -> None:
        super().__init__(plan)
        self._session, self._own = _session(master)
        self._parts: list[Any] = []

    def find(self, addresses: Sequence[str]) -> list[Log]:
        """Return the files at addresses; what each is shows when it is read."""
        files = list_files(self._session, addresses)
        return [Log(file, "unknown", "", size, changed) for file, size, changed in files]

    def exists(self, name: str) -> bool:
        """Tell whether a log, by its absolute path or address, is still there."""
        return exists(self._session, name) if is_address(name) else super().exists(name)

    def deliver(self, pool: Path, protocols: Sequence[Protocol], address: str) -> None:
        """Write the features of a datapool to an address, as Parquet partitioned by day."""
        for protocol in protocols:
            for window in self.plan.windows:
                place = f"{address.rstrip('/')}/{protocol.name}/{window.name}"
                write_by_day(self._session, pool, protocol.name, window.name, place)
        rejects = pool / "rejects.tsv"
        if rejects.is_file():
            copy_there(self._session, rejects, f"{address.rstrip('/')}/{rejects.name}")

    def read(self, logs: Sequence[Log], progress: Callable[[int], object]) -> DaysTouched:
        """Read logs on the executors; their records stay there."""
        days: DaysTouched = {log.path: set() for log in logs}
        by_name = {str(log.path): log for log in logs}
        here = [log for log in logs if isinstance(log.path, Path)]
        there = [str(log.path) for log in logs if isinstance(log.path, HadoopFile)]
        parts = ([self._shared(here)] if here else []) + ([self._brought(there)] if there else [])
        for part in parts:
            for (text,) in part.where("note is not null").select("note").collect():
                told = json.loads(text)
                log = by_name[told["path"]]
                days[log.path] = set(told["days"])
                if told["other"]:
                    self.counts.others.append((log.path, told["other"]))
                else:
                    self._count(log, told)
                progress(log.size)
        self._parts += parts
        return days

    def _shared(self, logs: Sequence[Log]) -> Any:
        """Return the records of logs that the executors open themselves."""
        rows = [(str(log.path), log.format, log.protocol, log.size, log.changed) for log in logs]
        context = self._session.sparkContext
        tasks = min(len(rows), max(4 * context.defaultParallelism, 1))
        listed = self._session.createDataFrame(
            rows, "path string, format string, protocol string, size long, changed long"
        ).repartition(tasks)
        return listed.mapInArrow(functools.partial(_read, plan=self.plan), _schema()).persist()

    def _brought(self, addresses: list[str]) -> Any:
        """Return the records of files that Spark brings from a Hadoop file system."""
        files = self._session.read.format("binaryFile").load(addresses).select("path", "content")
        return files.mapInArrow(functools.partial(_unpack, plan=self.plan), _schema()).persist()

    def _count(self, log: Log, told: dict[str, Any]) -> None:
        reading = ReadLog(log, self.plan.wanted)
        reading.damage = told["damage"]
        reading.lacking = {(protocol, name) for protocol, name in told["lacking"]}
        note(self.counts, reading, told["rows"], [Reject(*reject) for reject in told["kept"]])
        self.counts.rows.update(told["rows"])
        self.counts.rejects.update(told["rejects"])
        self.rows += sum(told["rows"].values())

    def _times(self) -> Lazy | None:
        if not self._parts:
            return None
        times: Lazy = nw.from_native(self._whole().select("ts"))
        return times

    def _relation(self, protocol: str) -> Lazy:
        fields = self.plan.wanted[protocol]
        records = self._whole().where(f"protocol = '{protocol}'").select(*fields)
        relation: Lazy = nw.from_native(records)
        return relation

    def _whole(self) -> Any:
        whole = functools.reduce(lambda one, other: one.unionAll(other), self._parts)
        return whole.where("note is null")

    def _keep(self, relation: Lazy, name: str) -> Lazy:
        kept: Lazy = nw.from_native(relation.to_native().persist())
        return kept

    def close(self) -> None:
        """Let go of the records, and of the cluster where this run asked for it."""
        for part in self._parts:
            part.unpersist()
        if self._own:
            self._session.stop()


def _read(batches: Iterator[Any], plan: Plan) -> Iterator[Any]:
    """Read the logs that a task was given: Arrow batches of rows, and one that tells of each."""
    for batch in batches:
        for row in batch.to_pylist():
            log = Log(
                Path(row["path"]), row["format"], row["protocol"], row["size"], row["changed"]
            )
            yield from _read_log(log, row["path"], plan)


def _unpack(batches: Iterator[Any], plan: Plan) -> Iterator[Any]:
    """Read files that came as their whole content, as `_read` does."""
    for batch in batches:
        for row in batch.to_pylist():
            with tempfile.TemporaryDirectory(prefix="mods-") as folder:
                copy = Path(folder, HadoopFile(row["path"]).name)
                copy.write_bytes(row["content"])
                log = recognise(copy)
                if isinstance(log, Log):
                    yield from _read_log(log, row["path"], plan)
                else:
                    yield _told({"path": row["path"], "other": log, "days": []})


def _read_log(log: Log, name: str, plan: Plan) -> Iterator[Any]:
    reading = ReadLog(log, plan.wanted)
    told: dict[str, Any] = {"path": name, "other": "", "rows": {}, "rejects": {}, "kept": []}
    days: set[int] = set()
    for block in reading:
        protocol = block.protocol
        told["rows"][protocol] = told["rows"].get(protocol, 0) + block.records.height
        told["rejects"][protocol] = told["rejects"].get(protocol, 0) + block.rejects.count
        told["kept"] += [
            (reject.line, reject.reason, reject.text) for reject in block.rejects.kept
        ][: 1000 - len(told["kept"])]
        days |= days_of(block.records, plan)
        yield from _batches(block.records.with_columns(protocol=pl.lit(protocol)))
    told |= {"damage": reading.damage, "lacking": sorted(reading.lacking)}
    yield _told(told | {"days": sorted(days)})


def _told(told: dict[str, Any]) -> Any:
    """Return the row that tells of a file."""
    (batch,) = _batches(pl.DataFrame({"note": [json.dumps(told)]}))
    return batch


def _batches(rows: pl.DataFrame) -> Iterator[Any]:
    """Yield rows as Arrow batches with all of the columns, in Spark's types."""
    import pyarrow

    schema = _empty().schema
    whole = rows.select(
        pl.col(name) if name in rows.columns else pl.lit(None, kind).alias(name)
        for name, kind in schema.items()
    ).cast(schema)
    table = whole.to_arrow()
    # Polars' strings are large ones; Spark knows the plain kind only
    plain = {pl.Int64: pyarrow.int64(), pl.Boolean: pyarrow.bool_(), pl.String: pyarrow.string()}
    target = pyarrow.schema([(name, plain[type(kind)]) for name, kind in schema.items()])
    yield from table.cast(target).to_batches(max_chunksize=50_000)


def _empty() -> pl.DataFrame:
    return empty_records(FIELDS).with_columns(
        protocol=pl.lit(None, pl.String), note=pl.lit(None, pl.String)
    )


def _schema() -> str:
    types = {pl.Int64: "long", pl.Boolean: "boolean", pl.String: "string"}
    return ", ".join(f"{name} {types[type(kind)]}" for name, kind in _empty().schema.items())


def _session(master: str | None) -> tuple[Any, bool]:
    """Return the Spark session, and whether it was made here."""
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise ConfigError(
            "the engine 'spark' is not installed", mend="Install it with: pip install 'mods[spark]'"
        ) from None
    running = SparkSession.getActiveSession()
    if running is not None:
        return running, False
    _check_java()
    # executors run this very Python, which has the package
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = (
        SparkSession.builder.appName("mods features")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "16")
    )
    if master is not None:
        builder = builder.master(master)
    elif "spark.master" not in os.environ.get("PYSPARK_SUBMIT_ARGS", ""):
        builder = builder.master("local[*]")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PySpark warns of pandas 3
            session = builder.getOrCreate()
    except Exception as error:
        raise ConfigError(
            f"Spark does not start on {master or 'this computer'}: {str(error).splitlines()[0]}",
            mend="Check the address of the cluster and that it is running.",
        ) from error
    session.sparkContext.setLogLevel("ERROR")
    return session, True


def _check_java() -> None:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java") if home is None else str(Path(home, "bin", "java"))
    expected, mend = (
        "Java 17 or later",
        "Install it, for example: apt install openjdk-17-jre-headless",
    )
    try:
        told = subprocess.run(  # noqa: S603  # nosec B603
            [java or "java", "-version"], capture_output=True, text=True, check=True
        ).stderr
    except (OSError, subprocess.CalledProcessError):
        raise ConfigError("Spark needs Java, and there is none", expected, mend) from None
    version = told.split('"')[1].split(".")[0] if '"' in told else "0"
    if int(version.split("-")[0]) < 17:
        raise ConfigError(f"Spark needs Java, and this is Java {version}", expected, mend)
