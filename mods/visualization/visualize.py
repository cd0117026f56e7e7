"""Pictures of forecasts: one style, legible in print and on screen, colour-blind safe, UTC.

Colours are Okabe and Ito's (2008), which people with any of the usual colour
blindnesses tell apart; marks differ in shape as well as in colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mods.errors import DataError
from mods.files import write_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["picture", "plot_forecast", "save_figure"]

BLACK, BLUE, VERMILION = "#000000", "#0072B2", "#D55E00"
STYLE: Any = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}
#: Windows shown where nothing else is asked: two days of ten minutes.
LAST = 288


def plot_forecast(
    table: pd.DataFrame,
    *,
    columns: Sequence[str] | None = None,
    step: int = 1,
    last: int | None = LAST,
    title: str = "",
) -> Figure:
    """Draw each column's actual values, its forecast with the interval, and its departures.

    Shown are the forecasts made `step` windows ahead, and after the last origin
    all the steps that follow it.

    Parameters
    ----------
    table
        The forecast table, `(rows, 8)`.
    columns
        Which columns, in which order; all of the table's by default.
    step
        How many windows ahead.
    last
        How many of the last windows; None for all.
    title
        What the picture is of.

    Raises
    ------
    DataError
        Where the table holds nothing to draw.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(columns) if columns is not None else list(dict.fromkeys(table["column"]))
    if not names or table.empty:
        raise DataError("no forecast to draw", "a forecast table with rows")
    with rc_context(STYLE):
        figure = Figure(figsize=(11, 1.1 + 2.2 * len(names)), layout="constrained")
        FigureCanvasAgg(figure)
        panels = np.atleast_1d(figure.subplots(len(names), 1, sharex=True))
        for axes, name in zip(panels, names, strict=True):
            _draw_column(axes, _series(table[table["column"] == name], step, last), name)
        handles, labels = _legend(panels)
        figure.legend(handles, labels, loc="outside upper right", ncols=len(labels))
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
        _label_time(panels[-1], table)
        figure.align_ylabels(list(panels))
    return figure


def _series(rows: pd.DataFrame, step: int, last: int | None) -> pd.DataFrame:
    """Return one row a window: the forecast `step` ahead, then all that the last origin says."""
    origin = rows["origin"].max()
    ahead = rows[rows["step"] == step]
    beyond = rows[(rows["origin"] == origin) & (rows["step"] > step)]
    shown: pd.DataFrame = pd.concat([ahead, beyond]).sort_values("target")
    if last is not None:
        shown = shown.tail(last + len(beyond))
    return shown


def _draw_column(axes: Axes, rows: pd.DataFrame, name: str) -> None:
    where = rows["target"].to_numpy()
    actual = rows["actual"].to_numpy(dtype=np.float64)
    lower, upper = (rows[end].to_numpy(dtype=np.float64) for end in ("lower", "upper"))
    axes.fill_between(where, lower, upper, color=BLUE, alpha=0.22, lw=0, label="interval")
    axes.plot(where, rows["forecast"], color=BLUE, lw=1.2, label="forecast")
    axes.plot(where, actual, color=BLACK, lw=1.0, label="actual")
    outside = (actual < lower) | (actual > upper)
    axes.plot(
        where[outside],
        actual[outside],
        linestyle="none",
        marker="o",
        markersize=6,
        markerfacecolor="none",
        markeredgecolor=VERMILION,
        markeredgewidth=1.4,
        label="outside the interval",
    )
    axes.set_title(name)
    axes.margins(x=0.01)
    axes.ticklabel_format(axis="y", style="plain", useOffset=False)
    axes.yaxis.set_major_formatter(_thousands())
    known = np.isfinite(actual)
    if known.any() and not known.all() and not known[-1]:
        # What comes after the last actual value is not judged yet, but forecast.
        axes.axvline(where[np.flatnonzero(known)[-1]], color="#888888", lw=0.8, ls=":")


def _thousands() -> Any:
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda value, _position: f"{value:,.10g}")


def _legend(panels: np.ndarray) -> tuple[list[Any], list[str]]:
    handles, labels = panels[0].get_legend_handles_labels()
    return list(handles), list(labels)


def _label_time(axes: Axes, table: pd.DataFrame) -> None:
    if isinstance(table["target"].dtype, pd.DatetimeTZDtype):
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator(tz="UTC")  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(
            ConciseDateFormatter(locator, tz="UTC")  # type: ignore[no-untyped-call]
        )
        axes.set_xlabel("start of the window, UTC")
    else:
        axes.set_xlabel("window (row number)")


def save_figure(figure: Figure, path: Path | str) -> Path:
    """Save a figure as PNG, written aside and renamed; return its path."""
    path = Path(path)
    with write_aside(path) as partial:
        figure.savefig(partial, format="png", dpi=120)
    return path


def picture(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG."""
    from io import BytesIO

    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()
