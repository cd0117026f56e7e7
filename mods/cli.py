"""The `mods` command: one thin subcommand a stage.

Progress and warnings go to stderr, the result to stdout, with `--json` as one
JSON document.  Exit status: 0; 2 for input that the caller can mend (one line
on stderr); 1 for a failure of ours; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from mods.errors import ModsError, ModsWarning

__all__ = ["main"]

#: Subcommand and the line that `mods --help` shows; the modules load when they are asked for.
COMMANDS = {
    "simulate": "simulate the Zeek logs of a network, with labelled incidents",
    "features": "turn Zeek logs into a datapool of windowed features",
    "select": "tell which columns are worth forecasting, and why",
    "train": "train a model on a datapool or table",
    "tune": "search for the hyper-parameters of a model type",
    "evaluate": "judge a model beside its baselines",
    "predict": "forecast a datapool or table",
    "detect": "tell where a datapool or table departs from its forecast",
    "models": "list the models at hand",
    "serve": "serve all of it over HTTP",
    "trainings": "list the trainings of the service",
    "transfer": "send models and datapools to remote storage, or fetch them",
    "import": "turn a model bundle of the original MODS into one of ours",
}
#: Subcommands whose module cannot have their name.
_MODULES = {"import": "import_model"}


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. Try '{self.prog} --help'.\n")


def build_parser(chosen: str | None = None) -> argparse.ArgumentParser:
    """Return the parser; only the chosen subcommand's module is imported."""
    parser = _Parser(
        prog="mods",
        description="MODS forecasts a network from its Zeek logs and tells where it departs.",
        epilog="'mods COMMAND --help' shows a command's options and an example.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and stop")
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of a failure of ours"
    )
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, line in COMMANDS.items():
        if name != chosen:
            subparsers.add_parser(name, help=line, add_help=False)
            continue
        module = importlib.import_module(f"mods.commands.{_MODULES.get(name, name)}")
        subparser = subparsers.add_parser(
            name,
            help=line,
            description=module.HELP,
            epilog=f"example:\n  {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        subparser.add_argument(
            "--json", action="store_true", help="print one JSON document on stdout"
        )
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    chosen = next((word for word in arguments if word in COMMANDS), None)
    parser = build_parser(chosen)
    options = parser.parse_args(arguments)
    if options.version:
        from mods.config import version

        print(version())
        return 0
    if options.command is None:
        parser.print_help()
        return 0
    logging.basicConfig(stream=sys.stderr, format="mods: %(message)s", level=logging.INFO)
    # TensorFlow speaks of its build on stderr; the user asked about a network.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", ModsWarning)
            warnings.showwarning = _show_warning
            report = options.run(options)
        print(json.dumps(report.document, allow_nan=False) if options.json else report.text)
        sys.stdout.flush()
        return int(report.status)
    except ModsError as error:
        print(f"mods {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"mods {options.command}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our stdout has gone (`mods ... | head`); nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if options.debug:
            raise
        print(
            f"mods {options.command}: a failure of ours: {type(error).__name__}: {error} "
            "(run with 'mods --debug' for the traceback, and please report it)",
            file=sys.stderr,
        )
        return 1


def _show_warning(
    message: Warning | str, category: type[Warning], *_rest: Any, **_options: Any
) -> None:
    if issubclass(category, ModsWarning):
        print(f"mods: warning: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
