"""A picture of a selection: columns ranked, their statistics, how each tells of itself later."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from mods.errors import DataError
from mods.features.verdict import CARE, KEEP, LEAVE
from mods.visualization.style import (
    BLUE,
    GREY,
    LIGHT,
    MAX_PANELS,
    SMALL,
    VERMILION,
    drawing,
    entitle,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mods.features.select_features import Selection
    from mods.features.verdict import Measured, Verdict

__all__ = ["plot_selection"]

#: Colour and hatch differ, so that colour alone says nothing.
_LOOK = {KEEP: (BLUE, ""), CARE: (VERMILION, "//"), LEAVE: (LIGHT, "..")}
#: Letters that fit below a bar, and how many lines of a reason.
_LETTERS, _LINES = 66, 2


def plot_selection(selection: Selection, *, title: str = "") -> Figure:
    """Draw what each column tells, best first, with its statistics and autocorrelations.

    Below each bar stand the reason of the verdict, and the level (ADF and KPSS read together,
    with their p-values), the demand, and the drift where it was asked for. Beside it are the
    autocorrelation with its strongest periods, and the partial autocorrelation.

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
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    verdicts = selection.verdicts
    if len(verdicts) > MAX_PANELS:
        raise DataError(
            f"{len(verdicts):,} columns in one picture", f"at most {MAX_PANELS}", "Choose some."
        )
    with drawing(1.5 + 0.95 * len(verdicts)) as figure:
        grid = figure.add_gridspec(len(verdicts), 3, width_ratios=(3, 1.6, 1.1))
        _draw_ranking(figure.add_subplot(grid[:, 0]), verdicts, bool(selection.targets))
        for place, draw, name in (
            (1, _draw_autocorrelation, "Autocorrelation"),
            (2, _draw_partial, "Partial"),
        ):
            shared: Axes | None = None
            for row, one in enumerate(verdicts):
                axes = figure.add_subplot(grid[row, place], sharex=shared)
                shared = shared or axes
                _prepare(axes, first=name if row == 0 else "", last=row == len(verdicts) - 1)
                draw(axes, one)
        handles: list[Artist] = [
            Patch(facecolor=colour, hatch=hatch, edgecolor="white", label=verdict)
            for verdict, (colour, hatch) in _LOOK.items()
        ]
        handles.append(
            Line2D([], [], color=GREY, ls=":", label="noise stays within, 19 lags of 20")
        )
        figure.legend(handles=handles, loc="outside lower left", ncols=len(handles))
        entitle(figure, title)
    return figure


def _draw_ranking(axes: Axes, verdicts: tuple[Verdict, ...], targeted: bool) -> None:
    rows = np.arange(len(verdicts))
    values = [one.measured.best_information for one in verdicts]
    for row, value, one in zip(rows, values, verdicts, strict=True):
        colour, hatch = _LOOK[one.verdict]
        axes.barh(row, value, height=0.36, color=colour, hatch=hatch, edgecolor="white")
        axes.annotate(
            "\n".join([*_lines(one.reason), *_lines(_statistics(one.measured))]),
            (0, row + 0.2),
            xytext=(3, -1),
            textcoords="offset points",
            va="top",
            fontsize=SMALL,
            color=GREY,
        )
    axes.set_yticks(rows, [one.column for one in verdicts])
    axes.set_ylim(len(verdicts) - 0.35, -0.45)
    axes.set_xlim(0, max(1.05 * max(values), 0.1))
    axes.grid(visible=False)
    axes.set_title("What it tells, and the verdict")
    whom = "the targets" if targeted else "itself"
    axes.set_xlabel(f"information about {whom} later, nats (most over the steps)")


def _statistics(measured: Measured) -> str:
    said = []
    if measured.stationarity is not None:
        level = measured.stationarity
        said.append(f"{level.kind} (ADF p {level.adf:.2g}, KPSS p {level.kpss:.2g})")
    if measured.demand is not None:
        said.append(measured.demand.kind)
    if measured.drift is not None and np.isfinite(measured.drift.index):
        said.append(f"PSI {measured.drift.index:.2f}")
    return ", ".join(said)


def _lines(text: str) -> list[str]:
    return textwrap.wrap(text, _LETTERS, max_lines=_LINES, placeholder=" ...")


def _prepare(axes: Axes, *, first: str, last: bool) -> None:
    axes.set_ylim(-1.05, 1.05)
    axes.set_yticks([-1, 0, 1])
    axes.tick_params(labelsize=SMALL, labelbottom=last)
    axes.set_title(first)
    if last:
        axes.set_xlabel("windows later")


def _draw_autocorrelation(axes: Axes, one: Verdict) -> None:
    found = one.measured.autocorrelation
    if found is None:
        axes.text(0.02, 0.6, "nothing to measure", transform=axes.transAxes, size=SMALL)
        return
    colour = _colour(one)
    axes.plot(np.arange(len(found.full)), found.full, color=colour, lw=1.2)
    _bound(axes, found.bound)
    strongest = found.periods[0] if found.periods else 0
    for period in found.periods:
        beside = "center" if period == strongest else "right" if period < strongest else "left"
        axes.plot(period, found.full[period], "o", color=colour, markersize=4)
        axes.annotate(
            f"{period}",
            (period, found.full[period]),
            xytext=({"center": 0, "right": -3, "left": 3}[beside], 4),
            textcoords="offset points",
            ha=beside,
            va="bottom",
            fontsize=SMALL,
        )


def _draw_partial(axes: Axes, one: Verdict) -> None:
    found = one.measured.autocorrelation
    if found is None:
        return
    lags = np.arange(1, len(found.partial))
    axes.vlines(lags, 0, found.partial[1:], color=_colour(one), lw=1.6)
    axes.axhline(0, color=GREY, lw=0.6)
    _bound(axes, found.bound)


def _bound(axes: Axes, bound: float) -> None:
    for side in (-bound, bound):
        axes.axhline(side, color=GREY, lw=0.8, ls=":")


def _colour(one: Verdict) -> str:
    return GREY if one.verdict == LEAVE else _LOOK[one.verdict][0]
