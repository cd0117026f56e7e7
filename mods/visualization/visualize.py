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

from mods.errors import DataError, did_you_mean
from mods.files import write_aside
from mods.visualization.incident_marks import (
    kinds_of,
    lines_of,
    positions,
    sentences,
    shade,
    told_between,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mods.anomaly.incidents import Incident

__all__ = [
    "chosen_series",
    "label_time",
    "label_values",
    "picture",
    "plot_forecast",
    "save_figure",
    "unit_of",
]

BLACK, GREY, BLUE, VERMILION = "#000000", "#666666", "#0072B2", "#D55E00"
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "both",
    "grid.color": "#E2E2E2",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
}
#: What is shown where nothing else is asked; rows without times are taken for ten minutes each.
DAYS, DAYS_WITH_INCIDENTS, ROWS_A_DAY = 2, 5, 144
LAST, LAST_ROWS = pd.Timedelta(days=DAYS), DAYS * ROWS_A_DAY
#: Larger numbers than this are written with k, M or G.
LARGEST_PLAIN = 100_000
#: Endings of column names that tell the unit.
UNITS = {"_kb": "kB", "_mb": "MB", "_gb": "GB", "_bytes": "bytes", "_duration": "s"}
DPI = 120
#: More panels make a picture that no screen shows and no encoder takes.
MAX_PANELS = 48


def plot_forecast(
    table: pd.DataFrame,
    *,
    columns: Sequence[str] | None = None,
    step: int | None = None,
    last: int | None = None,
    coverage: float | None = None,
    title: str = "",
    incidents: Sequence[Incident] | None = None,
) -> Figure:
    """Draw each column's actual values, its forecast with the interval, and what lies outside.

    Shown are the forecasts made `step` windows ahead, and after the last origin
    all the steps that follow it.

    Parameters
    ----------
    table
        The forecast table, `(rows, 8)`.
    columns
        Which columns, in which order; all of the table's by default.
    step
        How many windows ahead; by default the fewest that the table has.
    last
        How many of the last windows; by default two days of them, or 288 rows where the table
        has no times; with `incidents`, five days or 720 rows.
    coverage
        What the interval is to hold, for the legend.
    title
        What the picture is of.
    incidents
        What departed: shaded in its columns' panels and told below them; None where nobody
        looked for any.

    Raises
    ------
    DataError
        Where the table holds nothing to draw, or not what is asked for.

    Examples
    --------
    >>> row = {"origin": 0, "target": 1, "step": 1, "column": "conn_in", "forecast": 2.0}
    >>> table = pd.DataFrame([row | {"lower": 1.0, "upper": 3.0, "actual": 4.0}])
    >>> [axes.get_title(loc="right") for axes in plot_forecast(table).axes]
    ['1 of 1 outside']
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    step = _first_step(table) if step is None else step
    days = DAYS if incidents is None else DAYS_WITH_INCIDENTS
    series = chosen_series(table, columns=columns, step=step, last=last, days=days)
    if len(series) > MAX_PANELS:
        raise DataError(
            f"{len(series):,} columns in one picture", f"at most {MAX_PANELS}", "Choose some."
        )
    panel = 2.1 if len(series) <= 4 else 1.6
    told, text = _told(incidents, series)
    height = 1.3 + panel * len(series) + (0.17 * (lines_of(text) + 1) if text else 0)
    with rc_context(STYLE):
        figure = Figure(figsize=(11, height), layout="constrained", dpi=DPI)
        FigureCanvasAgg(figure)
        panels = list(np.atleast_1d(figure.subplots(len(series), 1, sharex=True)))
        for axes, (name, rows) in zip(panels, series.items(), strict=True):
            _draw(axes, rows, name, step, coverage)
            for number, incident in enumerate(told, start=1):
                if name in incident.columns:
                    shade(axes, incident, number, rows["target"].min(), rows["target"].max())
        label_time(panels[-1], isinstance(table["target"].dtype, pd.DatetimeTZDtype))
        figure.align_ylabels(panels)
        if title:
            figure.suptitle(title, x=0.008, ha="left", fontsize=13, fontweight="bold")
        if text:
            # Part of the axis, so that the legend below makes room for it.
            panels[-1].set_xlabel(f"{panels[-1].get_xlabel()}\n\n{text}", loc="left", fontsize=9)
        handles = [*panels[0].get_legend_handles_labels()[0], *kinds_of(told)]
        figure.legend(handles=handles, loc="outside lower left", ncols=len(handles))
    return figure


def _told(
    incidents: Sequence[Incident] | None, series: dict[str, pd.DataFrame]
) -> tuple[list[Incident], str]:
    """Return the incidents to mark, and what is said below the picture."""
    if incidents is None:
        return [], ""
    first = min(rows["target"].min() for rows in series.values())
    last = max(rows["target"].max() for rows in series.values())
    told = told_between([one for one in incidents if series.keys() & set(one.columns)], first, last)
    return told, sentences(told)


def chosen_series(
    table: pd.DataFrame,
    *,
    columns: Sequence[str] | None = None,
    step: int | None = None,
    last: int | None = None,
    days: int = DAYS,
) -> dict[str, pd.DataFrame]:
    """Return for each column one row a window: what a picture or a page of it shows.

    A row is the forecast made `step` windows ahead; after the last origin follow all its
    further steps. Parameters and errors are those of `plot_forecast`; `days` is what is shown
    where `last` is not given.
    """
    step = _first_step(table) if step is None else step
    known = [str(name) for name in dict.fromkeys(table["column"])]
    names = known if columns is None else list(columns)
    if not names:
        raise DataError("no forecast to draw", "a forecast table with rows")
    for name in names:
        if name not in known:
            raise DataError(f"the table has no column {name!r}", mend=did_you_mean(name, known))
    if not (table["step"] == step).any():
        raise DataError(f"the table has no forecast {step} steps ahead", "a step that it has")
    return {name: _series(table[table["column"] == name], step, last, days) for name in names}


def _first_step(table: pd.DataFrame) -> int:
    return int(table["step"].min()) if len(table) else 1


def _series(rows: pd.DataFrame, step: int, last: int | None, days: int) -> pd.DataFrame:
    origin = rows["origin"].max()
    ahead = rows[rows["step"] == step]
    beyond = rows[(rows["origin"] == origin) & (rows["step"] > step)]
    if last is None and isinstance(ahead["target"].dtype, pd.DatetimeTZDtype):
        ahead = ahead[ahead["target"] > ahead["target"].max() - pd.Timedelta(days=days)]
    else:
        ahead = ahead.sort_values("target").tail(days * ROWS_A_DAY if last is None else last)
    shown: pd.DataFrame = pd.concat([ahead, beyond]).sort_values("target", ignore_index=True)
    return shown


def _draw(axes: Axes, rows: pd.DataFrame, name: str, step: int, coverage: float | None) -> None:
    where = positions(pd.Index(rows["target"]))
    actual, forecast, lower, upper = (
        rows[which].to_numpy(dtype=np.float64) for which in ("actual", "forecast", "lower", "upper")
    )
    # A line through one point is not seen.
    dot = "." if len(rows) <= 2 else ""
    promise = "interval" if coverage is None else f"{100 * coverage:g} % interval"
    ahead = f"forecast, {step} window{'s' if step > 1 else ''} ahead"
    axes.fill_between(where, lower, upper, color=BLUE, alpha=0.2, lw=0, label=promise)
    axes.plot(where, forecast, color=BLUE, lw=1.2, ls="--", marker=dot, label=ahead)
    axes.plot(where, actual, color=BLACK, lw=1.1, marker=dot, label="actual")
    outside = (actual < lower) | (actual > upper)
    axes.plot(
        where[outside],
        actual[outside],
        linestyle="none",
        marker="o",
        markersize=6,
        markerfacecolor="none",
        markeredgecolor=VERMILION,
        markeredgewidth=1.5,
        label="outside the interval",
    )
    axes.set_title(name)
    judged = int(np.isfinite(actual).sum())
    told = f"{int(outside.sum())} of {judged:,} outside" if judged else "not known yet"
    axes.set_title(told, loc="right", fontsize=9, fontweight="normal", color=GREY)
    axes.margins(x=0.01)
    label_values(axes, name, np.concatenate([actual, lower, upper]))
    _mark_beyond(axes, rows, where)


def _mark_beyond(axes: Axes, rows: pd.DataFrame, where: np.ndarray) -> None:
    """Shade what the last origin forecasts; none of it was known when it was made."""
    beyond = (rows["target"] > rows["origin"].max()).to_numpy()
    if beyond.sum() < 2:
        return
    first = max(0, int(np.flatnonzero(beyond)[0]) - 1)
    axes.axvspan(where[first], where[-1], color=GREY, alpha=0.08, lw=0)
    axes.axvline(where[first], color=GREY, lw=0.8, ls=":")
    axes.annotate(
        "last origin ",
        (where[first], 1.0),
        xycoords=("data", "axes fraction"),
        ha="right",
        va="top",
        fontsize=8,
        color=GREY,
    )


def label_values(axes: Axes, name: str, values: np.ndarray) -> None:
    """Label the axis of a column's values, with the unit that its name tells."""
    from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator

    known = np.abs(values[np.isfinite(values)])
    largest = float(known.max()) if len(known) else 0.0
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
    if largest > LARGEST_PLAIN:
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    else:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:,.10g}"))
    unit = unit_of(name)
    axes.set_ylabel(f"{unit} a window" if unit else "per window")


def label_time(axes: Axes, times: bool) -> None:
    """Label the axis of the windows: times in UTC, or row numbers."""
    if times:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator(tz="UTC", minticks=5, maxticks=14)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(
            ConciseDateFormatter(locator, tz="UTC")  # type: ignore[no-untyped-call]
        )
        axes.set_xlabel("start of the window, UTC")
    else:
        axes.set_xlabel("window, row number from 0")


def unit_of(name: str) -> str:
    """Return a column's unit where its name tells it, else nothing.

    Examples
    --------
    >>> unit_of("conn_in_kb"), unit_of("conn_in")
    ('kB', '')
    """
    return next((unit for ending, unit in UNITS.items() if name.endswith(ending)), "")


def save_figure(figure: Figure, path: Path | str) -> Path:
    """Save a figure as PNG, written aside and renamed; return its path.

    Raises
    ------
    DataError
        Where it cannot be written.
    """
    path = Path(path)
    with write_aside(path) as partial:
        partial.write_bytes(picture(figure))
    return path


def picture(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG."""
    from io import BytesIO

    from matplotlib import rc_context

    buffer = BytesIO()
    with rc_context(STYLE):
        figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()
