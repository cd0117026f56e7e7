"""Forecasting as a call: every origin in a range, as a forecast table, in memory or in a file.

Also `python -m mods.models.predict`, which takes what `mods predict` takes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mods.errors import DataError, ModelError
from mods.files import write_aside
from mods.models.evaluation import CONTEXT, Forecaster, origin_rows
from mods.models.forecast import as_csv

if TYPE_CHECKING:
    from mods.anomaly.incidents import Incident

__all__ = ["check_output", "predict", "predict_with_history", "table_document", "write_table"]


def predict(model: Forecaster, frame: pd.DataFrame, *, include: str | None = None) -> pd.DataFrame:
    """Forecast from each origin in a range that has enough history; return the forecast table.

    Parameters
    ----------
    model
        A trained model.
    frame
        `(rows, columns)`: the data; rows before the range are history.
    include
        The range of origins, all by default.

    Returns
    -------
    pandas.DataFrame
        The forecast table; targets past the end of the data have no `actual`.

    Raises
    ------
    RangeError
        Where the range holds no row of the data.
    DataError
        Where no origin in it has enough history.
    """
    table, _, origins = predict_with_history(model, frame, include=include)
    return table[table["origin"].isin(origins)].reset_index(drop=True)


def predict_with_history(
    model: Forecaster, frame: pd.DataFrame, *, include: str | None = None
) -> tuple[pd.DataFrame, pd.DataFrame, pd.Index]:
    """Return what `predict` makes on its way: forecasts from before the range too.

    Returns
    -------
    tuple
        The forecast table of the range, of the history before it and of some rows after it,
        which are there for their actual values; the frame of these rows; and the range's
        origins, `(origins,)`.
    """
    first, end = origin_rows(frame, include)
    part = frame.iloc[max(0, first - CONTEXT) : end + model.horizon]
    part.attrs = dict(frame.attrs)
    table = model.backtest(part)
    origins = frame.index[first:end]
    if not table["origin"].isin(origins).any():
        raise DataError(
            f"no window in the range {include!r} has the history that the model needs",
            "more windows before it",
            "Ask for a later range, or give data that begin earlier.",
        )
    return table, part, origins


def table_document(table: pd.DataFrame) -> dict[str, list[Any]]:
    """Return a forecast table as JSON can say it: one list a column, null where unknown.

    Examples
    --------
    >>> table = pd.DataFrame({"origin": pd.to_datetime(["2019-06-01"], utc=True), "actual": [None]})
    >>> table_document(table.astype({"actual": float}))
    {'origin': ['2019-06-01T00:00:00Z'], 'actual': [None]}
    """
    document: dict[str, list[Any]] = {}
    for name, column in table.items():
        if isinstance(column.dtype, pd.DatetimeTZDtype):
            document[str(name)] = _instants(column)
        elif isinstance(column.dtype, pd.BooleanDtype):
            document[str(name)] = column.astype(object).where(column.notna(), None).tolist()
        else:
            values = column.tolist()
            if column.hasnans:
                values = [None if value != value else value for value in values]
            document[str(name)] = values
    return document


def check_output(path: Path | str) -> Callable[[pd.DataFrame, Path], None]:
    """Return the writer for a file's ending; `ModelError` where there is none.

    For use before the work, so that a mistake costs no time.
    """
    path = Path(path)
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise ModelError(
            f"output {str(path)!r}",
            f"a file that ends in {', '.join(_WRITERS)}",
            "Give it one of these endings.",
        )
    if path.is_dir():
        raise ModelError(f"output {str(path)!r} is a directory", "a file", "Name a file in it.")
    return writer


def write_table(
    table: pd.DataFrame, path: Path | str, *, incidents: Sequence[Incident] | None = None
) -> None:
    """Write a forecast table as CSV, JSON or Parquet, or as a picture of its last two days.

    Parameters
    ----------
    table
        The forecast table.
    path
        Ends in `.csv`, `.json`, `.parquet` or `.png`.
    incidents
        What departed, to be marked in the picture; None where nobody looked for any.

    Raises
    ------
    ModelError
        Where it ends otherwise.
    DataError
        Where it cannot be written.
    """
    writer = check_output(path)
    with write_aside(path) as partial:
        if writer is _write_png:
            _write_png(table, partial, incidents)
        else:
            writer(table, partial)


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    path.write_text(as_csv(table), encoding="utf-8")


def _write_json(table: pd.DataFrame, path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        json.dump(table_document(table), file, allow_nan=False)


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    table.to_parquet(path, index=False)


def _write_png(
    table: pd.DataFrame, path: Path, incidents: Sequence[Incident] | None = None
) -> None:
    from mods.visualization.visualize import picture, plot_forecast

    path.write_bytes(picture(plot_forecast(table, title="One step ahead", incidents=incidents)))


_WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    ".csv": _write_csv,
    ".json": _write_json,
    ".parquet": _write_parquet,
    ".png": _write_png,
}


def _instants(times: pd.Series) -> list[str]:
    # Each instant comes up many times, and writing it as text is what takes the time.
    places, instants = pd.factorize(times)
    text = np.datetime_as_string(pd.DatetimeIndex(instants).tz_convert(None), unit="s")
    written = np.array([f"{instant}Z" for instant in text], dtype=object)
    return list(written[places].tolist())


if __name__ == "__main__":
    import sys

    from mods.cli import main

    sys.exit(main(["predict", *sys.argv[1:]]))
