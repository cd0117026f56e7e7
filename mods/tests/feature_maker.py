"""Features with values that tell their place, for tests of datapools."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from mods.timerange import Window

HOUR = Window.parse("w01h-s10m")
FIRST = date(2019, 6, 1)
DAY = 86400 * 10**6


def micro(day: date) -> int:
    """Return the midnight at which a day begins, in microseconds since the epoch."""
    return (day - date(1970, 1, 1)).days * DAY


def features(
    days: int = 1, start: date = FIRST, columns: tuple[str, ...] = ("in", "out")
) -> pl.DataFrame:
    """Return `days` of ten-minute windows; a value is the window's number and 1,000 a column."""
    numbers = np.arange(days * 144)
    data = {name: numbers + 1000.0 * place for place, name in enumerate(columns)}
    return pl.DataFrame({"window_start": micro(start) + numbers * 600 * 10**6, **data})


def contents(pool: Path) -> dict[str, bytes]:
    """Return all files below a folder with their bytes."""
    return {str(p.relative_to(pool)): p.read_bytes() for p in pool.rglob("*") if p.is_file()}
