"""`mods select`: tell which columns are worth forecasting, and why."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mods.commands import Report
from mods.commands.arguments import add_data, add_selection

if TYPE_CHECKING:
    import pandas as pd

    from mods.features.select_features import Selection
    from mods.features.verdict import Measured

HELP = (
    "Judge each column: whether others make it up or say the same, how its demand comes, what its"
    " past tells, whether it keeps its level and whether it drifts. The result ends with a query"
    " that mods train --query takes. Choose on the range that you train on, not on the one that"
    " you judge on."
)
EXAMPLE = "mods select --data data/test/sample-test-w01h-s10m.tsv --figure selection.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_data(parser)
    add_selection(
        parser,
        query="the columns to choose from",
        time_range="judge this range only, for example '<2019-06-01,2019-06-08)', or row numbers"
        " where the data carry no time",
    )
    parser.add_argument(
        "--targets",
        metavar="NAMES",
        help="columns to be forecast, separated by commas: always kept, and the others are judged"
        " by what they tell of them (default: each by what it tells of itself)",
    )
    parser.add_argument(
        "--compare", metavar="R", help="tell which columns are distributed otherwise in this range"
    )
    parser.add_argument("--figure", metavar="FILE", help="draw the ranking to FILE.png")


def run(arguments: argparse.Namespace) -> Report:
    """Judge the columns, and draw them where that is asked."""
    from mods.config import DEFAULT_QUERY
    from mods.dataset import read_data
    from mods.dataset.datapool import is_datapool
    from mods.features.select_features import select_features
    from mods.visualization.style import check_figure

    check_figure(arguments.figure)
    query = arguments.query
    if query is None and is_datapool(arguments.data):
        query = DEFAULT_QUERY

    def read(time_range: str | None) -> pd.DataFrame:
        return read_data(
            arguments.data, query=query, window=arguments.window, time_range=time_range
        )

    names = arguments.targets
    selection = select_features(
        read(arguments.range),
        None if names is None else [n.strip() for n in names.split(",") if n.strip()],
        None if arguments.compare is None else read(arguments.compare),
        query=query,
    )
    document = selection.document()
    text = selection_text(selection)
    if arguments.figure is not None:
        from pathlib import Path

        from mods.features.figure import plot_selection
        from mods.visualization.style import save_figure

        save_figure(plot_selection(selection, title=Path(arguments.data).name), arguments.figure)
        document["figure"] = str(arguments.figure)
        text += f"\nWrote {arguments.figure}."
    return Report(text, document)


_LEGEND = (
    "nats: information about what comes; level: ADF and KPSS read together;",
    "periods: strongest first, windows; partial: last lag of the partial autocorrelation that is"
    " no noise;",
    "drift: population stability index against the other range, above 0.25 much",
)


def _drift(measured: Measured) -> str:
    drift = measured.drift
    told = "-" if drift is None or drift.kind == "unclear" else f"{drift.index:.2f} {drift.kind}"
    return f"  {told:<9}"


def selection_text(selection: Selection) -> str:
    """Return a selection as text for people: the ranked table, then the query."""
    width = max(len("column"), *(len(one.column) for one in selection.verdicts))
    compared = any(one.measured.drift is not None for one in selection.verdicts)
    drift = f"  {'drift':<9}" if compared else ""
    lines = [
        f"{len(selection.verdicts)} columns, {selection.windows:,} windows:"
        f" {len(selection.kept)} worth forecasting",
        "",
        f"{'column':<{width}}  {'verdict':<14}  {'nats':>5}  {'demand':<12}  {'level':<10}"
        f"  {'periods':<9}  {'partial':>7}{drift}  reason",
    ]
    for one in selection.verdicts:
        measured = one.measured
        nats = "-" if measured.information is None else f"{measured.best_information:.2f}"
        demand = "-" if measured.demand is None else measured.demand.kind
        level = "-" if measured.stationarity is None else measured.stationarity.kind
        found = measured.autocorrelation
        periods = "-" if found is None or not found.periods else " ".join(map(str, found.periods))
        partial = "-" if found is None else f"{found.partial_lag:.0f}"
        lines.append(
            f"{one.column:<{width}}  {one.verdict:<14}  {nats:>5}  {demand:<12}  {level:<10}"
            f"  {periods:<9}  {partial:>7}{_drift(measured) if compared else ''}  {one.reason}"
        )
    lines += ["", *(line for line in _LEGEND if compared or "drift" not in line), ""]
    if selection.query is not None:
        lines.append(f"--query '{selection.query}'")
    elif selection.kept:
        lines.append("No query: a kept column has a name that no query can hold.")
    else:
        lines.append("No column is worth forecasting.")
    return "\n".join(lines)
