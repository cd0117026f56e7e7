"""The one style of all pictures: legible in print and on screen, colour-blind safe, UTC.

Colours are Okabe and Ito's (2008), which people with any of the usual colour
blindnesses tell apart; marks, dashes and hatches differ as well, so that a print
without colours says the same.  A picture is as wide as a page of text: shrunk to
A4 its smallest letters are still larger than 5 points.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mods.errors import ConfigError
from mods.files import write_aside

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "check_figure",
    "drawing",
    "entitle",
    "label_time",
    "label_values",
    "picture",
    "positions",
    "save_figure",
    "unit_of",
]

BLACK, GREY, LIGHT = "#000000", "#595959", "#BBBBBB"
BLUE, GREEN, VERMILION = "#0072B2", "#009E73", "#D55E00"
#: Inches and pixels an inch: 1,320 pixels, which a screen and a column of a page show.
WIDTH, DPI = 8.8, 150
#: Points of what is said beside the axes' own labels; nothing is smaller.
SMALL = 8
#: More panels make a picture that no screen shows and no encoder takes.
MAX_PANELS = 48
#: Larger numbers than this are written with k, M or G.
LARGEST_PLAIN = 100_000
#: Endings of column names that tell the unit.
UNITS = {"_kb": "kB", "_mb": "MB", "_gb": "GB", "_bytes": "bytes", "_duration": "s"}
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "both",
    "grid.color": "#E2E2E2",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "hatch.linewidth": 0.8,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.constrained_layout.w_pad": 0.06,
}


@contextmanager
def drawing(height: float) -> Iterator[Figure]:
    """Give a figure of the one width to draw on, in the one style; nothing global changes.

    Parameters
    ----------
    height
        Inches.

    Examples
    --------
    >>> with drawing(2) as figure:
    ...     axes = figure.add_subplot()
    >>> figure.get_size_inches().tolist()
    [8.8, 2.0]
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained", dpi=DPI)
        FigureCanvasAgg(figure)
        yield figure


def entitle(figure: Figure, title: str) -> None:
    """Write what the picture is of at its top left, where there is anything to write."""
    if title:
        figure.suptitle(title, x=0.008, ha="left", fontsize=12, fontweight="bold")


def positions(labels: pd.Index) -> Any:
    """Return labels as Matplotlib takes them: plain datetime64 in UTC, or row numbers."""
    import pandas as pd  # what only asks whether a picture can be drawn starts without it

    if isinstance(labels, pd.DatetimeIndex):
        # Matplotlib takes plain datetime64 for UTC, and is slow on times with a zone.
        return labels.tz_convert("UTC").tz_localize(None).to_numpy()
    return labels.to_numpy()


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


def label_time(axes: Axes, times: bool, *, what: str = "start of the window") -> None:
    """Label the axis of the windows: times in UTC, or row numbers."""
    if times:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator(tz="UTC", minticks=5, maxticks=12)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(
            ConciseDateFormatter(locator, tz="UTC")  # type: ignore[no-untyped-call]
        )
        axes.set_xlabel(f"{what}, UTC")
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


def check_figure(path: Path | str | None) -> None:
    """Raise `ConfigError` where `--figure` is given and names no PNG; before the work is done."""
    if path is not None and Path(path).suffix.lower() != ".png":
        raise ConfigError(f"--figure {str(path)!r}", "a path that ends in .png")


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
