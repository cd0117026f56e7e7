"""`mods predict`: forecast each window of a datapool or table."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from mods.commands import Report
from mods.commands.arguments import add_data_and_model, read_for_model

if TYPE_CHECKING:
    import pandas as pd

HELP = (
    "Forecast the windows after each origin in a range, with intervals, past the end of the data"
    " too. Rows before the range are history. The forecast table has one row for each origin,"
    " step and column: origin,target,step,column,forecast,lower,upper,actual."
)
EXAMPLE = (
    "mods predict --data data/test/sample-test-w01h-s10m.tsv --model default --out forecast.csv"
)
#: Steps of the last origin's forecast that the text shows.
_SHOWN = (1, 3, 6, 12)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_data_and_model(parser)
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="write the forecast table to FILE.csv, .json or .parquet, or a picture of the last"
        " two days to FILE.png",
    )
    parser.add_argument(
        "--alarm-rate",
        metavar="RATE",
        help="tell the incidents in the range too, at so many windows that may be false alarms,"
        " for example 1/day; the table then has score,alarm,incident,incident_text of each target",
    )


def run(arguments: argparse.Namespace) -> Report:
    """Forecast, and write the table where that is asked."""
    from mods.models.predict import check_output, predict, table_document, write_table

    if arguments.out is not None:
        check_output(arguments.out)

    rate, incidents = arguments.alarm_rate, None
    if rate is None:
        model, frame = read_for_model(arguments)
        table = predict(model, frame, include=arguments.range)
    else:
        from mods.anomaly.thresholds import check_rate
        from mods.anomaly.watch import watch, with_alarms

        check_rate(rate)
        model, frame = read_for_model(arguments)
        found = watch(model, frame, rate, include=arguments.range)
        incidents = found.incidents
        table = with_alarms(found.table, found.scores, incidents)
    document: dict[str, Any] = {
        "columns": [str(name) for name in dict.fromkeys(table["column"])],
        "window": frame.attrs.get("window"),
        "horizon": int(table["step"].max()),
        "coverage": model.coverage,
        "origins": int(table["origin"].nunique()),
        "rows": len(table),
    }
    if incidents is not None:
        document["alarm_rate"] = rate
        document["incidents"] = [incident.as_dict() for incident in incidents]
    if arguments.out is not None:
        write_table(table, arguments.out, incidents=incidents)
        document["out"] = str(arguments.out)
    elif arguments.json:
        document["table"] = table_document(table)
    return Report(_text(table, document), document)


def _text(table: pd.DataFrame, document: dict[str, Any]) -> str:
    origin = table["origin"].max()
    last = table[table["origin"] == origin]
    width = max(len(name) for name in (*document["columns"], "column"))
    lines = [
        f"{document['origins']} origins from {table['origin'].min()} to {origin},"
        f" {document['horizon']} steps each.",
        f"After {origin}, with the {100 * document['coverage']:g} % interval:",
        "",
        f"{'column':<{width}}  {'step':>4}  {'target':<25}  {'forecast':>14}  interval",
    ]
    for row in last.itertuples(index=False):
        if row.step in _SHOWN or row.step == document["horizon"]:
            lines.append(
                f"{row.column:<{width}}  {row.step:>4}  {row.target!s:<25}"
                f"  {row.forecast:>14,.1f}  {row.lower:,.1f} to {row.upper:,.1f}"
            )
    if "incidents" in document:
        told = [one["text"] for one in document["incidents"] if one["suppressed"] is None]
        lines += ["", f"{len(told)} incidents at {document['alarm_rate']}.", *told]
    if "out" in document:
        picture = document["out"].lower().endswith(".png")
        what = "Drew" if picture else f"Wrote {document['rows']} rows to"
        lines += ["", f"{what} {document['out']}."]
    return "\n".join(lines)
