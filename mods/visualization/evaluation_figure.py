"""A picture of an evaluation: errors by step (the ladder), by hour of the day, and by level."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mods.visualization.style import BLACK, BLUE, GREEN, VERMILION, drawing, entitle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mods.models.evaluation import Evaluation
    from mods.models.slices import Slices

__all__ = ["plot_evaluation"]

#: Colour, mark, dashes and title of each line, so that colour alone says nothing.
_LINES = {
    "model": (BLUE, "o", "-", "model"),
    "persistence": (BLACK, "s", "--", "persistence"),
    "seasonal_naive": (GREEN, "^", "-.", "seasonal naive"),
    "gradient_boosting": (VERMILION, "D", ":", "gradient boosting"),
}
_AXES = {
    "hour": "hour of the target, UTC",
    "level": "level at the origin, fifths (1 is the lowest)",
}
#: Where the largest error is this many times the smallest, the axis is logarithmic: else a rung
#: that is far off presses all the others together.
_WIDE = 6


def plot_evaluation(evaluation: Evaluation, *, title: str = "") -> Figure:
    """Draw SMAPE by step, then by hour (where the data carry times) and level, first step.

    Each line is the mean over the columns, the model beside its baselines; a column in which
    a line has no error at all, such as one that is always zero, does not count in it.

    Parameters
    ----------
    evaluation
        What `mods.models.evaluation.evaluate` returned.
    title
        What the picture is of.
    """
    count = 1 + len(evaluation.slices)
    with drawing(0.8 + 2.1 * count) as figure:
        panels = np.atleast_1d(figure.subplots(count, 1))
        _draw_steps(panels[0], evaluation)
        for axes, part in zip(panels[1:], evaluation.slices, strict=True):
            _draw_slices(axes, part, evaluation)
        for axes in panels:
            _scale(axes)
        figure.align_ylabels(list(panels))
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=len(labels))
        entitle(figure, title)
    return figure


def _draw_steps(axes: Axes, evaluation: Evaluation) -> None:
    for name, scores in {"model": evaluation.model, **evaluation.baselines}.items():
        steps = evaluation.steps if name == "model" else evaluation.rung_steps(name)
        rows = [evaluation.steps.index(step) for step in steps]
        _line(axes, name, np.asarray(steps), _mean(scores["smape"][rows]))
    axes.set_title("By step: the model beside its baselines")
    axes.set_xlabel("windows ahead")
    axes.set_xticks(list(evaluation.steps))


def _draw_slices(axes: Axes, part: Slices, evaluation: Evaluation) -> None:
    step = evaluation.steps[0]
    for name, smape in part.smape.items():
        if name == "model" or step in evaluation.rung_steps(name):
            _line(axes, name, np.asarray(part.keys), _mean(smape[:, 0]))
    axes.set_title(f"By {part.kind}, {step} window{'s' if step > 1 else ''} ahead")
    axes.set_xlabel(_AXES[part.kind])
    axes.set_xticks(list(part.keys))


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over the columns that have any value: `(keys, columns)` to `(keys,)`."""
    there = values[:, np.isfinite(values).any(axis=0)]
    mean: np.ndarray = there.mean(axis=1) if there.shape[1] else np.full(len(values), np.nan)
    return mean


def _line(axes: Axes, name: str, x: np.ndarray, y: np.ndarray) -> None:
    colour, mark, dashes, title = _LINES[name]
    axes.plot(x, y, color=colour, marker=mark, ls=dashes, markersize=4, lw=1.3, label=title)


def _scale(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines])
    known = values[np.isfinite(values)]
    if len(known) and known.min() > 0 and known.max() / known.min() >= _WIDE:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylabel("SMAPE, %, log scale")
    else:
        axes.set_ylim(bottom=0)
        axes.set_ylabel("SMAPE, %")
