"""Directives that write the reference from the code itself.

`mods-commands` shows every subcommand as its real argparse parser knows it, and
`mods-arguments` the arguments of the service as its real fields declare them, so
that neither can fall behind.
"""

from __future__ import annotations

import argparse
import os
import re
from typing import Any
from unittest import mock

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

from mods.cli import COMMANDS, build_parser

#: Letters that a block of code shows without being moved.
WIDTH = 88


class Commands(Directive):
    """A section for each subcommand: usage, what it does, its options."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        _read_again(self)
        return [_command(name) for name in COMMANDS]


class Arguments(Directive):
    """The arguments of `predict` or `train`, with type, default and description."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return one list of definitions."""
        from mods.models import api

        _read_again(self)
        get = {"predict": api.get_predict_args, "train": api.get_train_args}
        return [_definitions(map(_argument, get[self.arguments[0]]().items()))]


def _read_again(directive: Directive) -> None:
    """Have the page read at each build: it changes with the code, not only with its own text."""
    directive.state.document.settings.env.note_reread()


def _command(name: str) -> nodes.section:
    choices = next(
        action.choices
        for action in build_parser(name)._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    parser: argparse.ArgumentParser = choices[name]
    with mock.patch.dict(os.environ, {"COLUMNS": str(WIDTH)}):
        usage = parser.format_usage().removeprefix("usage: ")
    section = nodes.section(ids=[f"mods-{name}"], names=[f"mods {name}"])
    section += nodes.title("", f"mods {name}")
    section += nodes.paragraph("", parser.description or "")
    section += nodes.literal_block(usage, usage, language="text")
    section += nodes.paragraph("", "For example:")
    section += _shell((parser.epilog or "").removeprefix("example:\n").strip())
    section += _definitions(
        (_words(action), _sentences(parser, action))
        for action in parser._actions
        if action.dest != "help"
    )
    return section


def _shell(text: str) -> nodes.literal_block:
    # No wider than the page shows, broken before options.
    lines = [""]
    for word in re.split(r" (?=-)", text):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and len(longer) > WIDTH - 2:
            lines.append(word)
        else:
            lines[-1] = longer
    text = " \\\n    ".join(lines)
    return nodes.literal_block(text, text, language="bash")


def _words(action: argparse.Action) -> str:
    value = action.metavar or (
        "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
    )
    if not action.option_strings:
        return str(value)
    shown = "" if action.nargs == 0 else f" {value}"
    if isinstance(action, argparse.BooleanOptionalAction):
        shown = ""
    return ", ".join(option + shown for option in action.option_strings)


def _sentences(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    return parser._get_formatter()._expand_help(action) if action.help else ""


def _argument(item: tuple[str, Any]) -> tuple[str, str]:
    name, field = item
    kind = type(field).__name__.lower()
    default = field.load_default if isinstance(field.load_default, str | int | float) else None
    shown = "" if default in (None, "") else f", default {default!r}"
    return f"{name}: {kind}{shown}", field.metadata.get("description", "")


def _definitions(pairs: Any) -> nodes.definition_list:
    found = nodes.definition_list()
    for words, meaning in pairs:
        term = nodes.term("", "", nodes.literal(words, words))
        found += nodes.definition_list_item(
            "", term, nodes.definition("", nodes.paragraph("", meaning))
        )
    return found


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("mods-commands", Commands)
    app.add_directive("mods-arguments", Arguments)
    return {"parallel_read_safe": True}
