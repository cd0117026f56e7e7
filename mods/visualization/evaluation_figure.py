"""A picture of an evaluation: errors by step, by hour of the day, and by level."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mods.visualization.visualize import BLACK, BLUE, STYLE, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mods.models.evaluation import Evaluation
    from mods.models.slices import Slices

__all__ = ["plot_evaluation"]

#: Colour, mark and title of each line; marks differ too, so that colour alone says nothing.
_LINES = {
    "model": (BLUE, "o", "model"),
    "persistence": (BLACK, "s", "persistence"),
    "seasonal_naive": ("#009E73", "^", "seasonal naive"),
    "gradient_boosting": (VERMILION, "D", "gradient boosting"),
}
_AXES = {
    "hour": "hour of the target, UTC",
    "level": "level at the origin, fifths (1 is the lowest)",
}


def plot_evaluation(evaluation: Evaluation, *, title: str = "") -> Figure:
    """Draw SMAPE by step, then by hour (where the data carry times) and level, first step.

    Each line is the mean over the columns, the model beside its baselines.

    Parameters
    ----------
    evaluation
        What `mods.models.evaluation.evaluate` returned.
    title
        What the picture is of.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        count = 1 + len(evaluation.slices)
        figure = Figure(figsize=(11, 1 + 2.6 * count), layout="constrained")
        FigureCanvasAgg(figure)
        panels = np.atleast_1d(figure.subplots(count, 1))
        _draw_steps(panels[0], evaluation)
        for axes, part in zip(panels[1:], evaluation.slices, strict=True):
            _draw_slices(axes, part, evaluation)
        for axes in panels:
            axes.set_ylabel("SMAPE, %")
            axes.set_ylim(bottom=0)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure


def _draw_steps(axes: Axes, evaluation: Evaluation) -> None:
    for name, scores in {"model": evaluation.model, **evaluation.baselines}.items():
        steps = evaluation.steps if name == "model" else evaluation.rung_steps(name)
        rows = [evaluation.steps.index(step) for step in steps]
        _line(axes, name, np.asarray(steps), scores["smape"][rows].mean(axis=1))
    axes.set_title("By step")
    axes.set_xlabel("windows ahead")
    axes.set_xticks(list(evaluation.steps))


def _draw_slices(axes: Axes, part: Slices, evaluation: Evaluation) -> None:
    step = evaluation.steps[0]
    for name, smape in part.smape.items():
        if name == "model" or step in evaluation.rung_steps(name):
            _line(axes, name, np.asarray(part.keys), smape[:, 0].mean(axis=1))
    axes.set_title(f"By {part.kind}, {step} ahead")
    axes.set_xlabel(_AXES[part.kind])
    axes.set_xticks(list(part.keys))


def _line(axes: Axes, name: str, x: np.ndarray, y: np.ndarray) -> None:
    colour, mark, title = _LINES[name]
    axes.plot(x, y, color=colour, marker=mark, markersize=4, lw=1.2, label=title)
