"""Simulating a network into a directory of Zeek logs."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from tqdm import tqdm

from mods.dataset.simulate.flows import DAY, MINUTE
from mods.dataset.simulate.network import Network
from mods.dataset.simulate.writer import log_name, tsv_footer, tsv_header, tsv_lines, write_log

__all__ = ["DEFAULT_START", "SimulationSummary", "simulate"]

DEFAULT_START = "2024-03-04"  # a Monday
HOUR = 60 * MINUTE
_SPANS = {"hour": HOUR, "day": DAY}


@dataclass(frozen=True)
class SimulationSummary:
    """What a simulation has written."""

    out: str
    start: str
    days: int
    seed: int
    records: dict[str, int]
    files: int
    seconds: float

    @property
    def document(self) -> dict[str, Any]:
        """The summary as one JSON document."""
        return asdict(self)


def simulate(
    out: Path | str,
    *,
    days: int = 21,
    start: str = DEFAULT_START,
    seed: int = 0,
    rate: float = 80_000,
    gzip: bool = False,
    rotate: str = "hour",
    progress: bool = False,
) -> SimulationSummary:
    """Write the Zeek logs of a simulated network."""
    began = time.perf_counter()
    out = Path(out)
    network = Network(date.fromisoformat(start), seed=seed, rate=rate)
    out.mkdir(parents=True, exist_ok=True)
    records: dict[str, int] = {}
    files = 0
    for day in tqdm(
        range(days), unit="day", desc="simulate", file=sys.stderr, disable=not progress
    ):
        tables = network.records(day)
        for protocol, table in tables.items():
            records[protocol] = records.get(protocol, 0) + len(table)
        files += _write_day(out, network, day, tables, gzip, rotate)
    return SimulationSummary(
        str(out), start, days, seed, records, files, time.perf_counter() - began
    )


def _write_day(
    out: Path, network: Network, day: int, tables: dict[str, pl.DataFrame], gzip: bool, rotate: str
) -> int:
    folder = out / (network.start + timedelta(days=day)).isoformat()
    partial = out / f".{folder.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    written = 0
    suffix = ".log.gz" if gzip else ".log"
    for protocol, table in tables.items():
        lines = tsv_lines(table, protocol)
        for first, last, part in _parts(table, lines, network.midnight(day), _SPANS[rotate]):
            content = b"".join((tsv_header(protocol, first), part, tsv_footer(last)))
            write_log(partial / log_name(protocol, first, last, suffix), content)
            written += 1
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)
    return written


def _parts(
    table: pl.DataFrame, lines: bytes, midnight: int, span: int
) -> Iterator[tuple[int, int, memoryview]]:
    """Yield start, end and lines of each span of a day that has records."""
    edges = np.arange(midnight, midnight + DAY + 1, span)
    rows = np.searchsorted(table["ts"].dt.epoch("us").to_numpy(), edges)
    ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == ord("\n")) + 1
    places = np.concatenate([[0], ends])[rows].tolist()
    whole = memoryview(lines)
    for first, last, begin, end in zip(edges, edges[1:], places, places[1:], strict=False):
        if end > begin:
            yield int(first), int(last), whole[begin:end]
