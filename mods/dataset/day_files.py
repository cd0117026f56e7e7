"""Where a datapool keeps the features of a protocol, day and window: plain files and zips.

    <protocol>/<YYYY>/<MM>/<DD>/<window>.tsv    (or .parquet)

as plain files or as members of zips, at any depth below the datapool.
"""

from __future__ import annotations

import os
import re
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby, pairwise
from pathlib import Path

from mods.dataset.archive import MAX_MEMBER, Archive
from mods.errors import DataError, ModsError, ModsWarning, NotFoundError

__all__ = ["DayFile", "day_files", "extent", "is_datapool", "read_all", "summary"]

_NAME = re.compile(
    r"(?:^|/)(?P<protocol>[A-Za-z0-9_-]+)/(?P<year>\d{4})/(?P<month>\d\d)/(?P<day>\d\d)/"
    r"(?P<window>w\d\d[smhd]-s\d\d[smhd])\.(?P<kind>tsv|parquet)$",
    re.ASCII,
)
_DAY_ZIP = re.compile(r"\d{4}-\d\d-\d\d\.zip", re.ASCII)
_CONTENTS = "files such as conn/2019/06/01/w01h-s10m.tsv"


@dataclass(frozen=True)
class DayFile:
    """The features of one protocol, day and window, wherever they are stored.

    `member` is the name inside the zip `path`, None where `path` is the file
    itself; `kind` is `tsv` or `parquet`.
    """

    protocol: str
    day: date
    window: str
    path: Path
    member: str | None = None
    kind: str = "tsv"

    @property
    def name(self) -> str:
        """The name for messages."""
        return f"{self.path}: {self.member}" if self.member else str(self.path)

    @property
    def key(self) -> tuple[str, str, date]:
        """What it holds: a datapool has one file for each."""
        return self.protocol, self.window, self.day

    @property
    def rank(self) -> int:
        """Which of several files with one key is read: the lowest.

        A plain file beside a zip is what was made since the zip was; a zip of
        one day is made anew more easily than one of a month.
        """
        if self.member is None:
            return 0 if self.kind == "tsv" else 1
        return 2 if _DAY_ZIP.fullmatch(self.path.name) else 3

    def exists(self) -> bool:
        """Return whether it is stored; raise `DataError` where its zip is damaged."""
        if self.member is None or not self.path.is_file():
            return self.member is None and self.path.is_file()
        with Archive(self.path) as archive:
            return self.member in archive.names

    def read(self) -> bytes:
        """Return the stored bytes; raise `DataError` where they cannot be read."""
        return next(read_all([self]))[1]


def is_datapool(path: Path | str) -> bool:
    """Return whether `path` is a folder or a zip, and so no table."""
    path = Path(path)
    try:
        return path.is_dir() or (path.is_file() and zipfile.is_zipfile(path))
    except (OSError, ValueError):
        return False


def day_files(
    pool: Path | str, complain: Callable[[ModsError], None] | None = None
) -> list[DayFile]:
    """List the day files of a datapool, sorted by protocol, window and day.

    A day that is stored twice is listed once, with a warning; see `DayFile.rank`.

    Parameters
    ----------
    pool
        A folder or a zip.
    complain
        Called with the error of each zip that cannot be used, which is then left
        out; by default it is raised.

    Raises
    ------
    NotFoundError
        Where there is no such datapool.
    DataError
        Where it holds no day file, or a zip that is damaged or hostile.
    """
    pool = Path(pool)
    found: dict[tuple[str, str, date], DayFile] = {}
    twice: list[tuple[DayFile, DayFile]] = []
    for path in _paths(pool):
        try:
            files = _listed(path, is_zip=path == pool or path.suffix.lower() == ".zip")
        except DataError as error:
            if complain is None:
                raise
            complain(error)
            continue
        for file in files:
            other = found.setdefault(file.key, file)
            if other is not file:
                used, unused = (file, other) if file.rank < other.rank else (other, file)
                found[file.key] = used
                twice.append((used, unused))
    if twice:
        used, unused = twice[0]
        more = f" (and {len(twice) - 1:,} other days)" if len(twice) > 1 else ""
        warnings.warn(
            f"{used.protocol} of {used.day} is stored twice{more}: {used.name} is read, "
            f"{unused.name} is not",
            ModsWarning,
            stacklevel=3,
        )
    if not found and complain is None:
        raise DataError(
            f"{str(pool)!r} holds no features", _CONTENTS, "Make them with 'mods features'."
        )
    return [found[key] for key in sorted(found)]


def _paths(pool: Path) -> Iterator[Path]:
    """Yield the files below a datapool in a fixed order; a symlink loop is walked once."""
    if pool.is_file():
        yield pool
        return
    if not pool.is_dir():
        raise NotFoundError(f"no datapool {str(pool)!r}", "a folder or a zip", "Check the path.")
    seen = set()

    def unreadable(error: OSError) -> None:
        raise DataError(
            f"cannot read {error.filename!r}: {error.strerror}", mend="Check its permissions."
        )

    for folder, subfolders, names in os.walk(pool, followlinks=True, onerror=unreadable):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in seen:
            subfolders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and name.lower().endswith((".tsv", ".parquet", ".zip")):
                yield Path(folder, name)


def _listed(path: Path, is_zip: bool) -> list[DayFile]:
    if not is_zip:
        file = _day_file(path.as_posix(), path, None)
        return [] if file is None else [file]
    with Archive(path) as archive:
        files = [_day_file(name, path, name) for name in archive.names]
    return [file for file in files if file is not None]


def _day_file(name: str, path: Path, member: str | None) -> DayFile | None:
    match = _NAME.search(name)
    if match is None:
        return None
    try:
        day = date(int(match["year"]), int(match["month"]), int(match["day"]))
    except ValueError:
        return None
    return DayFile(match["protocol"], day, match["window"], path, member, match["kind"])


def read_all(files: Iterable[DayFile]) -> Iterator[tuple[DayFile, bytes]]:
    """Yield each file with its bytes; a zip is opened once for all that follow each other in it.

    Raises
    ------
    DataError
        Where a file cannot be read.
    """
    for path, group in groupby(files, key=lambda file: file.path):
        of_path = list(group)
        if of_path[0].member is None:
            yield from ((file, _plain(path)) for file in of_path)
            continue
        with Archive(path) as archive:
            for file in of_path:
                yield file, archive.read(file.member or "")


def _plain(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_MEMBER:
            raise DataError(
                f"{str(path)!r} has {path.stat().st_size:,} bytes",
                f"the features of one day, at most {MAX_MEMBER:,} bytes",
            )
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"cannot read {str(path)!r}: {error.strerror}", mend="Check its permissions."
        ) from None


def extent(pool: Path | str) -> list[dict[str, object]]:
    """Summarise a datapool without opening its files; see `summary`.

    Raises
    ------
    NotFoundError, DataError
        Where there is no datapool, or a zip of it is damaged.
    """
    return summary(day_files(pool))


def summary(files: Iterable[DayFile]) -> list[dict[str, object]]:
    """Summarise listed files by protocol and window.

    Returns
    -------
    list of dict
        `protocol`, `window`, `first_day` and `last_day` (ISO 8601), `days` (how
        many there are), `missing_days` (how many are missing between), `gaps`
        (those as ranges of days).
    """
    groups: dict[tuple[str, str], list[date]] = {}
    for file in files:
        groups.setdefault((file.protocol, file.window), []).append(file.day)
    return [
        {
            "protocol": protocol,
            "window": window,
            "first_day": days[0].isoformat(),
            "last_day": days[-1].isoformat(),
            "days": len(days),
            "missing_days": (days[-1] - days[0]).days + 1 - len(days),
            "gaps": [
                f"<{before + timedelta(days=1)},{after - timedelta(days=1)}>"
                for before, after in pairwise(days)
                if (after - before).days > 1
            ],
        }
        for (protocol, window), days in sorted(groups.items())
    ]
