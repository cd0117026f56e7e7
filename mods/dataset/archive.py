"""The zips of features and logs: what they may hold, and how that is said."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from mods.archive import MEBIBYTE, CheckedZip, Limits
from mods.errors import DataError

__all__ = ["Archive"]

#: A day of one-second windows with a hundred columns is far below this.
MAX_MEMBER = 256 * MEBIBYTE
#: Ten years of six protocols and five windows are 109,500 members.
MAX_MEMBERS = 250_000
_EXPANDS = "has the member {name!r}, which expands from {packed:,} to {size:,} bytes"


class Archive(CheckedZip):
    """An open zip of features or logs, whose members have been checked; a context manager.

    Members are unpacked one at a time, so that an archive of years costs no more memory than
    its largest day.

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

    words = MappingProxyType(
        {
            "crowd": ("holds {count:,} members", "at most {limit:,}"),
            "foreign": ("has the member {name!r}, which leads out of it", "plain names"),
            "climbing": ("has the member {name!r}, which leads out of it", "plain names"),
            "encrypted": ("is encrypted ({name!r})", "a zip without a password"),
            "link": ("has the symbolic link {name!r}", "plain files"),
            "large": (_EXPANDS, "the features of one day"),
            "bomb": (_EXPANDS, "the features of one day"),
        }
    )

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(path, Limits(members=MAX_MEMBERS, member=MAX_MEMBER))

    def unopened(self, error: Exception) -> DataError:
        """Return the error for what is no whole zip."""
        return DataError(
            f"{str(self.path)!r} is a damaged zip: {error}",
            "a whole zip",
            "Fetch or write it once more.",
        )

    def unread(self, name: str, error: Exception) -> DataError:
        """Return the error for a member that is missing or cannot be unpacked."""
        return DataError(
            f"{name!r} in {str(self.path)!r} is damaged: {error}",
            "a whole zip",
            "Fetch or write it once more.",
        )

    def refused(self, offence: str, expected: str = "") -> DataError:
        """Return the error for content that no honest writer would have made."""
        return DataError(
            f"{str(self.path)!r} is refused: it {offence}",
            expected,
            "Use only datapools whose maker you know.",
        )
