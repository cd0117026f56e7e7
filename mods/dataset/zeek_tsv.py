"""Zeek's TSV logs: each part of a file by the header that stands before it.

A block is parsed as a whole where it is sound; only a block with a line or a
value that does not fit is taken line by line, so that the misfits are told and
their neighbours stay where they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl
from polars.exceptions import PolarsError

from mods.dataset.protocols import FIELDS
from mods.dataset.records import Block, Rejects, empty_records, raw_type, typed, typed_from_text

__all__ = ["Header", "TsvReader"]

_ESCAPE = re.compile(r"\\x([0-9a-fA-F]{2})")
_REQUIRED = ("ts", "id_orig_h", "id_resp_h")


@dataclass
class Header:
    r"""What the header lines said so far.

    Examples
    --------
    >>> header = Header()
    >>> for line in (b"#separator \\x09", b"#path\tconn", b"#fields\tts\tid.orig_h"):
    ...     header.take(line)
    >>> header.separator, header.path, header.fields
    (b'\t', 'conn', ['ts', 'id_orig_h'])
    """

    separator: bytes = b"\t"
    empty: str = "(empty)"
    unset: str = "-"
    path: str = ""
    fields: list[str] = field(default_factory=list)

    def take(self, line: bytes) -> None:
        """Take one line that begins with `#`."""
        line = line.rstrip(b"\r\n")
        key = re.match(rb"#\w*", line)
        name = key[0] if key else b"#"
        rest = line[len(name) :]
        if name == b"#separator":
            # a new header begins; whatever stands between the word and its value separates them
            self.__init__()  # type: ignore[misc]
            value = rest.strip(b" \t") or rest[1:]
            self.separator = _unescape(value.decode("utf-8", "replace")).encode() or b"\t"
            return
        if rest[:1] == b"\t" and self.separator != b"\t":
            self.separator = b"\t"
        parts = rest.decode("utf-8", "replace").split(self.separator.decode())[1:]
        if name == b"#fields":
            self.fields = [part.strip().replace(".", "_") for part in parts]
        elif parts and name == b"#path":
            self.path = parts[0].strip()
        elif parts and name == b"#empty_field":
            self.empty = parts[0]
        elif parts and name == b"#unset_field":
            self.unset = parts[0]

    @property
    def complaint(self) -> str:
        """Why no record can be read under this header, "" where they can."""
        if not self.fields:
            return "no #fields line before it"
        lacking = [f.replace("id_", "id.") for f in _REQUIRED if f not in self.fields]
        return f"the header names no field {', '.join(lacking)}" if lacking else ""


class TsvReader:
    """Reads the blocks of one file, one after the other.

    Parameters
    ----------
    wanted
        For each protocol the fields to read; records of others are passed over.
    protocol
        The protocol of records under a header without `#path`.

    Attributes
    ----------
    lacking
        Pairs (protocol, field) that were wanted and that a header does not name.
    """

    def __init__(self, wanted: Mapping[str, tuple[str, ...]], protocol: str = "") -> None:
        self.header = Header()
        self.lacking: set[tuple[str, str]] = set()
        self._wanted = wanted
        self._protocol = protocol

    def read(self, block: bytes, line: int) -> Iterator[Block]:
        """Yield the records of a block of whole lines, the first of which is number `line`."""
        at = 0
        if line == 1 and block.startswith(b"\xef\xbb\xbf"):
            at = 3
        while at < len(block):
            if block[at] == ord("#"):
                end = block.find(b"\n", at) + 1 or len(block)
                self.header.take(block[at:end])
                line += 1
            else:
                end = _next_header(block, at)
                part = block if end - at == len(block) else block[at:end]
                yield from self._part(part, line)
                line += part.count(b"\n")
            at = end

    def _part(self, part: bytes, line: int) -> Iterator[Block]:
        protocol = self.header.path or self._protocol
        if not self.header.path and not self.header.fields:
            protocol = self._protocol or "unknown"
        elif protocol not in self._wanted:
            return
        if self.header.complaint:
            rejects = Rejects()
            for number, text in enumerate(part.split(b"\n"), line):
                if text.strip():
                    rejects.add(number, self.header.complaint, text)
            if rejects.count:
                yield Block(protocol, empty_records(self._wanted.get(protocol, ())), rejects)
            return
        fields = self._wanted[protocol]
        for name in fields:
            if name not in self.header.fields and not name.startswith("local_"):
                self.lacking.add((protocol, name))
        records = self._whole(part, fields)
        rejects = Rejects()
        if records is None:
            records, rejects = self._by_line(part, line, fields)
        yield Block(protocol, _unescaped(records), rejects)

    def _whole(self, part: bytes, fields: tuple[str, ...]) -> pl.DataFrame | None:
        """Return the records of a sound part, None where a line or value does not fit."""
        header = self.header
        if len(header.separator) != 1:
            return None
        names = [f"column_{n}" for n in range(1, len(header.fields) + 2)]
        schema: dict[str, type[pl.DataType]] = dict.fromkeys(names, pl.String)
        last, beyond = names[-2:]
        places = {}
        for name in fields:
            if name in header.fields:
                column = names[header.fields.index(name)]
                places[column] = name
                # a short line shows in its last column: only text tells it from an unset one
                schema[column] = pl.String if column == last else raw_type(name)
        try:
            raw = pl.read_csv(
                part,
                has_header=False,
                separator=header.separator.decode(),
                quote_char=None,
                schema=schema,
                columns=[n for n in names if n in places or n in (last, beyond)],
                null_values=[header.unset],
                empty_string_is_null=False,
                missing_columns="insert",
            )
            uneven = raw.select(
                (pl.col(last) == "").any().alias("short"),
                (pl.col(beyond) != "").any().alias("long"),
            )
            if any(uneven.row(0)):
                return None
            if last in places:
                raw = raw.with_columns(pl.col(last).cast(raw_type(places[last])))
        except (PolarsError, ValueError):
            return None
        return typed(raw.rename(places), fields, header.empty)

    def _by_line(
        self, part: bytes, line: int, fields: tuple[str, ...]
    ) -> tuple[pl.DataFrame, Rejects]:
        header = self.header
        count = len(header.fields)
        places = {name: header.fields.index(name) for name in fields if name in header.fields}
        columns: dict[str, list[str | None]] = {name: [] for name in places}
        numbers: list[int] = []
        rejects = Rejects()
        texts = part.split(b"\n")
        for number, text in enumerate(texts, line):
            text = text.removesuffix(b"\r")
            if not text:
                continue
            parts = text.split(header.separator)
            if len(parts) != count:
                rejects.add(number, f"{len(parts)} fields where the header names {count}", text)
                continue
            numbers.append(number)
            for name, place in places.items():
                value = parts[place].decode("utf-8", "backslashreplace")
                columns[name].append(None if value == header.unset else value)
        frame = pl.DataFrame(
            {**columns, "line": numbers},
            schema={**dict.fromkeys(columns, pl.String), "line": pl.Int64},
        )
        records, bad = typed_from_text(frame, fields, header.empty)
        for number, reason in bad.iter_rows():
            rejects.add(number, reason, texts[number - line])
        return records, rejects


def _next_header(block: bytes, at: int) -> int:
    """Return where the next line that begins with `#` begins, the block's end where none does."""
    # looking for one byte is ten times as fast as for two, where that byte is rare
    for _ in range(100):
        at = block.find(b"#", at + 1)
        if at < 0:
            return len(block)
        if block[at - 1] == ord("\n"):
            return at
    return block.find(b"\n#", at) + 1 or len(block)


def _unescape(text: str) -> str:
    r"""Undo Zeek's escapes, so that a TSV and a JSON log give equal text.

    >>> _unescape("caf\\xc3\\xa9"), _unescape("\\x2d"), _unescape("bad\\xff")
    ('café', '-', 'bad\\xff')
    """
    raw = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    # only the escapes are bytes; text beyond Latin-1 was never escaped
    try:
        return raw.encode("latin-1").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return text


def _unescaped(records: pl.DataFrame) -> pl.DataFrame:
    for name in records.columns:
        if FIELDS[name] != "string":
            continue
        escaped = records[name].str.contains("\\x", literal=True)
        if escaped.any():
            values = records[name].filter(escaped.fill_null(False)).unique().to_list()
            plain = [_unescape(value) for value in values]
            records = records.with_columns(pl.col(name).replace(values, plain))
    return records
