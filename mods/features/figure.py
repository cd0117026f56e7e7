"""A picture of a selection: the columns ranked, and how each tells of itself later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mods.errors import DataError
from mods.features.verdict import CARE, KEEP, LEAVE
from mods.visualization.visualize import BLUE, GREY, MAX_PANELS, STYLE, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mods.features.select_features import Selection
    from mods.features.verdict import Verdict

__all__ = ["plot_selection"]

#: Colour and hatch differ, so that colour alone says nothing.
_LOOK = {KEEP: (BLUE, ""), CARE: (VERMILION, "//"), LEAVE: ("#BBBBBB", "..")}


def plot_selection(selection: Selection, *, title: str = "") -> Figure:
    """Draw what each column tells, best first, and its autocorrelation beside it.

    Parameters
    ----------
    selection
        What `mods.features.select_features.select_features` returned.
    title
        What the picture is of.

    Raises
    ------
    DataError
        Where it has more columns than a picture shows.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    verdicts = selection.verdicts
    if len(verdicts) > MAX_PANELS:
        raise DataError(
            f"{len(verdicts):,} columns in one picture", f"at most {MAX_PANELS}", "Choose some."
        )
    with rc_context(STYLE):
        figure = Figure(figsize=(11, 1.7 + 0.75 * len(verdicts)), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(len(verdicts), 2, width_ratios=(3, 2))
        ranking = figure.add_subplot(grid[:, 0])
        _draw_ranking(ranking, verdicts, bool(selection.targets))
        shared: Axes | None = None
        for place, one in enumerate(verdicts):
            axes = figure.add_subplot(grid[place, 1], sharex=shared)
            shared = shared or axes
            _draw_autocorrelation(axes, one, last=place == len(verdicts) - 1)
            if place == 0:
                axes.set_title("Autocorrelation (dotted: noise)")
        handles = [
            Patch(facecolor=colour, hatch=hatch, edgecolor="white", label=verdict)
            for verdict, (colour, hatch) in _LOOK.items()
        ]
        figure.legend(handles=handles, loc="outside lower left", ncols=len(handles))
        if title:
            figure.suptitle(title, x=0.008, ha="left", fontsize=13, fontweight="bold")
    return figure


def _draw_ranking(axes: Axes, verdicts: tuple[Verdict, ...], targeted: bool) -> None:
    rows = np.arange(len(verdicts))
    values = [one.measured.best_information for one in verdicts]
    for row, value, one in zip(rows, values, verdicts, strict=True):
        colour, hatch = _LOOK[one.verdict]
        axes.barh(row, value, height=0.45, color=colour, hatch=hatch, edgecolor="white")
        axes.annotate(
            _short(one.reason),
            (0, row + 0.24),
            xytext=(3, -1),
            textcoords="offset points",
            va="top",
            fontsize=8,
            color=GREY,
        )
    axes.set_yticks(rows, [one.column for one in verdicts])
    axes.set_ylim(len(verdicts) - 0.4, -0.5)
    axes.set_xlim(0, max(1.05 * max(values), 0.1))
    axes.grid(visible=False, axis="y")
    axes.set_title("What it tells, and the verdict")
    whom = "the targets" if targeted else "itself"
    axes.set_xlabel(f"information about {whom} later, nats (most over the steps)")


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."


def _draw_autocorrelation(axes: Axes, one: Verdict, *, last: bool) -> None:
    found = one.measured.autocorrelation
    axes.set_ylim(-1.05, 1.05)
    axes.set_yticks([-1, 0, 1])
    axes.tick_params(labelsize=8, labelbottom=last)
    if last:
        axes.set_xlabel("windows later")
    if found is None:
        axes.text(0.02, 0.5, "nothing to measure", transform=axes.transAxes, va="center", size=8)
        return
    colour = _LOOK[one.verdict][0] if one.verdict != LEAVE else GREY
    axes.plot(np.arange(len(found.full)), found.full, color=colour, lw=1.2)
    for side in (-found.bound, found.bound):
        axes.axhline(side, color=GREY, lw=0.8, ls=":")
    for period in found.periods[:1]:
        axes.plot(period, found.full[period], "o", color=colour, markersize=4)
        axes.annotate(
            f"{period}",
            (period, found.full[period]),
            xytext=(4, 2),
            textcoords="offset points",
            fontsize=8,
        )
