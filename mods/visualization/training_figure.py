"""A picture of a training: the losses of each epoch, and the one whose weights were kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mods.errors import DataError
from mods.visualization.style import BLACK, BLUE, VERMILION, drawing, entitle

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_training"]


def plot_training(training: Mapping[str, Any], *, title: str = "") -> Figure:
    """Draw the losses of a training by epoch, and mark the epoch that was kept.

    The loss is the pinball loss over the forecast and both bounds of its interval, in the
    unit that the network sees. Where several networks were trained together (`auto`), it is
    that of the one that counts most.

    Parameters
    ----------
    training
        What a model keeps of its training: `model.config["training"]`, with `history` and
        `best_epoch`.
    title
        What the picture is of.

    Raises
    ------
    DataError
        Where nothing is recorded: the model was imported, or its training did not run an epoch.

    Examples
    --------
    >>> history = [{"loss": 0.4, "validation_loss": v} for v in (0.5, 0.3, 0.35)]
    >>> figure = plot_training({"history": history, "best_epoch": 2})
    >>> figure.axes[0].get_title(loc="left")
    'Best of 3 epochs: 2, with a validation loss of 0.3'
    """
    from matplotlib.ticker import MaxNLocator

    learned, judged = _losses(training.get("history"))
    epochs = np.arange(1, len(judged) + 1)
    best = int(training.get("best_epoch") or 0)
    with drawing(3.4) as figure:
        axes = figure.add_subplot()
        axes.plot(epochs, learned, color=BLACK, ls="--", marker=".", label="training part")
        axes.plot(epochs, judged, color=BLUE, marker="o", markersize=4, label="validation part")
        if 1 <= best <= len(judged):
            axes.axvline(best, color=VERMILION, ls=":", lw=1.2)
            axes.plot(
                best,
                judged[best - 1],
                ls="none",
                marker="o",
                markersize=9,
                markerfacecolor="none",
                markeredgecolor=VERMILION,
                markeredgewidth=1.6,
                label="kept",
            )
        axes.set_title(_said(training, judged, best))
        axes.set_xlabel("epoch")
        axes.set_ylabel("pinball loss")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.margins(x=0.03)
        figure.legend(loc="outside lower left", ncols=3)
        entitle(figure, title)
    return figure


def _losses(history: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the losses of training and validation part, `(epochs,)` each."""
    try:
        losses = np.array([[row["loss"], row["validation_loss"]] for row in history or []], float)
    except (KeyError, TypeError, ValueError):
        losses = np.empty((0, 2))
    if not len(losses):
        raise DataError(
            "no losses are recorded of this model's training", "a model that was trained by MODS"
        )
    return losses[:, 0], losses[:, 1]


def _said(training: Mapping[str, Any], judged: np.ndarray, best: int) -> str:
    epochs = f"{len(judged)} epoch{'s' if len(judged) > 1 else ''}"
    if 1 <= best <= len(judged):
        text = f"Best of {epochs}: {best}, with a validation loss of {judged[best - 1]:.4g}"
    else:
        text = f"None of {epochs} was better than the model it began with"
    members = training.get("members")
    if members and len(members) > 1:
        text += f" ({max(members, key=members.get)}, of {', '.join(members)})"
    return text
