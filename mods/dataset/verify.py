"""Verifying a datapool: what is missing, damaged, or not what was written."""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path

from mods.dataset.archive import Archive
from mods.dataset.day_files import DayFile, day_files
from mods.dataset.day_table import TIMES, parse_day
from mods.dataset.manifest import Manifest, name_of
from mods.errors import ModsError, ModsWarning
from mods.timerange import Window

__all__ = ["Problem", "verify", "windows_of"]


@dataclass(frozen=True)
class Problem:
    """Something wrong with a datapool: what it is about, and what is wrong with it."""

    name: str
    what: str

    def __str__(self) -> str:
        return f"{self.name}: {self.what}"


def verify(
    pool: Path | str, progress: Callable[[int], object] = lambda _files: None
) -> list[Problem]:
    """Read every file of a datapool, and say what is wrong.

    Checked are: zips; names, times, values and columns of each file; days
    without a file between the first and the last of any protocol of a window;
    windows missing from a day; and, where there is a manifest, that each file is
    what was written.

    Parameters
    ----------
    pool
        A folder or a zip.
    progress
        Called with 1 after each file.

    Returns
    -------
    list of Problem
        Empty where all is well.

    Raises
    ------
    NotFoundError
        Where there is no such datapool.
    """
    pool = Path(pool)
    problems: list[Problem] = []

    def complain(error: ModsError) -> None:
        problems.append(Problem(str(pool), str(error)))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ModsWarning)
        files = day_files(pool, complain)
    problems += [Problem(str(pool), str(warning.message)) for warning in caught]
    try:
        manifest = Manifest.load(pool)
    except ModsError as error:
        complain(error)
        manifest = Manifest(pool)
    if not files:
        problems.append(Problem(str(pool), "no file with features"))
    columns: dict[DayFile, tuple[str, ...]] = {}
    for file, data in _read(files, problems):
        problems += [Problem(file.name, what) for what in _faults(file, data, manifest, columns)]
        progress(1)
    problems += _uneven(columns)
    problems += _missing_days(files)
    there = {name_of(file) for file in files}
    problems += [
        Problem(name, "was written, and is no longer there")
        for name in sorted(set(manifest.files) - there)
    ]
    return problems


def _read(files: list[DayFile], problems: list[Problem]) -> Iterator[tuple[DayFile, bytes]]:
    """Yield each file's bytes; what cannot be read is a problem, and the rest goes on."""
    for path, group in groupby(files, key=lambda file: file.path):
        of_path = list(group)
        try:
            archive = Archive(path) if of_path[0].member is not None else None
        except ModsError as error:
            problems.append(Problem(str(path), str(error)))
            continue
        with archive or nullcontext():
            for file in of_path:
                try:
                    data = file.read() if archive is None else archive.read(file.member or "")
                except ModsError as error:
                    problems.append(Problem(file.name, str(error)))
                else:
                    yield file, data


def _faults(
    file: DayFile, data: bytes, manifest: Manifest, columns: dict[DayFile, tuple[str, ...]]
) -> Iterator[str]:
    written = manifest.files.get(name_of(file))
    if written is not None and hashlib.sha256(data).hexdigest() != written.sha256:
        yield "is not what was written (another digest)"
    elif written is None and manifest.files:
        yield "is not in the manifest"
    try:
        table = parse_day(data, file)
    except ModsError as error:
        yield str(error)
        return
    columns[file] = tuple(name for name in table.columns if name not in TIMES)
    expected = windows_of(file)
    if len(table) < expected:
        yield f"{expected - len(table)} of {expected} windows are missing"


def windows_of(file: DayFile) -> int:
    """Return how many windows start on the day of a file."""
    slide = Window.parse(file.window).slide
    first = (file.day - date(1970, 1, 1)).days * 86400
    return -(-(first + 86400) // slide) - -(-first // slide)


def _uneven(columns: dict[DayFile, tuple[str, ...]]) -> Iterator[Problem]:
    """Yield the files whose columns are not those of most files of the protocol."""
    usual: dict[str, Counter[tuple[str, ...]]] = {}
    for file, names in columns.items():
        usual.setdefault(file.protocol, Counter())[names] += 1
    for file, names in columns.items():
        most = usual[file.protocol].most_common(1)[0][0]
        if names != most:
            lacking = [name for name in most if name not in names]
            extra = [name for name in names if name not in most]
            said = [f"lacks {', '.join(lacking[:5])}"] if lacking else []
            said += [f"has also {', '.join(extra[:5])}"] if extra else []
            yield Problem(
                file.name,
                f"{' and '.join(said) or 'has another order of columns'}, "
                f"unlike other days of {file.protocol}",
            )


def _missing_days(files: list[DayFile]) -> Iterator[Problem]:
    """Yield the days of each window that some protocol has none of, though others surround it."""
    for window in sorted({file.window for file in files}):
        days: dict[str, set[date]] = {}
        for file in files:
            if file.window == window:
                days.setdefault(file.protocol, set()).add(file.day)
        every = set().union(*days.values())
        first, last = min(every), max(every)
        whole = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        for protocol, there in sorted(days.items()):
            gone = [day for day in whole if day not in there]
            for start, end in _runs(gone):
                shown = f"{start}" if start == end else f"{start} to {end}"
                yield Problem(f"{protocol} {window}", f"no file for {shown}")


def _runs(days: list[date]) -> Iterator[tuple[date, date]]:
    """Yield the first and last of days that follow each other.

    >>> days = [date(2019, 6, 1), date(2019, 6, 2), date(2019, 6, 4)]
    >>> [(a.day, b.day) for a, b in _runs(days)]
    [(1, 2), (4, 4)]
    """
    start = 0
    for place in range(1, len(days) + 1):
        if place == len(days) or days[place] != days[place - 1] + timedelta(days=1):
            yield days[start], days[place - 1]
            start = place
