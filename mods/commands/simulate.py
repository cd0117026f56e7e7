"""`mods simulate`: the Zeek logs of a simulated network."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from mods.commands import Report

HELP = "Write the Zeek logs of a simulated network: working days, nights, weekends, jobs, bursts."
EXAMPLE = "mods simulate --out data/raw/demo --days 21 --seed 1 --gzip"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write")
    parser.add_argument("--days", type=int, default=21, metavar="N", help="(default: 21)")
    parser.add_argument(
        "--start",
        default="2024-03-04",
        metavar="YYYY-MM-DD",
        help="first day (default: 2024-03-04)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="another seed is another network"
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=80_000,
        metavar="RECORDS_PER_DAY",
        help="records a day over all logs, about (default: 80000)",
    )
    parser.add_argument("--gzip", action="store_true", help="compress the logs")


def run(arguments: Namespace) -> Report:
    """Simulate, and report what was written."""
    from mods.dataset.simulate import simulate

    summary = simulate(
        arguments.out,
        days=arguments.days,
        start=arguments.start,
        seed=arguments.seed,
        rate=arguments.rate,
        gzip=arguments.gzip,
        progress=True,
    )
    counts = ", ".join(f"{count} {name}" for name, count in summary.records.items())
    text = f"{summary.days} days to {summary.out} in {summary.seconds:.1f} s: {counts}"
    return Report(text, summary.document)
