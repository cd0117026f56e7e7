"""The manifest of a datapool: which files were written, with counts and digests.

It lies beside the features as `manifest.json` and goes by what a file holds
(`conn/2019/06/01/w01h-s10m.tsv`), not by where that is stored, so that days
that are packed into a zip later are still the same days.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from mods.dataset.day_files import DayFile
from mods.errors import DataError
from mods.files import write_aside

__all__ = ["Manifest", "Written"]

_NAME = "manifest.json"
_FORMAT = 1
#: A century of six protocols and five windows is a tenth of this.
_MAX_BYTES = 1 << 30


@dataclass(frozen=True)
class Written:
    """A file as it was written: its windows, those with any value, size in bytes, SHA-256."""

    windows: int
    known: int
    size: int
    sha256: str

    @classmethod
    def of(cls, data: bytes, *, windows: int, known: int) -> Self:
        """Return the entry of a file with this content.

        Examples
        --------
        >>> Written.of(b"abc", windows=144, known=140).sha256[:12]
        'ba7816bf8f01'
        """
        return cls(windows, known, len(data), hashlib.sha256(data).hexdigest())


@dataclass
class Manifest:
    """The files of a datapool as they were written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as pool:
    ...     manifest = Manifest.load(pool)
    ...     manifest.files["ssh/2019/06/01/w01h-s10m.tsv"] = Written.of(b"", windows=0, known=0)
    ...     manifest.save()
    ...     Manifest.load(pool) == manifest
    True
    """

    pool: Path
    files: dict[str, Written] = field(default_factory=dict)

    @classmethod
    def load(cls, pool: Path | str) -> Self:
        """Read the manifest of a datapool, an empty one where there is none.

        Raises
        ------
        DataError
            Where it is damaged.
        """
        pool = Path(pool)
        path = pool / _NAME
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise DataError(f"{str(path)!r} has {path.stat().st_size:,} bytes", "a manifest")
            document = json.loads(path.read_text("utf-8"))
            if document["format"] != _FORMAT:
                raise DataError(
                    f"{str(path)!r} has the format {document['format']!r}", f"format {_FORMAT}"
                )
            files = {str(name): _entry(entry) for name, entry in document["files"].items()}
        except (FileNotFoundError, NotADirectoryError):
            return cls(pool)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DataError(
                f"{str(path)!r} is damaged: {error}",
                "a manifest of MODS",
                "Remove it; the datapool can be read without it.",
            ) from None
        return cls(pool, files)

    def record(self, file: DayFile, data: bytes, *, windows: int, known: int) -> None:
        """Take note of a file that was written; `save` stores it."""
        self.files[name_of(file)] = Written.of(data, windows=windows, known=known)

    def save(self) -> None:
        """Store the manifest; raise `DataError` where that fails."""
        entries = {name: asdict(entry) for name, entry in sorted(self.files.items())}
        with write_aside(self.pool / _NAME) as partial:
            partial.write_text(
                json.dumps({"format": _FORMAT, "files": entries}, indent=0), encoding="utf-8"
            )


def name_of(file: DayFile) -> str:
    """Return the name of what a file holds, wherever it is stored."""
    return f"{file.protocol}/{file.day:%Y/%m/%d}/{file.window}.{file.kind}"


def _entry(entry: Mapping[str, object]) -> Written:
    windows, known, size = (entry[name] for name in ("windows", "known", "size"))
    if not (isinstance(windows, int) and isinstance(known, int) and isinstance(size, int)):
        raise TypeError("counts are no numbers")
    return Written(windows, known, size, str(entry["sha256"]))
