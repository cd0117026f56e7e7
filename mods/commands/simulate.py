"""`mods simulate`: the Zeek logs of a simulated network."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from mods.commands import Report

HELP = "Write the Zeek logs of a simulated network: working days, nights, weekends, jobs, bursts."
EXAMPLE = "mods simulate --out data/raw/demo --days 21 --seed 1 --gzip"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="DIR", help="a new or empty directory")
    add("--days", type=int, default=21, metavar="N", help="how many days (21)")
    add("--start", default="2024-03-04", metavar="YYYY-MM-DD", help="the first day (2024-03-04)")
    add("--seed", type=int, default=0, metavar="N", help="another seed is another network (0)")
    add(
        "--rate",
        type=float,
        default=80_000,
        metavar="RECORDS_PER_DAY",
        help="records a day over all logs, about (80000)",
    )
    add("--format", default="tsv", metavar="tsv|json", help="the logs' format (tsv)")
    add("--gzip", action="store_true", help="compress the logs")
    add(
        "--rotate",
        default="hour",
        metavar="none|day|hour",
        help="one file a log, or one a day or hour in a directory a day (hour)",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--no-incidents", action="store_true", help="quiet traffic only")
    which.add_argument(
        "--incidents",
        nargs="+",
        metavar="KIND",
        help="only these kinds: scan, slow_scan, flood, brute_force, exfiltration, beaconing, "
        "fade, service_outage, sensor_outage (all)",
    )
    add(
        "--force",
        action="store_true",
        help="replace an earlier simulation that was made with other arguments",
    )


def run(arguments: Namespace) -> Report:
    """Simulate, and report what was written."""
    from mods.dataset.simulate import KINDS, simulate

    kinds = () if arguments.no_incidents else tuple(arguments.incidents or KINDS)
    summary = simulate(
        arguments.out,
        days=arguments.days,
        start=arguments.start,
        seed=arguments.seed,
        rate=arguments.rate,
        log_format=arguments.format,
        compressed=arguments.gzip,
        rotate=arguments.rotate,
        incidents=kinds,
        force=arguments.force,
        progress=True,
    )
    counts = ", ".join(f"{name} {count}" for name, count in summary.records.items())
    done = "was already there" if summary.reused else f"written in {summary.seconds:.1f} s"
    text = (
        f"{summary.days} days of logs in {summary.out}, {done}\n"
        f"records: {counts}\n"
        f"incidents: {summary.incidents} (incidents.tsv)"
    )
    return Report(text, summary.document)
