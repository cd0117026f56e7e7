"""What a request is about: its upload, a part of the service's datapool, or the sample."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mods import config
from mods.errors import DataError, NotFoundError
from mods.timerange import MICROSECONDS, RowRange, TimeRange, Window

if TYPE_CHECKING:
    import pandas as pd

    from mods.dataset.day_files import DayFile

__all__ = [
    "RequestData",
    "last_rows",
    "read_pool",
    "read_sample",
    "read_upload",
    "require_pool",
    "upload_file",
]

SAMPLE = "data/test/sample-test-w01h-s10m.tsv"
_UNSAFE = re.compile(r"[^\w.-]", re.ASCII)


@dataclass(frozen=True)
class RequestData:
    """The data of a request.

    Attributes
    ----------
    source
        `upload`, `datapool` or `sample`.
    frame
        `(rows, columns)`: the part that is asked for, with history before it.
    query
        The selection query that made the columns, None for a table.
    """

    source: str
    frame: pd.DataFrame
    query: str | None


@contextmanager
def upload_file(upload: Any) -> Iterator[Path | None]:
    """Yield the uploaded file under its own name, so that messages tell which one it is.

    DEEPaaS keeps every upload in a temporary file and removes none: it is gone afterwards,
    whatever happens.

    Parameters
    ----------
    upload
        DEEPaaS's `UploadedFile`, or None where there is none.
    """
    if not hasattr(upload, "filename"):
        yield None
        return
    received = Path(upload.filename)
    folder: Path | None = None
    try:
        # The client's name is a text from outside: no folder, no blanks, not endless.
        name = Path(str(upload.original_filename or "upload").replace("\\", "/")).name
        name = _UNSAFE.sub("_", name)[-100:].lstrip(".-") or "upload"
        try:
            folder = Path(tempfile.mkdtemp(prefix="mods-upload-", dir=received.parent))
            path = received.replace(folder / name)
        except OSError as error:
            raise DataError(
                f"cannot keep the upload {name!r}: {error.strerror}", mend="Send it again."
            ) from None
        yield path
    finally:
        with suppress(OSError):
            received.unlink()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def read_upload(
    path: Path,
    *,
    query: str | None,
    window: str | None,
    exclude: Sequence[str],
    model_query: str | None,
    model_window: str | None,
) -> RequestData:
    """Read an uploaded table, datapool or logs; what is not named is taken from the model."""
    from mods.dataset import read_data
    from mods.dataset.datapool import is_datapool
    from mods.models.upload_logs import log_features

    features = log_features(
        path,
        query=query,
        usual=model_query or config.DEFAULT_QUERY,
        window=window or model_window or config.DEFAULT_WINDOW,
    )
    if features is not None:
        path, query = features.pool, features.query
    if is_datapool(path):
        query = query or model_query or config.DEFAULT_QUERY
        window = window or model_window
    frame = read_data(path, query=query, window=window, exclude=tuple(exclude))
    if frame.attrs.get("window") is None:
        # A table without times does not say what its rows are.
        frame.attrs["window"] = model_window
    return RequestData("upload", frame, query)


def read_sample(exclude: Sequence[str] = ()) -> RequestData:
    """Read the sample that comes with the package.

    Raises
    ------
    NotFoundError
        Where it is missing.
    """
    from mods.dataset import read_data

    path = config.shipped(SAMPLE)
    if path is None:
        raise NotFoundError(
            "there is neither a datapool nor the sample",
            f"features under {str(config.folders().datapools)!r}",
            "Make a datapool with 'mods features', or upload a table as 'data'.",
        )
    return RequestData("sample", read_data(path, exclude=tuple(exclude)), None)


def read_pool(
    *,
    query: str | None,
    window: str | None,
    include: str | None,
    exclude: Sequence[str],
    history: int,
    after: int = 0,
) -> RequestData | None:
    """Read a part of the service's datapool, or return None where it is empty.

    Parameters
    ----------
    query, window
        As for `mods.dataset.read_data`.
    include
        The range asked for; None for the last day.
    exclude
        Ranges that count as missing.
    history, after
        How many windows to read before and after the range.
    """
    from mods.dataset.datapool import read_datapool

    stored = _stored()
    if stored is None:
        return None
    query = query or config.DEFAULT_QUERY
    include = include or _last_day(stored, query, window)
    reach = None
    if include is not None:
        chosen = TimeRange.parse(include)
        slide = Window.parse(window or config.DEFAULT_WINDOW).slide * MICROSECONDS
        reach = TimeRange(chosen.start - history * slide, chosen.end + after * slide).text
    frame = read_datapool(
        stored,
        query=query,
        window=window,
        time_range=reach,
        exclude=tuple(exclude),
    )
    return RequestData("datapool", frame, query)


def require_pool() -> list[dict[str, object]]:
    """Return the extent of the service's datapool.

    Raises
    ------
    NotFoundError
        Where there is none: a model is trained on no other data.
    """
    from mods.dataset.day_files import summary

    stored = _stored()
    if stored is None:
        raise NotFoundError(
            "the service has no datapool to train on",
            f"features under {str(config.folders().datapools)!r}",
            "Make it with 'mods features LOGS --out' and that folder.",
        )
    return summary(stored)


def last_rows(frame: pd.DataFrame, count: int) -> str:
    """Return the range of a frame's last rows.

    Examples
    --------
    >>> import pandas as pd
    >>> last_rows(pd.DataFrame({"conn_in": [1.0, 2.0, 3.0]}), 2)
    '<1,3)'
    """
    import pandas as pd

    first = max(0, len(frame) - count)
    if isinstance(frame.index, pd.DatetimeIndex):
        starts = frame.index.as_unit("us").asi8
        return TimeRange(int(starts[first]), int(starts[-1]) + 1).text
    return RowRange(int(frame.index[first]), int(frame.index[-1]) + 1).text


def _last_day(stored: list[DayFile], query: str, window: str | None) -> str | None:
    """Return the last day that the datapool has of what is asked for, None where it has none."""
    from mods.dataset.query import parse_query

    protocols, name = parse_query(query).protocols, window or config.DEFAULT_WINDOW
    days = [file.day for file in stored if file.protocol in protocols and file.window == name]
    return f"<{max(days)},{max(days)}>" if days else None


def _stored() -> list[DayFile] | None:
    """Return what the service's datapool holds, None where the folder is empty or missing."""
    from mods.dataset.day_files import day_files

    pool = config.folders().datapools
    try:
        return day_files(pool)
    except (NotFoundError, DataError):
        files = pool.rglob("*") if pool.is_dir() else ()
        if any(path.is_file() and not path.name.startswith(".") for path in files):
            raise
        return None
