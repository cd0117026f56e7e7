"""A picture of incidents: five days, each column with what was expected, incidents shaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mods.anomaly.detect import Detection
from mods.anomaly.scores import SHARP_STEP
from mods.errors import DataError
from mods.visualization.incident_marks import (
    kinds_of,
    lines_of,
    sentences,
    shade,
    strangeness,
    told_between,
)
from mods.visualization.style import (
    BLACK,
    BLUE,
    SMALL,
    drawing,
    entitle,
    label_time,
    label_values,
    positions,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mods.anomaly.incidents import Incident

__all__ = ["plot_incidents"]

_DAYS = 5


def plot_incidents(detection: Detection, *, days: int = _DAYS) -> Figure:
    """Draw the days that end after the strangest incident, and tell its incidents.

    Parameters
    ----------
    detection
        What was found.
    days
        How many of them to show; around the strangest incident that no rule suppressed, the
        last ones where there is none.

    Raises
    ------
    DataError
        Where nothing was forecast.
    """
    shown = _shown(detection, days)
    if shown.empty:
        raise DataError(
            "no window to draw", "windows that were forecast", "Ask for a later or longer range."
        )
    forecasts = detection.forecasts
    told = told_between(detection.incidents, shown[0], shown[-1])
    text = sentences(told)
    count = len(forecasts.columns)
    with drawing(1.1 + 1.6 * count + 0.16 * lines_of(text)) as figure:
        panels = list(np.atleast_1d(figure.subplots(count, 1, sharex=True)))
        rows = forecasts.windows.isin(shown)
        for place, axes in enumerate(panels):
            _draw(axes, detection, rows, place)
            for number, incident in enumerate(told, start=1):
                if forecasts.columns[place] in incident.columns:
                    shade(axes, incident, number, shown[0], shown[-1])
        label_time(panels[-1], isinstance(forecasts.windows, pd.DatetimeIndex))
        figure.align_ylabels(panels)
        entitle(figure, _title(told))
        label = f"{panels[-1].get_xlabel()}\n\n{text}"
        panels[-1].set_xlabel(label, loc="left", fontsize=SMALL)
        handles = [*panels[0].get_legend_handles_labels()[0], *kinds_of(told)]
        figure.legend(
            handles=handles,
            loc="outside lower left",
            ncols=len(handles) if len(handles) <= 5 else 3,
        )
    return figure


def _shown(detection: Detection, days: int) -> pd.Index:
    """Return the windows to draw."""
    windows = detection.forecasts.windows[
        detection.forecasts.windows.isin(detection.scores["window"])
    ]
    count = days * detection.forecasts.per_day
    told = [one for one in detection.incidents if one.suppressed is None]
    if not told:
        return windows[-count:]
    worst = min(told, key=strangeness)
    middle = int(windows.get_indexer(pd.Index([worst.peak]), method="nearest")[0])
    first = max(0, min(middle - count // 2, len(windows) - count))
    return windows[first : first + count]


def _draw(axes: Axes, detection: Detection, rows: np.ndarray, place: int) -> None:
    forecasts = detection.forecasts
    step = min(SHARP_STEP, forecasts.point.shape[1]) - 1
    where = positions(forecasts.windows[rows])
    lower, upper, point = (
        values[rows, step, place] for values in (forecasts.lower, forecasts.upper, forecasts.point)
    )
    axes.fill_between(
        where,
        lower,
        upper,
        color=BLUE,
        alpha=0.2,
        lw=0,
        label="likely range",
    )
    axes.plot(
        where, point, color=BLUE, lw=1.0, ls="--", label=f"expected {step + 1} windows before"
    )
    axes.plot(where, forecasts.actual[rows, place], color=BLACK, lw=1.1, label="seen")
    axes.set_title(forecasts.columns[place])
    axes.margins(x=0.01)
    values = np.concatenate([forecasts.actual[rows, place], lower, upper])
    label_values(axes, forecasts.columns[place], values)


def _title(told: list[Incident]) -> str:
    return f"{len(told) or 'No'} incident{'' if len(told) == 1 else 's'}"
