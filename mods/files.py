"""Writing files so that nothing is ever half written: aside, then renamed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mods.errors import DataError

__all__ = ["write_aside"]


@contextmanager
def write_aside(path: Path | str) -> Iterator[Path]:
    """Yield a path to write to; on success it becomes `path`, on failure it is removed.

    The partial file lies in the same folder, so that the renaming is atomic,
    under a name of its own, so that two writers do not meet.

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
    partial: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.stem}.", suffix=f".partial{path.suffix}"
        )
        partial = Path(name)
        os.close(handle)
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        umask = os.umask(0)
        os.umask(umask)
        partial.chmod(0o666 & ~umask)
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
