"""Zip archives that a stranger may have made: nothing is read before it has been checked.

Members are read into memory and never extracted, so no name becomes a path;
names that try are refused all the same, by name of the offence.
"""

from __future__ import annotations

import io
import re
import stat
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from mods.errors import ModelError, NotFoundError

__all__ = ["Archive", "pack"]

MEBIBYTE = 1 << 20
#: The oldest time a zip can carry; the same one always, so that equal content is equal bytes.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MAGIC = b"PK"


class Archive:
    """The checked members of a zip, read when they are asked for.

    Parameters
    ----------
    source
        The zip's path, or its bytes.
    label
        What messages call it, for example `bundle 'models/a.zip'`.
    max_members, max_size, max_ratio
        Limits: the number of members, bytes of all members together once
        decompressed, and how much smaller than its content a member may be.

    Raises
    ------
    NotFoundError
        Where there is no such file.
    ModelError
        Where it is no zip, damaged, or breaks a limit.
    """

    def __init__(
        self,
        source: Path | bytes,
        label: str,
        *,
        max_members: int = 256,
        max_size: int = 512 * MEBIBYTE,
        max_ratio: int = 200,
    ) -> None:
        self.label = label
        data = source if isinstance(source, bytes) else _file_bytes(source, label, max_size)
        if data[:2] != _MAGIC:
            raise ModelError(
                f"{label} is no zip archive ({_looks_like(data)})",
                "a model bundle, which is a zip archive",
                "Check the path, or write the bundle again.",
            )
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError) as error:
            raise self.damaged("truncated or damaged") from error
        members = self._zip.infolist()
        self.names = tuple(member.filename for member in members)
        if len(members) > max_members:
            raise self.refused(f"holds {len(members)} members", f"at most {max_members}")
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise self.refused(f"holds the member {twice!r} twice", "each name once")
        for member in members:
            self._check(member, max_size, max_ratio)
        total = sum(member.file_size for member in members)
        if total > max_size:
            raise self.refused(
                f"holds {total} bytes once decompressed", f"at most {max_size} bytes"
            )

    def _check(self, member: zipfile.ZipInfo, max_size: int, max_ratio: int) -> None:
        name = member.filename
        # `ZipInfo` cuts a name at a null byte; what the archive says is in `orig_filename`.
        raw = member.orig_filename
        path = PurePosixPath(raw)
        if path.is_absolute() or ":" in raw or "\\" in raw or "\0" in raw:
            raise self.refused(f"holds the absolute or foreign path {raw!r}", "plain names")
        if ".." in path.parts:
            raise self.refused(f"holds the path {raw!r}, which leads out of it", "plain names")
        if member.flag_bits & 0x1:
            raise self.refused(f"holds the encrypted member {name!r}", "no encryption")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise self.refused(f"holds the symbolic link {name!r}", "plain files")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise self.refused(
                f"holds {name!r} in compression method {member.compress_type}",
                "stored or deflated members",
            )
        if member.file_size > max_size:
            raise self.refused(
                f"holds {name!r} of {member.file_size} bytes", f"at most {max_size} bytes"
            )
        if member.file_size > MEBIBYTE and member.file_size > max_ratio * member.compress_size:
            raise self.refused(
                f"holds {name!r}, which grows {member.file_size // max(member.compress_size, 1)}"
                " times when decompressed (a zip bomb)",
                f"at most {max_ratio} times",
            )

    def read(self, name: str) -> bytes:
        """Return a member's content; `ModelError` where it is missing or damaged."""
        try:
            return self._zip.read(name)
        except KeyError:
            raise ModelError(
                f"{self.label} has no member {name!r}",
                "a whole model bundle",
                "Write the bundle again, or fetch it once more.",
            ) from None
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError) as error:
            raise self.damaged(f"damaged in its member {name!r}") from error
        except (NotImplementedError, RuntimeError) as error:
            raise self.refused(f"holds {name!r}, which cannot be read: {error}") from error

    def expect(self, pattern: str) -> None:
        """Refuse members whose name does not match the regular expression."""
        for name in self.names:
            if re.fullmatch(pattern, name) is None:
                raise self.refused(
                    f"holds the member {name!r}, which no bundle has",
                    "the members of a model bundle only",
                )

    def damaged(self, how: str) -> ModelError:
        """Return the error for content that has been cut or changed on its way."""
        return ModelError(
            f"{self.label} is {how}",
            "a whole model bundle",
            "Fetch or write it once more.",
        )

    def refused(self, offence: str, expected: str = "") -> ModelError:
        """Return the error for content that no honest writer would have made."""
        return ModelError(
            f"{self.label} is refused: it {offence}",
            expected,
            "Use only bundles whose maker you know.",
        )


def pack(members: Mapping[str, bytes], *, compress: bool = True) -> bytes:
    """Return a zip of the members, equal bytes for equal content.

    Examples
    --------
    >>> pack({"a": b"1"}) == pack({"a": b"1"})
    True
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
            info.create_system = 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
    return buffer.getvalue()


def _file_bytes(path: Path, label: str, limit: int) -> bytes:
    try:
        size = path.stat().st_size
        if size > limit:
            raise ModelError(f"{label} is {size} bytes long", f"at most {limit} bytes")
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(
            f"there is no {label}", "an existing model", "See 'mods models' for those at hand."
        ) from None
    except OSError as error:
        raise ModelError(
            f"{label} cannot be read: {error.strerror or error}",
            "a readable file",
            "Check the path and its permissions.",
        ) from error


def _looks_like(data: bytes) -> str:
    if not data:
        return "it is empty"
    kinds = {b"\x89HDF": "an HDF5 file", b"\x1f\x8b": "gzip data", b"\x80": "a pickle"}
    known = next((kind for magic, kind in kinds.items() if data.startswith(magic)), None)
    return f"it is {known}" if known else f"it begins with {data[:8]!r}"
