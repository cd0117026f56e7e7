"""`mods features`: turn Zeek logs into a datapool of windowed features."""

from __future__ import annotations

import argparse
from pathlib import Path

from mods import config
from mods.commands import Report
from mods.dataset.protocols import PROTOCOLS
from mods.errors import ConfigError, DataError

#: As in `mods.dataset.engines` and `mods.dataset.feature_files`, which load Polars.
ENGINES = ("polars", "duckdb", "spark")
LAYOUTS = ("tree", "parquet", "zip-day", "zip-month")

HELP = (
    "Turn Zeek logs (TSV, JSON lines or Parquet; plain, gzip or zstd; files or whole directories) "
    "into a datapool of windowed features."
)
EXAMPLE = (
    "mods features /opt/zeek/logs --out data/features/datapools "
    "--window w01h-s10m --window w10m-s01m --local-net 147.213.0.0/16"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    parser.add_argument("logs", nargs="*", metavar="LOGS", help="log files and directories")
    parser.add_argument("--out", required=True, metavar="DATAPOOL", help="directory to write to")
    parser.add_argument(
        "--window",
        action="append",
        metavar="NAME",
        help=f"a window, w<length>-s<slide>; may be given several times "
        f"(default: {config.DEFAULT_WINDOW})",
    )
    parser.add_argument(
        "--local-net",
        action="append",
        metavar="CIDR",
        help="a local network; may be given several times (default: MODS_LOCAL_NETS, else the "
        "private ranges)",
    )
    parser.add_argument(
        "--protocol",
        action="append",
        metavar="NAME",
        help=f"only this protocol of {', '.join(PROTOCOLS)}; may be given several times",
    )
    parser.add_argument(
        "--range", metavar="R", help="take only records in this range, e.g. '<2019-06,2019-07)'"
    )
    parser.add_argument(
        "--own-direction",
        action="store_true",
        help="take Zeek's own local_orig and local_resp where a record has them",
    )
    parser.add_argument(
        "--allow",
        action="append",
        metavar="ITEM",
        help="take only records with this address, CIDR or :PORT at either end; several times",
    )
    parser.add_argument(
        "--never",
        action="append",
        metavar="ITEM",
        help="leave out records with this address, CIDR or :PORT at either end; several times",
    )
    parser.add_argument(
        "--engine",
        default="polars",
        choices=ENGINES,
        help="what computes; the numbers are the same (default: polars)",
    )
    parser.add_argument(
        "--master", metavar="URL", help="the Spark cluster, e.g. spark://host:7077 (default: local)"
    )
    parser.add_argument(
        "--layout",
        default="tree",
        choices=LAYOUTS,
        help="how the datapool is stored (default: tree)",
    )
    parser.add_argument(
        "--pseudonymise",
        metavar="DIR",
        help="also write copies of the logs that can be handed on: addresses as pseudonyms "
        "(Crypto-PAn, with --key), no queries and no user agents",
    )
    parser.add_argument(
        "--key", metavar="FILE", help="the key of the pseudonyms, made where there is no such file"
    )
    parser.add_argument(
        "--force", action="store_true", help="build days again though their logs have not changed"
    )
    parser.add_argument(
        "--figure",
        metavar="FILE",
        help="draw to FILE.png which days of which protocols the datapool has and where they are"
        " missing, after making it where LOGS are given",
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="say what is missing or damaged in the datapool, after making it where LOGS are given;"
        " exit status 2 where anything is",
    )


def run(arguments: argparse.Namespace) -> Report:
    """Make the datapool and report the counts; or say what is wrong with it, or draw it."""
    from mods.visualization.style import check_figure

    check_figure(arguments.figure)
    if not arguments.logs and not arguments.verify and arguments.figure is None:
        raise DataError("no LOGS", "log files and directories", "Name the sensor's logs.")
    report = _made(arguments) if arguments.logs else Report("", {})
    if arguments.verify:
        report = _joined(report, _verified(arguments.out))
    if arguments.figure is not None:
        report = _joined(report, _drawn(arguments.out, arguments.figure))
    return report


def _joined(first: Report, second: Report) -> Report:
    text = f"{first.text}\n{second.text}" if first.text else second.text
    return Report(text, first.document | second.document, max(first.status, second.status))


def _drawn(pool: str, path: str) -> Report:
    from mods.visualization.coverage_figure import plot_coverage
    from mods.visualization.style import save_figure

    save_figure(plot_coverage(pool, title=Path(pool).name), path)
    return Report(f"Wrote {path}.", {"figure": path})


def _verified(pool: str) -> Report:
    from mods.dataset.verify import verify

    problems = verify(pool)
    said = [str(problem) for problem in problems]
    text = "\n".join(said or [f"{pool}: nothing missing or damaged"])
    document = {"problems": [{"name": p.name, "what": p.what} for p in problems]}
    return Report(text, document, 2 if problems else 0)


def _made(arguments: argparse.Namespace) -> Report:
    from mods.dataset.make_dataset import make_dataset

    if (arguments.pseudonymise is None) != (arguments.key is None):
        raise ConfigError(
            "--pseudonymise and --key", "both or neither", "Keep the key away from the copies."
        )
    summary = make_dataset(
        arguments.logs,
        arguments.out,
        windows=arguments.window or (config.DEFAULT_WINDOW,),
        local_nets=arguments.local_net,
        protocols=arguments.protocol or (),
        time_range=arguments.range,
        own_fields=arguments.own_direction,
        allow=arguments.allow or (),
        never=arguments.never or (),
        engine=arguments.engine,
        master=arguments.master,
        layout=arguments.layout,
        force=arguments.force,
    )
    if arguments.pseudonymise is None:
        return Report(summary.text, summary.document)
    copies, dropped = _pseudonymised(arguments)
    text = f"{copies} copies of logs with pseudonyms in {arguments.pseudonymise}"
    if dropped:
        text += f"; {dropped:,} records left out, whose ends are no addresses"
    document = {"pseudonymised": {"files": copies, "left_out": dropped}}
    return Report(f"{summary.text}\n{text}", summary.document | document)


def _pseudonymised(arguments: argparse.Namespace) -> tuple[int, int]:
    """Write the copies; return how many, and how many records they leave out."""
    from mods.dataset.direction import Hosts
    from mods.dataset.pseudonyms import pseudonymise_logs, read_key
    from mods.dataset.zeek import find_logs

    hosts = Hosts.of(config.local_nets(arguments.local_net))
    logs = find_logs(arguments.logs).logs
    folder, key = Path(arguments.pseudonymise), read_key(Path(arguments.key))
    written, dropped = pseudonymise_logs(logs, folder, key, hosts)
    return len(written), dropped
