"""Zeek's JSON logs: one object a line, of one protocol or a stream of many (`_path`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from mods.dataset.protocols import FIELDS
from mods.dataset.records import Block, Rejects, empty_records, raw_type, typed, typed_from_text

__all__ = ["JsonReader"]


class JsonReader:
    """Reads the blocks of one file, one after the other.

    Parameters
    ----------
    wanted
        For each protocol the fields to read; records of others are passed over.
    protocol
        The protocol of records without `_path`.
    """

    def __init__(self, wanted: Mapping[str, tuple[str, ...]], protocol: str = "") -> None:
        self._wanted = wanted
        self._protocol = protocol
        self.lacking: set[tuple[str, str]] = set()

    def read(self, block: bytes, line: int) -> Iterator[Block]:
        """Yield the records of a block of whole lines, the first of which is number `line`."""
        blocks = self._whole(block)
        yield from self._by_line(block, line) if blocks is None else blocks

    def _whole(self, block: bytes) -> list[Block] | None:
        """Return the records of a sound block, None where a line or value does not fit."""
        stream = b'"_path"' in block
        used = self._wanted if stream else {self._protocol: self._wanted.get(self._protocol, ())}
        fields = sorted({name for names in used.values() for name in names})
        spelled = {spelling: name for name in fields for spelling in _spellings(name, block)}
        schema: dict[str, type[pl.DataType]] = {
            spelling: pl.Boolean if FIELDS[name] == "bool" else raw_type(name)
            for spelling, name in spelled.items()
        }
        if stream:
            schema["_path"] = pl.String
        try:
            raw = pl.read_ndjson(block, schema=schema)
        except PolarsError:
            return None
        raw = raw.rename({spelling: name for spelling, name in spelled.items() if spelling in raw})
        blocks = []
        for protocol, names in used.items():
            path = pl.col("_path").fill_null(self._protocol)
            part = raw.filter(path == protocol) if stream else raw
            records = typed(part, names, empty=None)
            if records is None:
                return None
            if records.height:
                blocks.append(Block(protocol, records))
        return blocks

    def _by_line(self, block: bytes, line: int) -> Iterator[Block]:
        parts: dict[str, list[dict[str, Any]]] = {}
        rejects: dict[str, Rejects] = {}
        texts = block.split(b"\n")
        for number, text in enumerate(texts, line):
            if not text.strip():
                continue
            entry, reason = _entry(text)
            protocol = str(entry.get("_path") or self._protocol) if entry else self._protocol
            if reason:
                rejects.setdefault(protocol, Rejects()).add(number, reason, text)
            elif protocol in self._wanted:
                row = {name: _text(entry, name) for name in self._wanted[protocol]}
                parts.setdefault(protocol, []).append(row | {"line": number})
        for protocol in sorted(parts.keys() | rejects.keys()):
            fields = self._wanted.get(protocol, ())
            if protocol not in parts:
                yield Block(protocol or "unknown", empty_records(fields), rejects[protocol])
                continue
            schema = dict.fromkeys(fields, pl.String) | {"line": pl.Int64}
            frame = pl.DataFrame(parts[protocol], schema=schema)
            records, bad = typed_from_text(frame, fields, empty=None)
            found = rejects.get(protocol, Rejects())
            for number, reason in bad.iter_rows():
                found.add(number, reason, texts[number - line])
            yield Block(protocol or "unknown", records, found)


def _spellings(name: str, block: bytes) -> list[str]:
    """Return the one spelling of a field that a block uses: `id.orig_h` or `id_orig_h`."""
    if name.startswith("id_") and b'"' + name.encode() + b'"' not in block:
        return [name.replace("id_", "id.")]
    return [name]


def _entry(text: bytes) -> tuple[dict[str, Any], str]:
    try:
        entry = json.loads(text.decode("utf-8", "backslashreplace"))
    except (ValueError, RecursionError) as error:
        return {}, f"no JSON ({error})"
    if not isinstance(entry, dict):
        return {}, f"a JSON {type(entry).__name__}, no object"
    return entry, ""


def _text(entry: dict[str, Any], name: str) -> str | None:
    value = entry.get(name)
    if value is None and name.startswith("id_"):
        value = entry.get(name.replace("id_", "id."))
    if value is None:
        return None
    if isinstance(value, bool):
        return "T" if value else "F"
    # a list or an object is no value of any of our fields, and its text says so in the reject
    return value if isinstance(value, str) else repr(value)
