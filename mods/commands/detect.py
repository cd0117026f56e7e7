"""`mods detect`: tell where a datapool or table departs from its forecast."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np

from mods.commands import Report
from mods.commands.arguments import add_data_and_model, read_for_model

if TYPE_CHECKING:
    from mods.anomaly.detect import Detection

HELP = (
    "Forecast every window of the data and tell which departed from what was expected, as"
    " incidents, at a rate of false alarms that you choose. Rows before the range are history: some"
    " weeks of it make the alarms sharp. --out FILE.csv has the score of every window and column,"
    " FILE.jsonl one incident a line, FILE.log a Zeek notice log, FILE.png a picture of five days."
)
EXAMPLE = (
    "mods detect --data data/test/sample-test-w01h-s10m.tsv --model default --rate 1/day"
    " --out incidents.jsonl"
)
#: Incidents that the text shows, the strangest ones.
_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_data_and_model(parser)
    parser.add_argument(
        "--rate",
        default="1/day",
        help="windows that may be false alarms, a number a hour, day, week or month"
        " (default: 1/day)",
    )
    parser.add_argument(
        "--threshold",
        choices=("spot", "dspot", "conformal"),
        default="spot",
        help="how the rate is kept: extreme-value theory, the same with drift, or conformal"
        " p-values (default: spot)",
    )
    parser.add_argument(
        "--rules",
        metavar="FILE",
        help="a TOML file of what to keep quiet: maintenance, jobs, columns, short incidents",
    )
    parser.add_argument(
        "--out", metavar="FILE", help="write FILE.jsonl, FILE.csv, FILE.log or FILE.png"
    )


def run(arguments: argparse.Namespace) -> Report:
    """Detect, and write the result where that is asked."""
    from mods.anomaly.detect import detect_all
    from mods.anomaly.notices import check_output, write_detection
    from mods.anomaly.suppression import read_rules
    from mods.anomaly.thresholds import check_rate, parse_rate
    from mods.config import DEFAULT_WINDOW
    from mods.models.evaluation import origin_rows
    from mods.timerange import Window

    if arguments.out is not None:
        check_output(arguments.out)
    check_rate(arguments.rate)
    rules = None if arguments.rules is None else read_rules(arguments.rules)
    model, frame = read_for_model(arguments)
    first, end = origin_rows(frame, arguments.range)
    window = frame.attrs.get("window")
    parse_rate(arguments.rate, max(1, Window.parse(window or DEFAULT_WINDOW).per_day))
    known = frame.iloc[:end]
    known.attrs = dict(frame.attrs)
    detection = detect_all(
        model.backtest(known),
        arguments.rate,
        window=window,
        threshold=arguments.threshold,
        rules=rules,
        coverage=model.coverage,
    ).within(frame.index[first:end])
    if arguments.out is not None:
        write_detection(detection, arguments.out)
    document = _document(detection, arguments)
    return Report(_text(detection, document), document)


def _document(detection: Detection, arguments: argparse.Namespace) -> dict[str, Any]:
    scores = detection.scores
    document: dict[str, Any] = {
        "columns": list(detection.forecasts.columns),
        "windows": len(scores),
        "alarms": int(scores["alarm"].sum()),
        "rate": arguments.rate,
        "threshold": None if np.isnan(detection.threshold) else detection.threshold,
        "incidents": [incident.as_dict() for incident in detection.incidents],
        "suppressed": detection.suppressed,
    }
    if arguments.out is not None:
        document["out"] = str(arguments.out)
    return document


def _text(detection: Detection, document: dict[str, Any]) -> str:
    told = [incident for incident in detection.incidents if incident.suppressed is None]
    lines = [
        f"{document['windows']} windows, {document['alarms']} alarms,"
        f" {len(told)} incidents at {document['rate']}."
    ]
    shown = sorted(told, key=lambda one: (one.kind != "outage", -np.nan_to_num(one.score)))[:_SHOWN]
    for incident in sorted(shown, key=lambda one: one.start):
        lines.append(f"{incident.id}  {incident.text}")
    if len(told) > len(shown):
        lines.append(f"... and {len(told) - len(shown)} less strange ones.")
    for reason, count in detection.suppressed.items():
        lines.append(f"{count} suppressed: {reason}.")
    if "out" in document:
        lines.append(f"Wrote {document['out']}.")
    return "\n".join(lines)
