"""Logs of a small sensor, the datapool made of them, and that it holds what the oracle says."""

from __future__ import annotations

import csv
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mods.dataset.make_dataset import make_dataset
from mods.errors import ModsWarning
from mods.tests import feature_oracle as oracle
from mods.tests import zeek_writer as writer
from mods.timerange import Window

DAY = 1_559_347_200_000_000  # 2019-06-01
SECOND = 1_000_000
MINUTE = 60 * SECOND


def conn(ts, **fields):
    record = {"ts": ts, "id.orig_h": "8.8.8.8", "id.orig_p": 1, "id.resp_h": "10.0.0.1"}
    return {**record, "id.resp_p": 80, **fields}


def sensor(folder: Path, days: range, hours: int = 24) -> dict[str, list]:
    """Write hourly logs of a small sensor; return all records."""
    logs: dict[str, list] = {"conn": [], "dns": []}
    for day in days:
        for hour in range(hours):
            begin = DAY + (day * 24 + hour) * 60 * MINUTE
            some = [conn(begin + n * 7 * MINUTE, orig_bytes=n + day + hour) for n in range(9)]
            asked = [
                {**conn(begin + n * 11 * MINUTE), "query": f"{(n * hour) % 5}.example"}
                for n in range(6)
            ]
            for name, records in (("conn", some), ("dns", asked)):
                path = folder / f"day-{day}/{name}.{hour:02d}:00:00-{hour + 1:02d}:00:00.log.gz"
                if not path.exists():
                    writer.write(path, writer.tsv(name, records), pack=True)
                logs[name] += records
    return logs


def make(logs, out, **options):
    """Return the summary of a datapool that is made, and the warnings."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ModsWarning)
        summary = make_dataset(logs, out, progress=False, **options)
    return summary, [str(w.message) for w in told]


def tree(pool: Path) -> dict[str, bytes]:
    """Return the tables of a datapool with their bytes."""
    return {
        path.relative_to(pool).as_posix(): path.read_bytes()
        for path in sorted(pool.rglob("*.tsv"))
        if not path.name.startswith(".")
    }


def read_pool(pool: Path, protocol: str, window: str):
    """Read a datapool as the oracle gives it: `{day: [(window_start, {column: value})]}`."""
    table = {}
    for path in sorted((pool / protocol).rglob(f"{window}.tsv")):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        day = path.parent.relative_to(pool / protocol).as_posix()
        table[day] = [
            (
                row["window_start"],
                {
                    name: None
                    if cell in ("", '""')
                    else float(cell)
                    if "avg" in name
                    else int(cell)
                    for name, cell in row.items()
                    if name not in ("window_start", "window_end")
                },
            )
            for row in rows
        ]
    return table


def stamp(microseconds: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def assert_agrees(pool: Path, logs, protocols, windows, nets=oracle.PRIVATE) -> None:
    for name in windows:
        window = Window.parse(name)
        for protocol in protocols:
            expected = oracle.features(
                logs, protocol, window.length * SECOND, window.slide * SECOND, nets
            )
            as_text = {
                day: [(stamp(start), row) for start, row in rows] for day, rows in expected.items()
            }
            found = read_pool(pool, protocol, name)
            assert found.keys() == as_text.keys()
            for day, rows in as_text.items():
                assert found[day] == rows, (protocol, name, day)
