"""The zips of models and networks: what they may hold, how that is said, and packing one."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from mods.archive import MEBIBYTE, CheckedZip, Limits
from mods.errors import ModelError, NotFoundError

__all__ = ["Archive", "pack"]

#: The oldest time a zip can carry; the same one always, so that equal content is equal bytes.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MAGIC = b"PK"


class Archive(CheckedZip):
    """The checked members of a model's zip, read when they are asked for.

    Parameters
    ----------
    source
        The zip's path, or its bytes.
    label
        What messages call it, for example `bundle 'models/a.zip'`.
    max_members, max_size
        Limits: the number of members, and the bytes of the file and of all members together
        once unpacked.

    Raises
    ------
    NotFoundError
        Where there is no such file.
    ModelError
        Where it is no zip, damaged, or breaks a limit.
    """

    words = MappingProxyType(
        {
            "crowd": ("holds {count} members", "at most {limit}"),
            "twice": ("holds the member {name!r} twice", "each name once"),
            "foreign": ("holds the absolute or foreign path {name!r}", "plain names"),
            "climbing": ("holds the path {name!r}, which leads out of it", "plain names"),
            "encrypted": ("holds the encrypted member {name!r}", "no encryption"),
            "link": ("holds the symbolic link {name!r}", "plain files"),
            "method": (
                "holds {name!r} in compression method {method}",
                "stored or deflated members",
            ),
            "large": ("holds {name!r} of {size} bytes", "at most {limit} bytes"),
            "bomb": (
                "holds {name!r}, which grows {ratio} times when decompressed (a zip bomb)",
                "at most {limit} times",
            ),
            "total": ("holds {size} bytes once decompressed", "at most {limit} bytes"),
        }
    )

    def __init__(
        self,
        source: Path | bytes,
        label: str,
        *,
        max_members: int = 256,
        max_size: int = 512 * MEBIBYTE,
    ) -> None:
        self.label = label
        data = source if isinstance(source, bytes) else _file_bytes(source, label, max_size)
        if data[:2] != _MAGIC:
            raise ModelError(
                f"{label} is no zip archive ({_looks_like(data)})",
                "a model bundle, which is a zip archive",
                "Check the path, or write the bundle again.",
            )
        limits = Limits(members=max_members, member=max_size, total=max_size, strict=True)
        super().__init__(io.BytesIO(data), limits)

    def unopened(self, error: Exception) -> ModelError:
        """Return the error for what is no whole zip."""
        return self.damaged("truncated or damaged")

    def unread(self, name: str, error: Exception) -> ModelError:
        """Return the error for a member that is missing or cannot be unpacked."""
        if isinstance(error, KeyError):
            return ModelError(
                f"{self.label} has no member {name!r}",
                "a whole model bundle",
                "Write the bundle again, or fetch it once more.",
            )
        if isinstance(error, RuntimeError):
            return self.refused(f"holds {name!r}, which cannot be read: {error}")
        return self.damaged(f"damaged in its member {name!r}")

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
