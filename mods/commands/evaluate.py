"""`mods evaluate`: judge a model beside its baselines."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mods.commands import Report
from mods.commands.arguments import add_data_and_model, read_for_model

if TYPE_CHECKING:
    from mods.models.evaluation import Evaluation

HELP = (
    "Judge a model on the origins in a range: forecasts against what came, step by step, beside"
    " persistence, seasonal naive and gradient boosting on the same rows. Rows before the range"
    " are the history that forecasts see and that the baselines learn from."
)
EXAMPLE = (
    "mods evaluate --data data/test/sample-test-w01h-s10m.tsv --model default --range '<720,1008)'"
)

_TITLES = {
    "persistence": "persistence",
    "seasonal_naive": "seasonal naive",
    "gradient_boosting": "gradient boosting",
}
#: Steps that the text shows; the document has all of them.
_SHOWN = (1, 3, 6, 12)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_data_and_model(parser)
    parser.add_argument(
        "--incidents",
        metavar="FILE",
        help="judge the alarms instead of the forecasts, against the labelled incidents in FILE"
        " (tab-separated: start, end, kind; as mods simulate writes incidents.tsv); without"
        " --range the first quarter of the data is history",
    )
    parser.add_argument(
        "--rate",
        default="1/day",
        help="with --incidents: windows that may be false alarms (default: 1/day)",
    )
    parser.add_argument(
        "--baselines",
        metavar="NAMES",
        help="which of persistence, seasonal_naive, gradient_boosting, separated by commas"
        " (default: all that the history before the range allows)",
    )
    parser.add_argument(
        "--folds",
        type=int,
        default=1,
        metavar="N",
        help="cut the range into N consecutive parts; the baselines learn anew before each",
    )
    parser.add_argument(
        "--refit",
        action="store_true",
        help="train the model anew before each part too, with its settings, on all rows before it",
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="also write the report: the document to FILE.json, or a picture of the errors by"
        " step, hour and level to FILE.png",
    )


def run(arguments: argparse.Namespace) -> Report:
    """Judge the model."""
    if arguments.incidents is not None:
        from mods.commands.evaluate_alarms import judge_alarms

        return judge_alarms(arguments)
    from mods.models.report import check_report

    if arguments.out is not None:
        check_report(arguments.out)
    from mods.models.evaluation import evaluate
    from mods.models.loading import trainer_like
    from mods.models.report import write_report

    model, frame = read_for_model(arguments)
    names = arguments.baselines
    evaluation = evaluate(
        model,
        frame,
        include=arguments.range,
        baselines=None if names is None else [n.strip() for n in names.split(",") if n.strip()],
        folds=arguments.folds,
        refit=trainer_like(model) if arguments.refit else None,
    )
    text = evaluation_text(evaluation)
    if arguments.out is not None:
        title = f"{Path(arguments.model).name} on {Path(arguments.data).name}"
        write_report(evaluation, arguments.out, title=title)
        text += f"\nWrote {arguments.out}."
    return Report(text, evaluation.document())


def evaluation_text(evaluation: Evaluation) -> str:
    """Return an evaluation as text for people: the table, the periods and the verdict."""
    lines = [
        f"{evaluation.origins} origins from {evaluation.first} to {evaluation.last};"
        " SMAPE in %, lower is better; MASE below 1 is better than persistence",
        *_folds(evaluation),
        "",
        *_table(evaluation),
        "",
        *_periods(evaluation),
        *_verdict(evaluation),
        *(f"Note: {note}." for note in evaluation.notes),
    ]
    return "\n".join(lines)


def _folds(evaluation: Evaluation) -> Iterable[str]:
    if len(evaluation.folds) > 1:
        who = "the model and the baselines" if evaluation.refit else "the baselines"
        parts = ", ".join(str(first) for first in evaluation.folds)
        yield f"{len(evaluation.folds)} parts, before each of which {who} learned anew: {parts}"
    elif evaluation.refit:
        yield "the model was trained anew on the rows before the range"


def _table(evaluation: Evaluation) -> Iterable[str]:
    rungs = list(evaluation.baselines)
    width = max(len(name) for name in (*evaluation.columns, "column"))
    titles = [_TITLES[name] for name in rungs]
    head = f"{'step':>4}  {'column':<{width}}  {'model':>7}  "
    yield head + "  ".join(f"{t:>7}" for t in titles) + f"  {'MASE':>5}  {'R2':>6}  {'coverage':>8}"
    for step in evaluation.steps:
        if step not in _SHOWN and step != evaluation.steps[-1]:
            continue
        row = evaluation.steps.index(step)
        mine = evaluation.model
        for place in (*range(len(evaluation.columns)), None):
            if place is None and len(evaluation.columns) == 1:
                continue
            name = "mean" if place is None else evaluation.columns[place]
            cell = (row,) if place is None else (row, place)
            rest = [
                f"{_number(s['smape'][cell].mean(), 2):>{max(7, len(t))}}"
                for s, t in zip(evaluation.baselines.values(), titles, strict=True)
            ]
            yield (
                f"{step:>4}  {name:<{width}}  {_number(mine['smape'][cell].mean(), 2):>7}  "
                + "  ".join(rest)
                + f"  {_number(mine['mase'][cell].mean(), 3):>5}"
                + f"  {_number(mine['r2'][cell].mean(), 3):>6}"
                + f"  {_number(100 * mine['coverage'][cell].mean(), 1):>6} %"
            )


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if value == value else "-"


def _periods(evaluation: Evaluation) -> Iterable[str]:
    if not evaluation.periods:
        return
    found = (
        f"{name} {f'{period} windows' if period else 'none'}"
        for name, period in zip(evaluation.columns, evaluation.periods, strict=True)
    )
    yield f"Periods that seasonal naive found: {', '.join(found)}."


def _verdict(evaluation: Evaluation) -> Iterable[str]:
    losses = evaluation.losses()
    for baseline in evaluation.baselines:
        title = _TITLES[baseline]
        steps = evaluation.rung_steps(baseline)
        lost = [loss for loss in losses if loss.baseline == baseline]
        if not lost:
            yield f"The model is ahead of {title} at every step and in every column."
            continue
        for column in evaluation.columns:
            at = [loss for loss in lost if loss.column == column]
            if at:
                worst = max(at, key=lambda loss: loss.model - loss.rung)
                where = "every step" if len(at) == len(steps) else _steps([k.step for k in at])
                yield (
                    f"The model loses to {title} in {column} at {where}: SMAPE"
                    f" {worst.model:.2f} against {worst.rung:.2f} at step {worst.step}."
                )


def _steps(steps: list[int]) -> str:
    return f"step{'s' if len(steps) > 1 else ''} {', '.join(map(str, steps))}"
