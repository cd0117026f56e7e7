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
from mods.errors import DataError, NotFoundError, RangeError
from mods.timerange import MICROSECONDS, RowRange, TimeRange, Window

if TYPE_CHECKING:
    import pandas as pd

    from mods.dataset.day_files import DayFile

__all__ = [
    "RequestData",
    "check_extent",
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
        The selection query that made the columns, None where there is none.
    whole_days
        Whether the rows are those of whole days, as a datapool has them, whatever was seen.
    """

    source: str
    frame: pd.DataFrame
    query: str | None
    whole_days: bool = False

    @property
    def last_day(self) -> str:
        """The range of the last day of the data.

        Of whole days, what lies before the first value and after the last one is left out: logs
        of a morning say nothing of the afternoon.
        """
        frame = self.frame
        window = Window.parse(frame.attrs.get("window") or config.DEFAULT_WINDOW)
        if self.whole_days:
            known = frame.dropna(how="all").index
            frame = frame.loc[known[0] : known[-1]]
        return last_rows(frame, max(1, window.per_day))


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
    include: str | None = None,
    exclude: Sequence[str],
    history: int = 0,
    after: int = 0,
    model_query: str | None,
    model_window: str | None,
) -> RequestData:
    """Read an uploaded table, datapool or logs; what is not named is taken from the model.

    Parameters
    ----------
    path
        The upload.
    query, window, exclude
        As for `mods.dataset.read_data`.
    include, history, after
        As for `read_pool`: of a datapool, no more is read than the range needs.
    model_query, model_window
        The model's own.

    Raises
    ------
    ModsError
        Where it cannot be read, or is not what was named.
    """
    from mods.dataset import read_data
    from mods.dataset.datapool import day_files, is_datapool
    from mods.models.upload_logs import log_features

    if window is not None:
        window = Window.parse(window).name  # w60m-s10m is w01h-s10m
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
        stored, window = day_files(path), window or model_window
        frame = _read_days(stored, query, window, include, exclude, history, after)
        return RequestData("upload", frame, query, whole_days=True)
    frame = read_data(path, query=query, window=window, exclude=tuple(exclude))
    if frame.attrs.get("window") is None:
        # A table without times does not say what its rows are.
        frame.attrs["window"] = model_window
    return RequestData("upload", frame, query)


def read_sample(
    exclude: Sequence[str] = (), *, query: str | None = None, window: str | None = None
) -> RequestData:
    """Read the sample that comes with the package.

    Raises
    ------
    NotFoundError
        Where it is missing.
    QueryError, RangeError
        Where it has no such columns or window.
    """
    from mods.dataset import read_data

    path = config.shipped(SAMPLE)
    if path is None:
        raise NotFoundError(
            "there is neither a datapool nor the sample",
            f"features under {str(config.folders().datapools)!r}",
            "Make a datapool with 'mods features', or upload a table as 'data'.",
        )
    frame = read_data(path, query=query, window=window, exclude=tuple(exclude))
    return RequestData("sample", frame, query)


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

    Raises
    ------
    ModsError
        Where the datapool cannot be read, or has nothing of what is asked for.
    """
    from mods.dataset.datapool import choose_window

    stored = _stored()
    if stored is None:
        return None
    query = query or config.DEFAULT_QUERY
    if include is None:
        named = choose_window(stored, window)
        include = _last_day(stored, query, named.name)
        # Where it has only begun, the last day of the data begins on the one before.
        history += named.per_day
    frame = _read_days(stored, query, window, include, exclude, history, after)
    return RequestData("datapool", frame, query, whole_days=True)


def _read_days(
    stored: list[DayFile],
    query: str,
    window: str | None,
    include: str | None,
    exclude: Sequence[str],
    history: int,
    after: int,
) -> pd.DataFrame:
    """Read of a datapool what a range needs, and all of it where there is none."""
    from mods.dataset.datapool import choose_window, read_datapool

    reach = None
    if include is not None:
        check_extent(include, min(f.day for f in stored), max(f.day for f in stored))
        chosen = TimeRange.parse(include)
        slide = choose_window(stored, window).slide * MICROSECONDS
        reach = TimeRange(chosen.start - history * slide, chosen.end + after * slide).text
    return read_datapool(
        stored, query=query, window=window, time_range=reach, exclude=tuple(exclude)
    )


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


def check_extent(text: str, first: object, last: object) -> None:
    """Raise `RangeError` where a range of time holds no day from the first to the last.

    Examples
    --------
    >>> check_extent("<2019-06-01,2019-06-03)", "2019-05-01", "2019-06-01")
    """
    chosen, held = TimeRange.parse(text), TimeRange.parse(f"<{first},{last}>")
    if chosen.end <= held.start or chosen.start >= held.end:
        raise RangeError(
            f"range {text!r} holds no day of the datapool",
            f"a range that overlaps <{first},{last}>",
        )


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
        # The last one included, as a person would write it.
        return TimeRange(int(starts[first]), int(starts[-1])).text.removesuffix(")") + ">"
    return RowRange(int(frame.index[first]), int(frame.index[-1]) + 1).text


def _last_day(stored: list[DayFile], query: str, window: str) -> str | None:
    """Return the last day that the datapool has of what is asked for, None where it has none."""
    from mods.dataset.query import parse_query

    protocols = parse_query(query).protocols
    days = [file.day for file in stored if file.protocol in protocols and file.window == window]
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
