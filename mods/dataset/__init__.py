"""Stage 1: from Zeek logs to a datapool of windowed features, and from there to a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pandas as pd

__all__ = ["read_data"]


def read_data(
    path: Path | str,
    *,
    query: str | None = None,
    window: str | None = None,
    time_range: str | None = None,
    exclude: Iterable[str] = (),
) -> pd.DataFrame:
    """Read a datapool or a table, whichever `path` is, as a frame.

    Parameters
    ----------
    path
        A datapool (a directory with `<protocol>/<YYYY>/<MM>/<DD>/<window>.tsv` or `.parquet`
        files, or zips of them, or such a zip) or a table (TSV, CSV or Parquet).
    query
        For a datapool the selection query (default: `mods.config.DEFAULT_QUERY`);
        of a table it picks the columns that go by its final names (default: all).
    window
        The window's name; for a table without times it says what a row is.
    time_range, exclude
        Which part to take and which to make missing; row numbers for a table without times.

    Returns
    -------
    pandas.DataFrame
        float64, consecutive windows, missing as NaN (see `docs/architecture.md`).

    Raises
    ------
    DataError, QueryError, RangeError, NotFoundError
        Where there is nothing, or nothing that can be read.
    """
    from mods.dataset.datapool import is_datapool, read_datapool
    from mods.dataset.table import read_table

    if is_datapool(path):
        return read_datapool(
            path, query=query, window=window, time_range=time_range, exclude=exclude
        )
    return read_table(path, query=query, window=window, time_range=time_range, exclude=exclude)
