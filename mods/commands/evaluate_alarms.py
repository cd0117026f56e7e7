"""`mods evaluate --incidents`: judge alarms against labelled incidents, beside the rungs."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mods.commands import Report
from mods.commands.arguments import read_for_model
from mods.errors import ConfigError

if TYPE_CHECKING:
    from mods.anomaly.judging import Judgement

__all__ = ["judge_alarms", "judgement_text"]

#: Options that speak of forecasts, with what they are where nobody gave them.
_OF_FORECASTS = {"baselines": None, "folds": 1, "refit": False, "out": None}
#: Without a range, this share of the data is history.
_HISTORY = 0.25


def judge_alarms(arguments: argparse.Namespace) -> Report:
    """Detect, and judge what was found."""
    from mods.anomaly.detect import detect_all
    from mods.anomaly.judging import judge
    from mods.anomaly.labels import read_labels
    from mods.anomaly.thresholds import check_rate, parse_rate
    from mods.models.evaluation import origin_rows
    from mods.timerange import Window

    for name, default in _OF_FORECASTS.items():
        if getattr(arguments, name) != default:
            raise ConfigError(
                f"--{name} together with --incidents",
                "one of them",
                "Judge forecasts and alarms one after the other.",
            )
    check_rate(arguments.rate)
    labels = read_labels(arguments.incidents)
    model, frame = read_for_model(arguments)
    first, end = origin_rows(frame, arguments.range)
    if arguments.range is None:
        first = int(_HISTORY * len(frame))
    known = frame.iloc[:end]
    known.attrs = dict(frame.attrs)
    window = str(frame.attrs["window"])
    parse_rate(arguments.rate, max(1, Window.parse(window).per_day))
    detection = detect_all(
        model.backtest(known), arguments.rate, window=window, coverage=model.coverage
    )
    place = int(detection.forecasts.windows.searchsorted(frame.index[first]))
    judgement = judge(detection, labels, window=window, first=place)
    return Report(judgement_text(judgement, arguments.rate), judgement.document())


def judgement_text(judgement: Judgement, rate: str) -> str:
    """Return a judgement as text for people."""
    return "\n".join(_lines(judgement, rate))


def _lines(judgement: Judgement, rate: str) -> Iterable[str]:
    yield f"{judgement.windows} windows ({judgement.days:.1f} days), asked for {rate}"
    yield ""
    yield f"{'scores':<20} {'VUS-PR':>7} {'PR-AUC':>7} {'found*':>7} {'delay':>6}"
    for name, one in sorted(judgement.scores.items(), key=lambda item: -item[1].vus_pr):
        yield (
            f"{name.replace('_', ' '):<20} {one.vus_pr:>7.3f} {one.pr_auc:>7.3f}"
            f" {one.found:>7.2f} {_number(one.delay):>6}"
        )
    yield "* share of incidents above the threshold that hindsight puts at the asked rate"
    yield ""
    yield f"{'incidents':<20} {'number':>7} {'recall':>7} {'delay':>6}"
    for kind, found in judgement.kinds.items():
        yield (
            f"{kind.replace('_', ' '):<20} {found.incidents:>7} {found.recall:>7.2f}"
            f" {_number(found.delay):>6}"
        )
    yield (
        f"Precision {_number(judgement.precision, 2)};"
        f" {_number(judgement.false_alarms, 2)} false alarms and"
        f" {_number(judgement.false_incidents, 2)} false incidents a day."
        " Delays in windows, medians of what was found."
    )


def _number(value: float, digits: int = 1) -> str:
    return f"{value:.{digits}f}" if value == value else "-"
