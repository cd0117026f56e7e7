"""The subcommands of `mods`, one module each: arguments in, a `Report` out.

A module has `HELP`, `EXAMPLE`, `add_arguments(parser)` and
`run(arguments) -> Report`, and holds no logic of a stage.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Report"]


@dataclass(frozen=True)
class Report:
    """What a subcommand has to say on stdout.

    `text` is for people; `document` is the same as one JSON document, for `--json`;
    `status` is the exit status, 2 where what was looked at turned out not to be sound.
    """

    text: str
    document: dict[str, Any] = field(default_factory=dict)
    status: int = 0
