"""Zip archives that a stranger may have made: nothing is read before it has been checked.

Members are read into memory and never extracted, so no name becomes a path; names that try
are refused all the same, by name of the offence.  What is refused and how it is said is the
reader's own: `mods.models.archive` and `mods.dataset.archive`.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, ClassVar, Literal, NoReturn, Self

from mods.errors import ModsError

__all__ = ["MEBIBYTE", "CheckedZip", "Limits", "Offence"]

MEBIBYTE = 1 << 20
#: Methods whose unpacking can be stopped; of the others a few bytes may become gigabytes at once.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGE = (OSError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, OverflowError)
_UNREADABLE = (*_DAMAGE, NotImplementedError, RuntimeError, KeyError)

Offence = Literal[
    "crowd", "twice", "foreign", "climbing", "encrypted", "link", "method", "large", "bomb", "total"
]


@dataclass(frozen=True)
class Limits:
    """What an archive may hold.

    `members` is their number, `member` and `total` the bytes of one and of all once unpacked,
    `ratio` how much smaller than its content a member of more than a mebibyte may be.  A
    `strict` reader refuses as well what honest writers of other programs do: a name that is
    there twice, backslashes in it, and methods of packing other than stored and deflated.
    """

    members: int
    member: int
    total: int | None = None
    ratio: int = 200
    strict: bool = False


class CheckedZip(ABC):
    """The checked members of a zip, unpacked when they are asked for; a context manager.

    Parameters
    ----------
    source
        The zip's path, or a stream of its bytes.
    limits
        What it may hold.

    Raises
    ------
    ModsError
        The reader's own, where it is damaged or breaks a limit.
    """

    #: Offence and what is said of it: what the archive does, and what was expected.  They may
    #: name `{name!r}`, `{size}`, `{packed}`, `{ratio}`, `{method}`, `{count}` and `{limit}`.
    words: ClassVar[Mapping[Offence, tuple[str, str]]]

    def __init__(self, source: Path | IO[bytes], limits: Limits) -> None:
        try:
            self._zip = zipfile.ZipFile(source)
        except (*_DAMAGE, NotImplementedError) as error:
            raise self.unopened(error) from error
        try:
            self._check_all(self._zip.infolist(), limits)
        except ModsError:
            self._zip.close()
            raise
        self.names = tuple(self._zip.namelist())

    @abstractmethod
    def unopened(self, error: Exception) -> ModsError:
        """Return the error for what is no whole zip."""

    @abstractmethod
    def unread(self, name: str, error: Exception) -> ModsError:
        """Return the error for a member that is missing (`KeyError`) or cannot be unpacked."""

    @abstractmethod
    def refused(self, offence: str, expected: str = "") -> ModsError:
        """Return the error for content that no honest writer would have made."""

    def read(self, name: str) -> bytes:
        """Return a member's content, which never takes more memory than the member claims."""
        try:
            member = self._zip.getinfo(name)
            if member.compress_type not in _METHODS:
                raise NotImplementedError(
                    "That compression method is not supported, only stored and deflated members"
                )
            with self._zip.open(member) as stream:
                # All at once would unpack what comes after the claimed size before cutting it off.
                return stream.read(member.file_size + 1)
        except _UNREADABLE as error:
            raise self.unread(name, error) from error

    def _check_all(self, members: list[zipfile.ZipInfo], limits: Limits) -> None:
        if len(members) > limits.members:
            self._refuse("crowd", count=len(members), limit=limits.members)
        if limits.strict:
            seen: set[str] = set()
            for member in members:
                if member.filename in seen:
                    self._refuse("twice", name=member.filename)
                seen.add(member.filename)
        for member in members:
            self._check_name(member.orig_filename, limits.strict)
            self._check(member, limits)
        total = sum(member.file_size for member in members)
        if limits.total is not None and total > limits.total:
            self._refuse("total", size=total, limit=limits.total)

    def _check_name(self, name: str, strict: bool) -> None:
        # `ZipInfo.filename` is cut at a null byte; this is what the archive says.
        foreign = (":", "\0", "\\") if strict else (":", "\0")
        if name.startswith(("/", "\\")) or any(sign in name for sign in foreign):
            self._refuse("foreign", name=name)
        if ".." in name.replace("\\", "/").split("/"):
            self._refuse("climbing", name=name)

    def _check(self, member: zipfile.ZipInfo, limits: Limits) -> None:
        size, packed = member.file_size, member.compress_size
        facts = {"name": member.filename, "size": size, "packed": packed}
        if member.flag_bits & 0x1:
            self._refuse("encrypted", **facts)
        if stat.S_ISLNK(member.external_attr >> 16):
            self._refuse("link", **facts)
        if limits.strict and member.compress_type not in _METHODS:
            self._refuse("method", **facts, method=member.compress_type)
        if size > limits.member:
            self._refuse("large", **facts, limit=limits.member)
        if size > MEBIBYTE and size > limits.ratio * packed:
            self._refuse("bomb", **facts, ratio=size // max(packed, 1), limit=limits.ratio)

    def _refuse(self, offence: Offence, /, **facts: object) -> NoReturn:
        said, expected = self.words[offence]
        raise self.refused(said.format(**facts), expected.format(**facts))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()
