"""Uploads that a client asked to keep, so that a training can use them: few, and not for long.

Who has the identifier may use the upload: it is 128 bits at random, told once to
who sent the file, and listed nowhere.  The oldest make room for new ones.
"""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mods.config import folders
from mods.errors import DataError, NotFoundError
from mods.files import write_aside

__all__ = ["check_identifier", "keep_upload", "kept_upload", "remove_old"]

#: How many are kept, their bytes together, and for how many seconds.
COUNT, MAX_BYTES, SECONDS = 20, 1 << 30, 7 * 24 * 3600
_IDENTIFIER = re.compile(r"[0-9a-f]{32}")


def keep_upload(path: Path) -> str:
    """Keep a copy of an upload; return the identifier under which a training finds it.

    Raises
    ------
    DataError
        Where it cannot be kept: the disk is full, or it is too large.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise DataError(
            f"{path.name!r} has {size:,} bytes", f"at most {MAX_BYTES:,}", "Send fewer days."
        )
    identifier = secrets.token_hex(16)
    folder = _folder() / identifier
    _folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with write_aside(folder / path.name) as partial:
            shutil.copyfile(path, partial)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    remove_old()
    return identifier


def check_identifier(text: str) -> Path:
    """Return the file that an identifier stands for.

    Raises
    ------
    DataError
        Where it is no identifier.
    NotFoundError
        Where nothing is kept under it, or not any more.

    Examples
    --------
    >>> check_identifier("../data")
    Traceback (most recent call last):
    mods.errors.DataError: upload '../data'; expected the data_id of an answer of predict, ...
    """
    if not _IDENTIFIER.fullmatch(text):
        raise DataError(
            f"upload {text[:80]!r}",
            "the data_id of an answer of predict, 32 hexadecimal digits",
            "Send the file to predict with keep_data.",
        )
    remove_old()
    files = _files(_folder() / text)
    if not files:
        raise NotFoundError(
            f"no upload is kept as {text!r}",
            f"one of the last {COUNT}, not older than {SECONDS // 86_400} days",
            "Send the file to predict with keep_data once more.",
        )
    return files[0]


@contextmanager
def kept_upload(identifier: str) -> Iterator[Path]:
    """Yield a kept upload in a temporary folder of its own, which is gone afterwards.

    Raises
    ------
    DataError, NotFoundError
        As `check_identifier`.
    """
    path = check_identifier(identifier)
    folder = Path(tempfile.mkdtemp(prefix="mods-upload-"))
    try:
        try:
            # A copy: the upload may be removed while a training reads it.
            copy = Path(shutil.copyfile(path, folder / path.name))
        except OSError as error:
            raise DataError(
                f"cannot read the upload {identifier!r}: {error.strerror}", mend="Send it again."
            ) from None
        yield copy
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_old() -> None:
    """Remove the uploads that are too old, and the oldest of more than are kept."""
    found = []
    for folder in _folder().glob("[0-9a-f]*"):
        with suppress(OSError):
            status = [path.stat() for path in _files(folder)]
            if status:
                found.append((status[0].st_mtime, status[0].st_size, folder))
    total = 0
    # Without the clock, were it set back, the count and the bytes still bound them.
    oldest = time.time() - SECONDS
    for number, (written, size, folder) in enumerate(sorted(found, reverse=True)):
        total += size
        if number >= COUNT or total > MAX_BYTES or written < oldest:
            shutil.rmtree(folder, ignore_errors=True)


def _folder() -> Path:
    return folders().checkpoints / "uploads"


def _files(folder: Path) -> list[Path]:
    """Return the upload in a folder; hidden files are partial."""
    return [path for path in folder.glob("[!.]*") if path.is_file()]
