r"""The selection query: which columns make a series, over which protocols.

    p1|col|col~new_name;p2|col~new_name#join1,join2

`;` between protocols, `|` before each column, `~` renames, `#` names the
columns that the protocols are joined on.  Blanks around the separators are
allowed; final names are distinct.  A renamed column that ends in `_kb`, `_mb`
or `_gb` is converted from bytes (1 kB is 1,000 bytes, as the SI says).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mods.errors import QueryError, did_you_mean

__all__ = ["Selected", "SelectionQuery", "parse_query"]

_JOINS = ("window_start", "window_end")
_UNITS = {"_kb": 1_000.0, "_mb": 1_000_000.0, "_gb": 1_000_000_000.0}


@dataclass(frozen=True)
class Selected:
    """One column of one protocol, and the name that it gets."""

    protocol: str
    column: str
    name: str
    position: int = 0

    @property
    def divisor(self) -> float:
        """By what the values are divided to have the unit that the new name speaks of."""
        if self.name == self.column:
            return 1.0
        return next((value for end, value in _UNITS.items() if self.name.endswith(end)), 1.0)


@dataclass(frozen=True)
class SelectionQuery:
    """A parsed selection query.

    Examples
    --------
    >>> query = parse_query("conn | in_count_uid ~ conn_in ; ssh|in~ssh_in # window_start")
    >>> query.names, query.protocols
    (['conn_in', 'ssh_in'], ['conn', 'ssh'])
    >>> query.text
    'conn|in_count_uid~conn_in;ssh|in~ssh_in#window_start'
    """

    columns: tuple[Selected, ...]
    joins: tuple[str, ...]
    source: str

    @property
    def names(self) -> list[str]:
        """The final names of the columns, in order."""
        return [selected.name for selected in self.columns]

    @property
    def protocols(self) -> list[str]:
        """The protocols that are read, in order."""
        return list(dict.fromkeys(selected.protocol for selected in self.columns))

    @property
    def text(self) -> str:
        """The query in its shortest form."""
        parts = []
        for protocol in self.protocols:
            fields = [
                s.column + (f"~{s.name}" if s.name != s.column else "")
                for s in self.columns
                if s.protocol == protocol
            ]
            parts.append("|".join([protocol, *fields]))
        return ";".join(parts) + "#" + ",".join(self.joins)

    def of(self, protocol: str) -> list[Selected]:
        """Return the columns of one protocol, in order."""
        return [selected for selected in self.columns if selected.protocol == protocol]

    def check(self, protocol: str, known: Iterable[str]) -> None:
        """Raise `QueryError` where a column of `protocol` is not among the known ones."""
        columns = list(known)
        for selected in self.of(protocol):
            if selected.column not in columns:
                raise _mistake(
                    self.source,
                    selected.position,
                    f"{protocol} has no column {selected.column!r}",
                    did_you_mean(selected.column, columns),
                )


def parse_query(text: str) -> SelectionQuery:
    """Parse a selection query.

    Raises
    ------
    QueryError
        With the query, a caret under the spot, and what was expected there.

    Examples
    --------
    >>> parse_query("conn|in_count_uid|in_count_uid")
    Traceback (most recent call last):
        ...
    mods.errors.QueryError: selection query: the name 'in_count_uid' is given twice
      conn|in_count_uid|in_count_uid
                        ^
    Give one of them another name with '~'.
    """
    body, mark, tail = text.partition("#")
    if "#" in tail:
        spot = len(body) + 1 + tail.index("#")
        raise _mistake(text, spot, "a second '#'", "Name the join columns once, at the end.")
    columns: list[Selected] = []
    seen: set[str] = set()
    for protocol, position, fields in _sections(text, body):
        if not fields:
            raise _mistake(
                text,
                position,
                f"no column after {protocol!r}",
                "Put '|' and a column after it, for example conn|in_count_uid.",
            )
        for column, name, spot in fields:
            if name in seen:
                raise _mistake(
                    text,
                    spot,
                    f"the name {name!r} is given twice",
                    "Give one of them another name with '~'.",
                )
            seen.add(name)
            columns.append(Selected(protocol, column, name, spot))
    return SelectionQuery(tuple(columns), _joins(text, mark, tail), text)


def _sections(text: str, body: str) -> Iterator[tuple[str, int, list[tuple[str, str, int]]]]:
    """Yield each protocol with its position and its (column, name, position)."""
    at = 0
    for section in body.split(";"):
        words = section.split("|")
        protocol = words[0].strip()
        if not protocol or "~" in protocol:
            raise _mistake(
                text,
                _skip(text, at),
                "a protocol is missing" if not protocol else "a protocol cannot be renamed",
                "Begin each part with a protocol, for example conn|in_count_uid.",
            )
        spot = at + len(words[0]) + 1
        fields = []
        for word in words[1:]:
            fields.append(_field(text, word, spot))
            spot += len(word) + 1
        yield protocol, _skip(text, at), fields
        at += len(section) + 1


def _field(text: str, word: str, at: int) -> tuple[str, str, int]:
    pieces = [piece.strip() for piece in word.split("~")]
    spot = _skip(text, at)
    if len(pieces) > 2:
        raise _mistake(text, spot, "more than one '~'", "A column is renamed once.")
    if not all(pieces):
        raise _mistake(
            text,
            spot,
            "a column or its new name is missing",
            "Write |column or |column~new_name.",
        )
    return pieces[0], pieces[-1], spot


def _joins(text: str, mark: str, tail: str) -> tuple[str, ...]:
    if not mark:
        return _JOINS
    names = tuple(name.strip() for name in tail.split(","))
    for name in names:
        if name not in _JOINS:
            spot = len(text) - len(tail) + max(tail.find(name), 0)
            raise _mistake(
                text,
                spot,
                f"protocols cannot be joined on {name!r}",
                "Join on window_start, or on window_start,window_end.",
            )
    if "window_start" not in names:
        raise _mistake(
            text, len(text) - len(tail), "no window_start to join on", "Join on window_start."
        )
    return names


def _skip(text: str, at: int) -> int:
    """Return the first position from `at` on that is no blank."""
    while at < len(text) and text[at] == " ":
        at += 1
    return at


def _mistake(text: str, position: int, what: str, mend: str) -> QueryError:
    shown = re.sub(r"\s", " ", text)
    return QueryError(
        f"selection query: {what}", mend=mend, shown=f"  {shown}\n  {' ' * position}^"
    )
