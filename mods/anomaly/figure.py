"""A picture of incidents: five days, each column with what was expected, incidents shaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mods.anomaly.detect import Detection
from mods.anomaly.incidents import Incident
from mods.anomaly.scores import SHARP_STEP

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_incidents"]

_DAYS = 5
#: More sentences than these do not fit beside the picture.
_TOLD = 6
_COLOURS = {"departure": "#D55E00", "outage": "#666666"}


def plot_incidents(detection: Detection, *, days: int = _DAYS) -> Figure:
    """Draw the days that end after the strangest incident, and tell its incidents.

    Parameters
    ----------
    detection
        What was found.
    days
        How many of them to show; around the strangest incident that no rule suppressed, the
        last ones where there is none.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from mods.visualization.visualize import DPI, STYLE

    shown = _shown(detection, days)
    forecasts = detection.forecasts
    told = [one for one in detection.incidents if one.suppressed is None and _overlaps(one, shown)]
    told = sorted(told, key=_strangeness)[:_TOLD]
    told.sort(key=lambda incident: incident.start)
    with rc_context(STYLE):
        count = len(forecasts.columns)
        height = 1.2 + 1.9 * count + 0.24 * len(told)
        figure = Figure(figsize=(11, height), layout="constrained", dpi=DPI)
        FigureCanvasAgg(figure)
        panels = list(np.atleast_1d(figure.subplots(count, 1, sharex=True)))
        rows = forecasts.windows.isin(shown)
        for place, axes in enumerate(panels):
            _draw(axes, detection, rows, place)
            for number, incident in enumerate(told, start=1):
                _shade(axes, incident, forecasts.columns[place], number)
        timed = isinstance(forecasts.windows, pd.DatetimeIndex)
        panels[-1].set_xlabel("start of the window, UTC" if timed else "window, row number from 0")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=len(labels))
        text = [f"{number}  {one.text}" for number, one in enumerate(told, start=1)]
        figure.supxlabel(
            "\n".join(text or ["No incident in these days."]), x=0.01, ha="left", fontsize=9
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
    worst = min(told, key=_strangeness)
    middle = int(windows.get_indexer(pd.Index([worst.peak]), method="nearest")[0])
    first = max(0, min(middle - count // 2, len(windows) - count))
    return windows[first : first + count]


def _strangeness(incident: Incident) -> float:
    """Return a key that sorts the strangest first; an outage is as strange as its windows."""
    return -float(incident.windows) if np.isnan(incident.score) else -incident.score


def _overlaps(incident: Incident, shown: pd.Index) -> bool:
    return bool(len(shown) and incident.start <= shown[-1] and incident.end >= shown[0])


def _draw(axes: Axes, detection: Detection, rows: np.ndarray, place: int) -> None:
    forecasts = detection.forecasts
    step = min(SHARP_STEP, forecasts.point.shape[1]) - 1
    where = _positions(forecasts.windows[rows])
    lower, upper, point = (
        values[rows, step, place] for values in (forecasts.lower, forecasts.upper, forecasts.point)
    )
    axes.fill_between(
        where,
        lower,
        upper,
        color="#0072B2",
        alpha=0.2,
        lw=0,
        label=f"expected {step + 1} windows before",
    )
    axes.plot(where, point, color="#0072B2", lw=0.9, ls="--")
    axes.plot(where, forecasts.actual[rows, place], color="#000000", lw=1.1, label="seen")
    axes.set_title(forecasts.columns[place])
    axes.margins(x=0.01)


def _shade(axes: Axes, incident: Incident, column: str, number: int) -> None:
    if column not in incident.columns:
        return
    first, last = _positions(pd.Index([incident.start, incident.end]))
    axes.axvspan(first, last, color=_COLOURS[incident.kind], alpha=0.25, lw=1)
    axes.annotate(
        str(number),
        (first, 1.0),
        xycoords=("data", "axes fraction"),
        fontsize=9,
        va="top",
        ha="right",
    )


def _positions(labels: pd.Index) -> Any:
    if isinstance(labels, pd.DatetimeIndex):
        # Matplotlib takes plain datetime64 for UTC, and is slow on times with a zone.
        return labels.tz_convert("UTC").tz_localize(None).to_numpy()
    return labels.to_numpy()
