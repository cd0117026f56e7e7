"""Pictures of forecasts: each column beside its interval, and what lies outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mods.errors import DataError, did_you_mean
from mods.visualization.incident_marks import (
    kinds_of,
    lines_of,
    sentences,
    shade,
    told_between,
)
from mods.visualization.style import (
    BLACK,
    BLUE,
    GREY,
    MAX_PANELS,
    SMALL,
    VERMILION,
    drawing,
    entitle,
    label_time,
    label_values,
    picture,
    positions,
    save_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mods.anomaly.incidents import Incident

__all__ = ["chosen_series", "picture", "plot_forecast", "save_figure"]

#: What is shown where nothing else is asked; rows without times are taken for ten minutes each.
DAYS, DAYS_WITH_INCIDENTS, ROWS_A_DAY = 2, 5, 144
LAST, LAST_ROWS = pd.Timedelta(days=DAYS), DAYS * ROWS_A_DAY


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
    step = _first_step(table) if step is None else step
    days = DAYS if incidents is None else DAYS_WITH_INCIDENTS
    series = chosen_series(table, columns=columns, step=step, last=last, days=days)
    if len(series) > MAX_PANELS:
        raise DataError(
            f"{len(series):,} columns in one picture", f"at most {MAX_PANELS}", "Choose some."
        )
    panel = 1.7 if len(series) <= 4 else 1.4
    told, text = _told(incidents, series)
    height = 1.1 + panel * len(series) + (0.16 * (lines_of(text) + 1) if text else 0)
    with drawing(height) as figure:
        panels = list(np.atleast_1d(figure.subplots(len(series), 1, sharex=True)))
        for axes, (name, rows) in zip(panels, series.items(), strict=True):
            _draw(axes, rows, name, step, coverage)
            for number, incident in enumerate(told, start=1):
                if name in incident.columns:
                    shade(axes, incident, number, rows["target"].min(), rows["target"].max())
        label_time(panels[-1], isinstance(table["target"].dtype, pd.DatetimeTZDtype))
        figure.align_ylabels(panels)
        entitle(figure, title)
        if text:
            # Part of the axis, so that the legend below makes room for it.
            label = f"{panels[-1].get_xlabel()}\n\n{text}"
            panels[-1].set_xlabel(label, loc="left", fontsize=SMALL)
        handles = [*panels[0].get_legend_handles_labels()[0], *kinds_of(told)]
        figure.legend(
            handles=handles,
            loc="outside lower left",
            ncols=len(handles) if len(handles) <= 5 else 3,
        )
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
    axes.set_title(told, loc="right", fontsize=SMALL, fontweight="normal", color=GREY)
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
        fontsize=SMALL,
        color=GREY,
    )
