"""An evaluation as a file: the document as JSON, or a picture of the errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mods.errors import ModelError
from mods.files import write_aside

if TYPE_CHECKING:
    from mods.models.evaluation import Evaluation

__all__ = ["check_report", "write_report"]

Writer = Callable[["Evaluation", Path, str], None]


def check_report(path: Path | str) -> Writer:
    """Return the writer for a file's ending; `ModelError` where there is none.

    For use before the work, so that a mistake costs no time.
    """
    path = Path(path)
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None or path.is_dir():
        raise ModelError(
            f"report {str(path)!r}",
            f"a file that ends in {' or '.join(_WRITERS)}",
            "Give it one of these endings.",
        )
    return writer


def write_report(evaluation: Evaluation, path: Path | str, *, title: str = "") -> None:
    """Write an evaluation to a `.json` or `.png` file.

    Raises
    ------
    ModelError
        Where the file ends otherwise.
    DataError
        Where it cannot be written.
    """
    writer = check_report(path)
    with write_aside(path) as partial:
        writer(evaluation, partial, title)


def _write_json(evaluation: Evaluation, path: Path, _: str) -> None:
    path.write_text(json.dumps(evaluation.document(), allow_nan=False), encoding="utf-8")


def _write_png(evaluation: Evaluation, path: Path, title: str) -> None:
    from mods.visualization.evaluation_figure import plot_evaluation
    from mods.visualization.visualize import picture

    path.write_bytes(picture(plot_evaluation(evaluation, title=title)))


_WRITERS: dict[str, Writer] = {".json": _write_json, ".png": _write_png}
