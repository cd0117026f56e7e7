"""A picture of a datapool: which days of which protocols it has, and where they are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mods.dataset.coverage import DAMAGED, MISSING, PARTLY, WHOLE, day_states
from mods.errors import DataError
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
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_coverage"]

#: Colour, colour of the edge, hatch and meaning, so that colour alone says nothing.
_LOOK = {
    WHOLE: (BLUE, BLUE, "", "all windows known"),
    PARTLY: ("#DCEFFA", "#56B4E9", "///", "some windows missing"),
    MISSING: ("#FFFFFF", VERMILION, "", "no file"),
    DAMAGED: (BLACK, BLACK, "", "cannot be read"),
}
#: A century has more days than a picture has pixels, and is a clock that jumped.
_MAX_DAYS = 36_600
#: So many days have a label each.
_EACH_DAY = 10


def plot_coverage(
    pool: Path | str, *, title: str = "", progress: Callable[[int], object] = lambda _files: None
) -> Figure:
    """Draw a datapool: a panel for each window, a row for each protocol, a mark for each day.

    Parameters
    ----------
    pool
        A folder or a zip.
    title
        What the picture is of.
    progress
        Called with 1 after each file.

    Raises
    ------
    NotFoundError, DataError
        Where there is no datapool, nothing in it, or more than a picture shows.
    """
    from matplotlib.patches import Patch

    states = day_states(pool, progress)
    windows = sorted({window for _, window in states})
    _check(states)
    heights = [sum(window == one for _, one in states) for window in windows]
    with drawing(1.0 + sum(0.75 + 0.32 * height for height in heights)) as figure:
        panels = figure.subplots(len(windows), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, window in zip(panels, windows, strict=True):
            rows = {protocol: days for (protocol, one), days in states.items() if one == window}
            _draw(axes, rows, window)
        seen = {state for days in states.values() for state in days.values()}
        handles = [
            Patch(facecolor=face, edgecolor=edge, hatch=hatch, label=text)
            for state, (face, edge, hatch, text) in _LOOK.items()
            if state in seen
        ]
        figure.legend(handles=handles, loc="outside lower left", ncols=len(handles))
        entitle(figure, title)
    return figure


def _check(states: dict[tuple[str, str], dict[date, str]]) -> None:
    if len(states) > MAX_PANELS:
        raise DataError(
            f"{len(states)} rows (a protocol and a window each) in one picture",
            f"at most {MAX_PANELS}",
        )
    most = max(len(days) for days in states.values())
    if most > _MAX_DAYS:
        raise DataError(
            f"{most:,} days in one picture", f"at most {_MAX_DAYS:,}", "Did a clock jump?"
        )


def _draw(axes: Axes, rows: dict[str, dict[date, str]], window: str) -> None:
    from matplotlib.dates import date2num

    for row, days in enumerate(rows.values()):
        _draw_row(axes, row, days)
        axes.annotate(
            _counted(days),
            (1.0, row),
            xycoords=("axes fraction", "data"),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
            color=GREY,
        )
    every = list(next(iter(rows.values())))
    axes.set_yticks(np.arange(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    first, end = date2num([every[0], every[-1] + timedelta(days=1)])  # type: ignore[no-untyped-call]
    axes.set_xlim(first, end)
    axes.grid(visible=False, axis="y")
    axes.set_title(window)
    _label_days(axes, len(every))


def _label_days(axes: Axes, days: int) -> None:
    label_time(axes, times=True, what="day")
    if days <= _EACH_DAY:
        from matplotlib.dates import ConciseDateFormatter, DayLocator

        # Few days would be told apart by hours, which say nothing here.
        locator = DayLocator(tz="UTC")  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(
            ConciseDateFormatter(locator, tz="UTC")  # type: ignore[no-untyped-call]
        )


def _draw_row(axes: Axes, row: int, days: dict[date, str]) -> None:
    """Draw the runs of days that are alike, what is wrong last so that nothing hides it."""
    runs: list[tuple[str, date, int]] = []
    for state, group in groupby(days.items(), key=lambda item: item[1]):
        same = [day for day, _ in group]
        runs.append((state, same[0], len(same)))
    order = list(_LOOK)
    for state, first, count in sorted(runs, key=lambda run: order.index(run[0])):
        face, edge, hatch, _ = _LOOK[state]
        axes.barh(
            row,
            np.timedelta64(count, "D"),
            left=np.datetime64(first),
            height=0.62,
            color=face,
            edgecolor=edge,
            hatch=hatch,
            # Wide enough to be seen where a day is less than a pixel.
            linewidth=0.8,
        )


def _counted(days: dict[date, str]) -> str:
    counts = Counter(days.values())
    text = f"{len(days) - counts[MISSING]:,} of {len(days):,} days"
    if counts[PARTLY]:
        text += f", {counts[PARTLY]:,} partly"
    if counts[DAMAGED]:
        text += f", {counts[DAMAGED]:,} damaged"
    return text
