"""A forecast as one page for the browser: self-contained, interactive, nothing fetched."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mods.errors import DataError
from mods.models.evaluation import cube
from mods.visualization.style import unit_of
from mods.visualization.visualize import LAST, LAST_ROWS

if TYPE_CHECKING:
    from mods.anomaly.incidents import Incident

__all__ = ["forecast_page"]

#: Digits that a value keeps: more than a screen can show.
DIGITS = 7
#: A larger table makes a page that no browser likes.
MAX_VALUES = 3_000_000


def forecast_page(
    table: pd.DataFrame,
    *,
    coverage: float | None = None,
    title: str = "",
    incidents: Sequence[Incident] | None = None,
) -> str:
    """Return an HTML page that shows a forecast table column by column.

    Parameters
    ----------
    table
        The forecast table, `(rows, 8)`.
    coverage
        What the interval is to hold, for the legend.
    title
        What the page is of.
    incidents
        What departed: marked in its columns' panels and listed; None where nobody looked for any.

    Raises
    ------
    DataError
        Where the table holds nothing to show, or too much for a page.

    Examples
    --------
    >>> row = {"origin": 0, "target": 1, "step": 1, "column": "<b>", "forecast": 2.0}
    >>> table = pd.DataFrame([row | {"lower": 1.0, "upper": 3.0, "actual": 4.0}])
    >>> page = forecast_page(table, title="A & B")
    >>> "<h1>A &amp; B</h1>" in page, "<b>" in page
    (True, False)
    """
    # In a script, only "<" can end or open anything.
    document = _document(table, coverage)
    if incidents is not None:
        document["incidents"] = _incidents(document, incidents)
    data = json.dumps(document, allow_nan=False).replace("<", "\\u003c")
    page = resources.files("mods.visualization").joinpath("page.html").read_text(encoding="utf-8")
    head, tail = page.split("@DATA@")
    return head.replace("@TITLE@", html.escape(title or "Forecast")) + data + tail


def _document(table: pd.DataFrame, coverage: float | None) -> dict[str, Any]:
    """Return what the page's script reads: columns as arrays over steps and origins."""
    if table.empty:
        raise DataError("no forecast to show", "a forecast table with rows")
    if len(table) > MAX_VALUES:
        raise DataError(
            f"{len(table):,} forecasts on one page", f"at most {MAX_VALUES:,}", "Show fewer days."
        )
    names = [str(name) for name in dict.fromkeys(table["column"])]
    _, steps, values = cube(table, names)  # (3, origins, steps, columns)
    times = isinstance(table["target"].dtype, pd.DatetimeTZDtype)
    origin, target = (_numbers(table[name]) for name in ("origin", "target"))
    start = int(origin.min())
    slide = int(((target - origin) // table["step"].to_numpy()).min())
    place = (target - start) // slide
    actual = np.full((int(place.max()) + 1, len(names)), np.nan)
    column = pd.Index(names).get_indexer(pd.Index(table["column"]))
    actual[place, column] = table["actual"].to_numpy(dtype=np.float64)
    return {
        "times": times,
        "start": start,
        "slide": slide,
        "count": len(actual),
        "shown": (LAST // pd.Timedelta(slide, unit="ms") if times else LAST_ROWS) + len(steps),
        "coverage": coverage,
        "steps": steps.tolist(),
        "origins": ((np.unique(origin) - start) // slide).tolist(),
        "columns": [
            {
                "name": name,
                "unit": unit_of(name),
                "actual": _rounded(actual[:, n]),
                **{
                    which: [_rounded(row) for row in values[k, :, :, n].T]
                    for k, which in enumerate(("forecast", "lower", "upper"))
                },
            }
            for n, name in enumerate(names)
        ],
    }


def _incidents(document: dict[str, Any], incidents: Sequence[Incident]) -> list[dict[str, Any]]:
    """Return the incidents on the page that no rule keeps quiet, by places on its grid."""
    found = []
    for one in incidents:
        labels = pd.Series([one.start, one.end])
        first, last = ((_numbers(labels) - document["start"]) // document["slide"]).tolist()
        if one.suppressed is None and first < document["count"] and last >= 0:
            found.append(
                {
                    "first": max(first, 0),
                    "last": min(last, document["count"] - 1),
                    "kind": one.kind,
                    "columns": list(one.columns),
                    "text": one.text,
                }
            )
    return found


def _numbers(labels: pd.Series) -> np.ndarray:
    """Return milliseconds since the epoch, or row numbers: `(rows,)`, int64."""
    if isinstance(labels.dtype, pd.DatetimeTZDtype):
        labels = labels.dt.as_unit("ms")
    return np.asarray(labels.astype("int64"))


def _rounded(values: np.ndarray) -> list[float | None]:
    return [float(f"{v:.{DIGITS}g}") if np.isfinite(v) else None for v in values.tolist()]
