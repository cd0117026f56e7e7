"""What a datapool has, day by day: which are whole, partly missing, absent or damaged."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from mods.dataset.day_files import DayFile, day_files
from mods.dataset.day_table import TIMES, parse_day
from mods.dataset.manifest import Manifest, name_of
from mods.dataset.verify import windows_of
from mods.errors import ModsError

__all__ = ["DAMAGED", "MISSING", "PARTLY", "WHOLE", "day_states"]

WHOLE, PARTLY, MISSING, DAMAGED = "whole", "partly", "missing", "damaged"


def day_states(
    pool: Path | str, progress: Callable[[int], object] = lambda _files: None
) -> dict[tuple[str, str], dict[date, str]]:
    """Tell what a datapool has of each protocol, window and day.

    How many windows of a day are known is taken from the manifest, and only where that does
    not say so from the file; whether a file is still what was written, `verify` tells.

    Parameters
    ----------
    pool
        A folder or a zip.
    progress
        Called with 1 after each file.

    Returns
    -------
    dict
        By `(protocol, window)`, sorted: from the first day of any protocol of that window to
        the last, `WHOLE`, `PARTLY` (windows without a value, or without a row), `MISSING`
        (no file) or `DAMAGED` (it cannot be read).

    Raises
    ------
    NotFoundError, DataError
        Where there is no datapool, or no file with features in it.
    """
    files = day_files(pool)
    manifest = _manifest(Path(pool))
    found: dict[tuple[str, str], dict[date, str]] = {}
    for file in files:
        found.setdefault((file.protocol, file.window), {})[file.day] = _state(file, manifest)
        progress(1)
    return {key: _filled(found, key) for key in sorted(found)}


def _manifest(pool: Path) -> Manifest:
    try:
        return Manifest.load(pool)
    except ModsError:
        return Manifest(pool)


def _state(file: DayFile, manifest: Manifest) -> str:
    written = manifest.files.get(name_of(file))
    try:
        known = _known(file) if written is None else written.known
    except ModsError:
        return DAMAGED
    return WHOLE if known >= windows_of(file) else PARTLY


def _known(file: DayFile) -> int:
    """Return how many windows of the day have any value."""
    table = parse_day(file.read(), file)
    features = [name for name in table.columns if name not in TIMES]
    return table.filter(pl.any_horizontal(pl.col(features).is_not_null())).height if features else 0


def _filled(found: dict[tuple[str, str], dict[date, str]], key: tuple[str, str]) -> dict[date, str]:
    days = [day for (_, window), there in found.items() if window == key[1] for day in there]
    first, last = min(days), max(days)
    every = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return {day: found[key].get(day, MISSING) for day in every}
