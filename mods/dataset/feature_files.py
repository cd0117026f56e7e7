"""Writing features as the TSV files of a datapool."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from mods.files import write_aside
from mods.timerange import MICROSECONDS, Window

__all__ = ["write_features"]


def write_features(pool: Path, protocol: str, window: Window, features: pl.DataFrame) -> list[Path]:
    """Write one file a day, `<protocol>/<YYYY>/<MM>/<DD>/<window>.tsv`, and return them."""
    iso = "%Y-%m-%dT%H:%M:%S%.3fZ"
    begin = pl.from_epoch("window_start", "us")
    text = features.with_columns(
        day=begin.dt.strftime("%Y/%m/%d"),
        window_start=begin.dt.strftime(iso),
        window_end=pl.from_epoch(
            pl.col("window_start") + window.length * MICROSECONDS, "us"
        ).dt.strftime(iso),
    ).select("day", "window_start", "window_end", pl.exclude("day", "window_start", "window_end"))
    paths = []
    for (day,), part in text.partition_by("day", as_dict=True, include_key=False).items():
        path = pool / protocol / str(day) / f"{window.name}.tsv"
        with write_aside(path) as partial:
            part.write_csv(partial, separator="\t", quote_style="never")
        paths.append(path)
    return paths
