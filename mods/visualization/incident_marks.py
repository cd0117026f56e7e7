"""Incidents in a picture: shaded where they departed, numbered, and told below it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mods.visualization.style import GREY, VERMILION, positions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Patch

    from mods.anomaly.incidents import Incident

__all__ = ["kinds_of", "lines_of", "sentences", "shade", "strangeness", "told_between"]

#: More sentences than these do not fit below a picture.
MOST_TOLD = 6
_COLOURS = {"departure": VERMILION, "outage": GREY}
_NAMES = {"departure": "incident", "outage": "no data"}
#: A number takes this share of a panel's width.
_ROOM = 0.03
#: Letters of the smallest size that fit into a line of a picture.
_LINE = 130


def told_between(incidents: Sequence[Incident], first: Any, last: Any) -> list[Incident]:
    """Return the strangest incidents that overlap `[first, last]` and no rule keeps quiet.

    At most `MOST_TOLD`, by their start.
    """
    told = [
        one
        for one in incidents
        if one.suppressed is None and one.start <= last and one.end >= first
    ]
    return sorted(sorted(told, key=strangeness)[:MOST_TOLD], key=lambda one: one.start)


def strangeness(incident: Incident) -> float:
    """Return a key that sorts the strangest first; an outage is as strange as its windows."""
    return -float(incident.windows) if np.isnan(incident.score) else -incident.score


def shade(axes: Axes, incident: Incident, number: int, first: Any, last: Any) -> None:
    """Shade an incident in a panel of a column that it touches, as far as it is shown.

    Parameters
    ----------
    axes, incident
        Where, and what.
    number
        What it is called in the sentences.
    first, last
        The windows that the panel begins and ends with.
    """
    start, end = positions(pd.Index([max(incident.start, first), min(incident.end, last)]))
    axes.axvspan(start, end, color=_COLOURS[incident.kind], alpha=0.25, lw=1)
    left, right = positions(pd.Index([first, last]))
    # Left of it, where there is room for a number.
    beside = start - left > _ROOM * (right - left)
    axes.annotate(
        f" {number} ",
        (start if beside else end, 1.0),
        xycoords=("data", "axes fraction"),
        fontsize=9,
        fontweight="bold",
        va="top",
        ha="right" if beside else "left",
    )


def kinds_of(told: Sequence[Incident]) -> list[Patch]:
    """Return what the legend shows of the incidents: one patch a kind."""
    from matplotlib.patches import Patch

    kinds = dict.fromkeys(one.kind for one in told)
    return [Patch(color=_COLOURS[kind], alpha=0.25, label=_NAMES[kind]) for kind in kinds]


def sentences(told: Sequence[Incident]) -> str:
    """Return the incidents' numbers and sentences, in lines that fit below a picture."""
    lines = []
    for number, one in enumerate(told, start=1):
        lines += textwrap.wrap(f"{number}  {one.text}", _LINE, subsequent_indent="    ")
    return "\n".join(lines or ["No incident in these windows."])


def lines_of(text: str) -> int:
    """Return how many lines a text takes."""
    return text.count("\n") + 1
