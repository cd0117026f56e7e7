"""Writing files so that nothing is ever half written: aside, then renamed."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mods.errors import DataError

__all__ = ["write_aside"]


@contextmanager
def write_aside(path: Path | str) -> Iterator[Path]:
    """Yield a path to write to; on success it becomes `path`, on failure it is removed.

    The partial file lies in the same folder, so that the renaming is atomic,
    under a name of its own, so that two writers do not meet.  It is locked while
    it is written: what a killed process left is told by that, and removed when
    the same file is written again.

    Raises
    ------
    DataError
        Where the folder or file cannot be written (no permission, disk full).

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with write_aside(Path(folder) / "a.txt") as partial:
    ...         _ = partial.write_text("whole")
    ...     [p.name for p in Path(folder).iterdir()]
    ['a.txt']
    """
    path = Path(path)
    if path.name in ("", "..") or "\0" in str(path):
        raise DataError(f"cannot write {str(path)!r}", "the path of a file")
    partial: Path | None = None
    lock = -1
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        name = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.partial{path.suffix}")
        lock = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        partial = name
        with suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
        partial = None
    except OSError as error:
        raise DataError(
            f"cannot write {str(path)!r}: {error.strerror or error}",
            mend="Check the folder's permissions and the space left on the disk.",
        ) from error
    finally:
        if partial is not None:
            with suppress(OSError):
                partial.unlink()
        if lock >= 0:
            os.close(lock)


def _remove_abandoned(path: Path) -> None:
    """Remove partial files of `path` that no living process has locked."""
    begin, end = f".{path.stem}.", f".partial{path.suffix}"
    for entry in os.scandir(path.parent):
        if not (entry.name.startswith(begin) and entry.name.endswith(end)):
            continue
        with suppress(OSError):
            handle = os.open(entry.path, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                Path(entry.path).unlink()
            finally:
                os.close(handle)
