r"""The selection query: which columns make a series, over which protocols.

    p1|col|col~new_name;p2|col~new_name#join1,join2

`;` between protocols, `|` before each column, `~` renames, `#` names the
columns that the protocols are joined on.  Blanks around the separators are
allowed; final names are distinct.  A renamed column that ends in `_kb`, `_mb`
or `_gb` is converted from bytes (1 kB is 1,000 bytes, as the SI says).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from mods.errors import QueryError, did_you_mean

__all__ = ["Selected", "SelectionQuery", "parse_query"]

_JOINS = ("window_start", "window_end")
_UNITS = {"_kb": 1_000.0, "_mb": 1_000_000.0, "_gb": 1_000_000_000.0}
#: The default query has 130 characters; all columns of all protocols fit in twice this.
_MAX_LENGTH = 10_000
#: How much of a long query is shown on either side of the caret.
_SHOWN = 60


@dataclass(frozen=True)
class Selected:
    """One column of one protocol, and the name that it gets."""

    protocol: str
    column: str
    name: str
    #: where the column, and its protocol, stand in the query
    position: int = field(default=0, compare=False)
    protocol_position: int = field(default=0, compare=False)

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
    source: str = field(compare=False)

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
        """The query in its shortest form; parsed again it gives the same columns and joins."""
        parts = []
        # A protocol may come up again after another one: the order of the columns is kept.
        for protocol, columns in groupby(self.columns, key=lambda s: s.protocol):
            fields = [s.column + (f"~{s.name}" if s.name != s.column else "") for s in columns]
            parts.append("|".join([protocol, *fields]))
        return ";".join(parts) + "#" + ",".join(self.joins)

    def of(self, protocol: str) -> list[Selected]:
        """Return the columns of one protocol, in order."""
        return [selected for selected in self.columns if selected.protocol == protocol]

    def check_protocols(self, known: Iterable[str]) -> None:
        """Raise `QueryError` where a protocol is not among the known ones."""
        protocols = set(known)
        for selected in self.columns:
            if selected.protocol not in protocols:
                raise _mistake(
                    self.source,
                    selected.protocol_position,
                    f"the datapool has no protocol {selected.protocol!r}",
                    did_you_mean(selected.protocol, protocols),
                )

    def check_columns(self, protocol: str, known: Iterable[str]) -> None:
        """Raise `QueryError` where a column of `protocol` is not among the known ones."""
        columns = [name for name in known if name not in _JOINS]
        for selected in self.of(protocol):
            if selected.column not in columns:
                raise _mistake(
                    self.source,
                    selected.position,
                    f"{protocol} has no column {selected.column!r}",
                    did_you_mean(selected.column, columns),
                )

    def in_table(self, known: Iterable[str]) -> list[tuple[str, str, float]]:
        """Return (column, name, divisor) of what the query selects from a table.

        A table is what a query makes, so its columns go by the final names;
        with a single protocol in the query also by the names before `~`.

        Raises
        ------
        QueryError
            Where a column is not in the table.

        Examples
        --------
        >>> query = parse_query("conn|in_count_uid~conn_in;ssh|in~ssh_in")
        >>> query.in_table(["ssh_in", "conn_in", "conn_out"])
        [('conn_in', 'conn_in', 1.0), ('ssh_in', 'ssh_in', 1.0)]
        >>> parse_query("conn|sum~sum_kb").in_table(["sum"])
        [('sum', 'sum_kb', 1000.0)]
        """
        columns = list(known)
        alone = len(self.protocols) == 1
        found = []
        for selected in self.columns:
            if selected.name in columns:
                found.append((selected.name, selected.name, 1.0))
            elif alone and selected.column in columns:
                found.append((selected.column, selected.name, selected.divisor))
            else:
                raise _mistake(
                    self.source,
                    selected.position,
                    f"the table has no column {selected.name!r}",
                    did_you_mean(selected.name, columns),
                )
        return found


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
    if len(text) > _MAX_LENGTH:
        raise QueryError(
            f"selection query of {len(text):,} characters", f"at most {_MAX_LENGTH:,} characters"
        )
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
            columns.append(Selected(protocol, column, name, spot, position))
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
                "a protocol cannot be renamed" if protocol else "a protocol is missing",
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
    wrong = [p for p in pieces if not p.isprintable()] or [p for p in pieces[-1:] if p in _JOINS]
    if wrong:
        raise _mistake(
            text,
            spot,
            f"no column can have the name {wrong[0]!r}",
            "Use letters, digits and underscores.",
        )
    return pieces[0], pieces[-1], spot


def _joins(text: str, mark: str, tail: str) -> tuple[str, ...]:
    if not mark:
        return _JOINS
    spot = len(text) - len(tail)
    names = []
    for word in tail.split(","):
        name = word.strip()
        if name not in _JOINS or name in names:
            fault = "are joined twice on" if name in _JOINS else "cannot be joined on"
            raise _mistake(
                text,
                _skip(text, spot),
                f"protocols {fault} {name!r}",
                "Join on window_start, or on window_start,window_end.",
            )
        names.append(name)
        spot += len(word) + 1
    if "window_start" not in names:
        raise _mistake(
            text, len(text) - len(tail), "no window_start to join on", "Join on window_start."
        )
    return tuple(names)


def _skip(text: str, at: int) -> int:
    """Return the first position from `at` on that is no blank."""
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _mistake(text: str, position: int, what: str, mend: str) -> QueryError:
    # One character each, so that the caret stands under the spot.
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    first = max(0, position - _SHOWN) if len(plain) > 2 * _SHOWN else 0
    shown = plain[first : position + _SHOWN] if len(plain) > 2 * _SHOWN else plain
    before = "..." if first else ""
    after = "..." if first + len(shown) < len(plain) else ""
    caret = " " * (len(before) + position - first) + "^"
    return QueryError(
        f"selection query: {what}", mend=mend, shown=f"  {before}{shown}{after}\n  {caret}"
    )
