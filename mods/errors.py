"""The one family of exceptions, and the wording of their messages.

A message says what happened (with the value received), what was expected, and
how to mend it.  `ModsError` subclasses are the caller's to mend: the shell
turns them into one line on stderr and exit status 2, the service into a 4xx
with a JSON body.  Anything else that escapes is a failure of ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Self

__all__ = [
    "ConfigError",
    "DataError",
    "ModelError",
    "ModsError",
    "ModsWarning",
    "NotFoundError",
    "QueryError",
    "RangeError",
    "did_you_mean",
]


class ModsWarning(UserWarning):
    """Something in the input was mended or left out; the message says what."""


class ModsError(Exception):
    """Base of every error that the caller can mend.

    Parameters
    ----------
    what
        What happened, with the value received.
    expected
        What was expected instead.
    mend
        What to do about it, as an imperative sentence.

    Examples
    --------
    >>> str(ModsError("no file 'a.tsv'", expected="a table", mend="Check the path."))
    "no file 'a.tsv'; expected a table. Check the path."
    """

    #: The HTTP status with which this error leaves the service.
    status = 422

    def __init__(self, what: str, expected: str = "", mend: str = "") -> None:
        super().__init__(what, expected, mend)
        self.what = what
        self.expected = expected
        self.mend = mend

    def __str__(self) -> str:
        text = self.what + (f"; expected {self.expected}" if self.expected else "")
        text = text if text.endswith((".", "!", "?")) or not self.mend else text + "."
        return f"{text} {self.mend}".strip()

    def __reduce__(self) -> tuple[type[Self], tuple[str, ...]]:
        # Errors cross the border between DEEPaaS's worker processes as pickles.
        return type(self), (self.what, self.expected, self.mend)


class DataError(ModsError):
    """Data that cannot be used: unreadable, damaged, too short, of the wrong shape."""


class QueryError(DataError):
    """A selection query that does not parse or names what is not there.

    Parameters
    ----------
    what, expected, mend
        As in `ModsError`.
    shown
        The query with a caret under the spot, on lines of their own.
    """

    def __init__(self, what: str, expected: str = "", mend: str = "", shown: str = "") -> None:
        super().__init__(what, expected, mend)
        self.shown = shown

    def __str__(self) -> str:
        if not self.shown:
            return super().__str__()
        return f"{self.what}\n{self.shown}\n{self.mend}".rstrip()

    def __reduce__(self) -> tuple[type[Self], tuple[str, ...]]:
        return type(self), (self.what, self.expected, self.mend, self.shown)


class RangeError(ModsError):
    """A time range, row range or window name that does not parse or fit the data."""


class ModelError(ModsError):
    """A model that cannot be used, made or stored, or arguments that do not fit it."""


class ConfigError(ModsError):
    """A setting or an environment variable with a value that cannot be used."""


class NotFoundError(ModsError):
    """Something asked for by name does not exist."""

    status = 404


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint with the nearest known name, or with all of them.

    Examples
    --------
    >>> did_you_mean("LTSM", ["LSTM", "GRU"])
    "Did you mean 'LSTM'?"
    >>> did_you_mean("x", ["LSTM", "GRU"])
    'Known: GRU, LSTM.'
    """
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"Did you mean {near[0]!r}?"
    if not names:
        return "There is none yet."
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return f"Known: {shown}."
