"""How fast logs become features, beside `zcat | wc -l` and hand-written DuckDB SQL.

    python benchmarks/bench_features.py [--records 5000000] [--folder DIR] [--runs 3]
        [--days 2] [--window w01h-s01m] [--engine spark --master 'local[1]'] [--zat PYTHON]

Makes conn records of one day in 24 gzip files (kept in DIR and reused), then runs
each program in turn and prints medians, ratios and peak memory.  The numbers that
MODS writes are checked against DuckDB's: a fast wrong answer is no answer.  `--zat`
names a Python that has Zeek Analysis Tools (`pip install zat` in an environment of its
own): it only loads the same records, unpacked.

Floors: at most 1.5 times DuckDB SQL, at most 2.5 times `zcat | wc -l`, at most 2 GiB.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl

START = 1_559_347_200  # 2019-06-01
FIELDS = [
    "ts",
    "uid",
    "id.orig_h",
    "id.orig_p",
    "id.resp_h",
    "id.resp_p",
    "proto",
    "service",
    "duration",
    "orig_bytes",
    "resp_bytes",
    "conn_state",
    "local_orig",
    "local_resp",
    "missed_bytes",
    "history",
    "orig_pkts",
    "orig_ip_bytes",
    "resp_pkts",
    "resp_ip_bytes",
    "tunnel_parents",
]
TYPES = [
    "time",
    "string",
    "addr",
    "port",
    "addr",
    "port",
    "enum",
    "string",
    "interval",
    "count",
    "count",
    "string",
    "bool",
    "bool",
    "count",
    "string",
    "count",
    "count",
    "count",
    "count",
    "set[string]",
]
LETTERS = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))
PRIVATE = r"^(10\.|192\.168\.|172\.(1[6-9]|2[0-9]|3[01])\.)"


def hosts(rng: np.random.Generator, count: int, local: bool) -> pl.Series:
    parts = rng.integers(1, 255, (count, 4))
    if local:
        parts[:, 0], parts[:, 1] = 10, 1 + parts[:, 1] % 8
    else:
        parts[:, 0] = 20 + parts[:, 0] % 80
    return pl.Series([".".join(map(str, p)) for p in parts.tolist()])


def write_hour(job: tuple[Path, int, int, int]) -> None:
    path, day, hour, count = job
    rng = np.random.default_rng([day, hour])
    inside, outside = hosts(rng, 2_000, local=True), hosts(rng, 20_000, local=False)
    kind = rng.choice(4, count, p=[0.35, 0.45, 0.18, 0.02])
    near = inside.gather(rng.integers(0, 2_000, count))
    near2 = inside.gather(rng.integers(0, 2_000, count))
    far = outside.gather(np.minimum(rng.pareto(1, count) * 50, 19_999).astype(int))
    far2 = outside.gather(rng.integers(0, 20_000, count))
    in_, out, internal = (pl.Series(kind == n) for n in range(3))
    orig = pl.select(
        pl.when(in_).then(far).when(out | internal).then(near).otherwise(far2)
    ).to_series()
    resp = pl.select(pl.when(in_).then(near).when(internal).then(near2).otherwise(far)).to_series()
    ended = rng.random(count) < 0.7
    begin = START + 86400 * day + 3600 * hour
    ts = np.sort(rng.integers(0, 3600 * 10**6, count))
    unset = pl.Series(~ended)

    def numbers(mean: float) -> pl.Expr:
        drawn = pl.Series(rng.lognormal(mean, 2, count).astype(np.int64)).cast(pl.String)
        return pl.when(unset).then(pl.lit("-")).otherwise(drawn)

    duration = pl.Series((rng.lognormal(-1, 2, count) * 1e6).astype(np.int64))
    seconds = pl.format("{}.{}", duration // 10**6, (duration % 10**6).cast(pl.String).str.zfill(6))
    uid = pl.Series(LETTERS[rng.integers(0, 62, (count, 16))].view("<U16").ravel())
    port = pl.Series(rng.choice([53, 80, 443, 22, 123, 445, 8080], count))
    frame = pl.select(
        pl.format(
            "{}.{}",
            pl.Series(ts // 10**6 + begin),
            pl.Series(ts % 10**6).cast(pl.String).str.zfill(6),
        ),
        a=pl.format("C{}", uid),
        b=orig,
        c=pl.Series(rng.integers(1024, 65536, count)),
        d=resp,
        e=port,
        f=pl.Series(rng.choice(["tcp", "udp"], count)),
        g=pl.Series(rng.choice(["dns", "http", "ssl", "-"], count)),
        h=pl.when(unset).then(pl.lit("-")).otherwise(seconds),
        i=numbers(6),
        j=numbers(8),
        k=pl.Series(rng.choice(["SF", "S0", "REJ", "OTH"], count)),
        l=pl.lit("-"),
        m=pl.lit("-"),
        n=pl.lit("0"),
        o=pl.Series(rng.choice(["ShADadFf", "Dd", "S", "ShADaFf"], count)),
        p=pl.Series(rng.integers(1, 40, count)),
        q=pl.Series(rng.integers(40, 40_000, count)),
        r=pl.Series(rng.integers(0, 40, count)),
        s=pl.Series(rng.integers(0, 40_000, count)),
        t=pl.lit("-"),
    )
    head = "\n".join(
        [
            r"#separator \x09",
            "#set_separator\t,",
            "#empty_field\t(empty)",
            "#unset_field\t-",
            "#path\tconn",
            "#open\t2019-06-01-00-00-00",
            "\t".join(["#fields", *FIELDS]),
            "\t".join(["#types", *TYPES]),
        ]
    )
    body = frame.write_csv(separator="\t", include_header=False, quote_style="never")
    aside = path.with_suffix(".partial")
    with gzip.open(aside, "wb", compresslevel=5) as file:
        file.write(f"{head}\n{body}#close\t2019-06-01-01-00-00\n".encode())
    aside.replace(path)


def make_logs(folder: Path, records: int, days: int) -> None:
    jobs = []
    for day in range(days):
        for hour in range(24):
            name = f"conn.{hour:02d}:00:00-{(hour + 1) % 24:02d}:00:00.log.gz"
            path = folder / f"day-{day:02d}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            count = records * (hour + 1) // 24 - records * hour // 24
            if not path.exists():
                jobs.append((path, day, hour, count))
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(write_hour, jobs))


def timed(command: list[str]) -> tuple[tuple[float, float, float], str]:
    """Run a command; return its seconds, CPU seconds and peak MiB, and what it wrote to stdout."""
    begin = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out)
        _pid, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if status:
            raise SystemExit(f"{command[0]} ended with status {process.returncode}")
        out.seek(0)
        figures = (seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
        return figures, out.read().decode()


SQL = """
import sys, duckdb
logs, out, fields = sys.argv[1], sys.argv[2], sys.argv[3].split()
slide, slots = map(int, sys.argv[4:])
kinds = {"ts": "DOUBLE", "duration": "DOUBLE", "orig_bytes": "BIGINT", "resp_bytes": "BIGINT"}
columns = "{" + ", ".join(f"'{f}': '{kinds.get(f, 'VARCHAR')}'" for f in fields) + "}"
local = "regexp_matches(\\"{}\\", '^(10\\\\.|192\\\\.168\\\\.|172\\\\.(1[6-9]|2[0-9]|3[01])\\\\.)')"
duckdb.sql(f'''
  copy (
    with records as (
      select floor(ts / {slide})::bigint as slot,
             case when {local.format('id.orig_h')} then
               case when {local.format('id.resp_h')} then 2 else 1 end
             else case when {local.format('id.resp_h')} then 0 end end as direction,
             orig_bytes, resp_bytes, floor(duration * 1e6 + 0.5)::bigint as duration
      from read_csv({logs}, delim='\\t', comment='#', header=false, quote='', escape='',
                    nullstr='-', columns={columns}, auto_detect=false)),
    slots as (
      select slot, direction, sum(orig_bytes)::bigint as ob, sum(resp_bytes)::bigint as rb,
             sum(duration)::bigint as du, count(duration) as dn, count(*) as n
      from records where direction is not null group by all),
    ends as (select min(slot) as first, max(slot) - {slots} + 2 as stop from slots),
    grid as (select unnest(range(first, stop)) as start from ends),
    ways as (select unnest([0, 1, 2]) as direction)
    select start * {slide} as start, ways.direction,
           coalesce(sum(ob), 0)::bigint as ob, coalesce(sum(rb), 0)::bigint as rb,
           sum(du) / (sum(dn) * 1000000.0)::double as average, coalesce(sum(n), 0)::bigint as n
    from grid cross join ways left join slots
      on slots.direction = ways.direction and slot >= start and slot < start + {slots}
    group by start, ways.direction order by all) to '{out}' (format parquet)''')
"""


ZAT = """
import sys, warnings
warnings.simplefilter("ignore")
from zat.log_to_dataframe import LogToDataFrame
print(sum(len(LogToDataFrame().create_dataframe(log)) for log in sys.argv[1:]))
"""


def unpacked(folder: Path, days: list[str]) -> list[str]:
    """Unpack logs once, beside the packed ones, and return their paths."""
    paths = []
    for day in days:
        for packed in sorted(Path(day).glob("*.log.gz")):
            path = folder / f"unpacked-{packed.parent.name}" / packed.stem
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                with gzip.open(packed) as source, path.open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
            paths.append(str(path))
    return paths


def ours(pool: Path, window: str) -> pl.DataFrame:
    """Read back what MODS wrote, as DuckDB's table."""
    frame = pl.concat(
        pl.read_csv(p, separator="\t", quote_char=None, null_values='""', infer_schema_length=None)
        for p in sorted(pool.rglob(f"conn/**/{window}.tsv"))
    )
    start = (
        pl.col("window_start")
        .str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ")
        .dt.epoch("s")
        .alias("start")
    )
    parts = [
        frame.select(
            start,
            pl.lit(code).alias("direction"),
            *(
                pl.col(f"{way}_{name}").alias(short)
                for name, short in (
                    ("sum_orig_bytes", "ob"),
                    ("sum_resp_bytes", "rb"),
                    ("avg_duration", "average"),
                    ("count_uid", "n"),
                )
            ),
        )
        for code, way in enumerate(("in", "out", "internal"))
    ]
    return pl.concat(parts).filter(pl.col("n").is_not_null()).sort("start", "direction")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=5_000_000, help="records a day")
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--engine", default="polars", choices=["polars", "duckdb", "spark"])
    parser.add_argument("--master", help="the Spark cluster, with --engine spark")
    parser.add_argument("--zat", help="a Python with Zeek Analysis Tools, to measure beside")
    parser.add_argument("--window", default="w01h-s10m")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir(), "mods-bench"))
    options = parser.parse_args()
    logs = options.folder / f"conn-{options.records}"
    make_logs(logs, options.records, options.days)
    days = [str(logs / f"day-{day:02d}") for day in range(options.days)]
    mods = [sys.executable, "-m", "mods.cli", "features", *days, "--protocol", "conn", "--json"]
    mods += ["--window", options.window, "--engine", options.engine]
    mods += ["--master", options.master] if options.master else []
    from mods.timerange import Window

    window = Window.parse(options.window)
    figures: dict[str, list[tuple[float, float, float]]] = {
        "zcat": [],
        "duckdb_sql": [],
        "mods": [],
    }
    zat = {}
    if options.zat:
        figures["zat_loads"] = []
        zat["zat_loads"] = [options.zat, "-c", ZAT, *unpacked(logs, days)]
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        table, pool = Path(scratch, "sql.parquet"), Path(scratch, "pool")
        globs = [f"{day}/*.log.gz" for day in days]
        sql = [sys.executable, "-c", SQL, str(globs), str(table), " ".join(FIELDS)]
        sql += [str(window.slide), str(window.slots)]
        for _ in range(options.runs):
            for name, command in {
                "zcat": ["sh", "-c", f"zcat {' '.join(globs)} | wc -l"],
                "duckdb_sql": sql,
                "mods": [*mods, "--out", str(pool), "--force"],
                **zat,
            }.items():
                measured, told = timed(command)
                figures[name].append(measured)
                if name == "zcat":
                    lines = int(told)
                elif name == "mods":
                    report = json.loads(told)
        expected = pl.read_parquet(table)
        found = ours(pool, options.window).select(expected.columns).cast(expected.schema)
        equal = found.equals(expected)
    document: dict[str, object] = {
        "records": sum(p["rows"] for p in report["protocols"].values()),
        "lines": lines,
        "equal_numbers": equal,
    }
    seconds = {n: statistics.median(r[0] for r in runs) for n, runs in figures.items()}
    processor = {n: statistics.median(r[1] for r in runs) for n, runs in figures.items()}
    for name, runs in figures.items():
        document[name] = {
            "seconds": round(seconds[name], 2),
            "cpu_seconds": round(processor[name], 2),
            "peak_mib": round(max(peak for _, _, peak in runs)),
        }
    for name in ("zcat", "duckdb_sql", *zat):
        document[f"times_{name}"] = round(seconds["mods"] / seconds[name], 2)
        document[f"times_{name}_cpu"] = round(processor["mods"] / processor[name], 2)
    print(json.dumps(document, indent=2))
    if not equal:
        raise SystemExit("the numbers differ from DuckDB's")


if __name__ == "__main__":
    main()
