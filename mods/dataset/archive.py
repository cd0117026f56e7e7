"""Zip archives of features that a stranger may have made: checked first, then read.

Members are read into memory and never extracted, so no name becomes a path; a
name that tries is refused all the same.  Members are opened one at a time, so
that an archive of years costs no more memory than its largest day.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from mods.errors import DataError

__all__ = ["Archive"]

MEBIBYTE = 1 << 20
#: A day of one-second windows with a hundred columns is far below this.
MAX_MEMBER = 256 * MEBIBYTE
#: Features compress five to thirty times; a bomb does it a thousand times.
MAX_RATIO = 200
#: Ten years of six protocols and five windows are 109,500 members.
MAX_MEMBERS = 250_000

_DAMAGE = (OSError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, OverflowError)


class Archive:
    """An open zip whose members have been checked; a context manager.

    Parameters
    ----------
    path
        The zip.

    Raises
    ------
    DataError
        Where it is damaged or encrypted, has a member that leads out of it, or
        would expand beyond all measure.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (*_DAMAGE, NotImplementedError) as error:
            raise DataError(
                f"{str(path)!r} is a damaged zip: {error}",
                "a whole zip",
                "Fetch or write it once more.",
            ) from None
        try:
            members = self._zip.infolist()
            if len(members) > MAX_MEMBERS:
                raise self._refused(f"holds {len(members):,} members", f"at most {MAX_MEMBERS:,}")
            for member in members:
                self._check(member)
        except DataError:
            self._zip.close()
            raise

    @property
    def names(self) -> Sequence[str]:
        """The members' names."""
        return self._zip.namelist()

    def _check(self, member: zipfile.ZipInfo) -> None:
        # `ZipInfo` cuts a name at a null byte; what the archive says is in `orig_filename`.
        name = member.orig_filename
        parts = name.replace("\\", "/").split("/")
        absolute = parts[0] == "" and len(parts) > 1
        if absolute or ":" in name or "\0" in name or ".." in parts:
            raise self._refused(f"has the member {name!r}, which leads out of it", "plain names")
        if member.flag_bits & 1:
            raise self._refused(f"is encrypted ({name!r})", "a zip without a password")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise self._refused(f"has the symbolic link {name!r}", "plain files")
        size, packed = member.file_size, max(member.compress_size, 1)
        if size > MAX_MEMBER or (size > MEBIBYTE and size > MAX_RATIO * packed):
            raise self._refused(
                f"has the member {name!r}, which expands from {member.compress_size:,} to "
                f"{size:,} bytes",
                "the features of one day",
            )

    def read(self, name: str) -> bytes:
        """Return a member's content; raise `DataError` where it is damaged."""
        try:
            return self._zip.read(name)
        except (*_DAMAGE, NotImplementedError, RuntimeError, KeyError) as error:
            raise DataError(
                f"{name!r} in {str(self.path)!r} is damaged: {error}",
                "a whole zip",
                "Fetch or write it once more.",
            ) from None

    def _refused(self, offence: str, expected: str) -> DataError:
        return DataError(
            f"{str(self.path)!r} is refused: it {offence}",
            expected,
            "Use only datapools whose maker you know.",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()
