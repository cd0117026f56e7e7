"""The content of a TSV or CSV table: names and float64 columns, mended where that is safe.

A line with stray separators is mended where only one mending is possible, and
is a row of missing values otherwise; a warning names it.  What is no number is
an error that names line, column and value.
"""

from __future__ import annotations

import csv
import warnings
from dataclasses import dataclass

import numpy as np
import polars as pl

from mods.dataset.day_table import TIMES
from mods.errors import DataError, ModsWarning

__all__ = ["MAX_COLUMNS", "check_names", "parse_text"]

MAX_COLUMNS = 10_000
#: A hundred years of five-minute windows are half of this.
_MAX_LINES = 20_000_000
#: Beside these a table holds numbers; `NA` and `nan` are what R and Python write.
_MISSING = ("", "NA", "nan", "NaN", "NAN")
#: Stands for a separator inside a quoted cell, which is data.
_INNER = "\x1f"
#: How many lines may be lost, at least and as a share, before the table is no table.
_MAY_LOSE, _MAY_LOSE_SHARE = 10, 0.1


@dataclass
class _Lines:
    """The lines of a table after the header, each with its number in the file, from 1."""

    texts: list[str]
    numbers: np.ndarray  # (lines,), int64


def parse_text(data: bytes, name: str) -> tuple[pl.DataFrame, np.ndarray]:
    r"""Parse a TSV or CSV table.

    Parameters
    ----------
    data
        The file's bytes.
    name
        What messages call the file.

    Returns
    -------
    table
        `(rows, columns)`: times as text, all other columns as Float64, null
        where missing.
    lines
        `(rows,)`, int64: each row's line in the file, from 1.

    Raises
    ------
    DataError
        Where it is no table; names the line, column and value.

    Examples
    --------
    >>> table, lines = parse_text(b"conn_in,ssh_in\n1,2\n,3\n", "a.csv")
    >>> table.rows(), lines.tolist()
    ([(1.0, 2.0), (None, 3.0)], [2, 3])
    """
    if data.count(b"\n") > _MAX_LINES:
        raise DataError(f"{name!r} has over {_MAX_LINES:,} lines", "a table of windows")
    lines = _decode(data, name).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    header = next((number for number, line in enumerate(lines) if line.strip()), None)
    if header is None:
        raise DataError(f"{name!r} is empty", "a header line and rows")
    separator = max("\t,;", key=lines[header].count)
    names = [cell.strip() for cell in _split(lines[header], separator, header + 1, name)]
    check_names(names, name)
    # A line of tabs alone is a row of missing values, a blank one at the end is none.
    last = max(number for number, line in enumerate(lines) if line.strip(" "))
    if last == header:
        raise DataError(f"{name!r} has a header and no rows", "one row a window")
    rows = _Lines(lines[header + 1 : last + 1], np.arange(header + 2, last + 2))
    rows = _even(_unquoted(rows, separator, name), separator, names, name)
    return _numbers(_cells(rows, separator, names), rows.numbers, separator, name), rows.numbers


def _decode(data: bytes, name: str) -> str:
    kinds = {
        b"\xff\xfe": "UTF-16 text",
        b"\xfe\xff": "UTF-16 text",
        b"\x1f\x8b": "gzip data",
        b"\x28\xb5\x2f\xfd": "zstd data",
        b"PK": "a zip without features",
        b"{": "JSON",
        b"<": "HTML or XML",
        b"#separator": "a Zeek log",
    }
    kind = next((kind for magic, kind in kinds.items() if data.lstrip().startswith(magic)), None)
    if kind is not None:
        mend = (
            "Turn it into a datapool with 'mods features'."
            if kind == "a Zeek log"
            else "Unpack or save it as UTF-8 text."
        )
        raise DataError(f"{name!r} is {kind}", "a TSV, CSV or Parquet table", mend)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name!r} is not UTF-8 text (byte {error.start:,})",
            "a TSV, CSV or Parquet table",
            "Save it as UTF-8.",
        ) from None
    if "\0" in text or _INNER in text:
        raise DataError(f"{name!r} holds control characters", "a TSV, CSV or Parquet table")
    return text


def check_names(names: list[str], name: str) -> None:
    """Raise `DataError` where the columns' names are not those of a table of features."""
    if len(names) > MAX_COLUMNS:
        raise DataError(f"{name!r} has {len(names):,} columns", f"at most {MAX_COLUMNS:,}")
    twice = next((column for column in names if names.count(column) > 1 and column), None)
    if twice:
        raise DataError(f"{name!r} has the column {twice[:40]!r} twice", "distinct names")
    if "" in names:
        raise DataError(
            f"{name!r} has a column without a name (number {names.index('') + 1})",
            "a name for each column",
            "Leave out row numbers: in pandas to_csv(..., index=False).",
        )
    features = [column for column in names if column not in TIMES]
    if not features:
        raise DataError(f"{name!r} has no column besides times", "at least one feature")
    if all(_is_number(column) for column in features):
        raise DataError(
            f"the first line of {name!r} holds numbers",
            "a header with the columns' names",
            "Put the names into the first line.",
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _split(line: str, separator: str, number: int, name: str) -> list[str]:
    """Return the cells of a line, quotes undone."""
    try:
        return next(csv.reader([line], delimiter=separator), [""])
    except csv.Error as error:
        raise DataError(
            f"line {number} of {name!r} cannot be read: {error}", "a TSV, CSV or Parquet table"
        ) from None


def _unquoted(lines: _Lines, separator: str, name: str) -> _Lines:
    """Undo quotes, line by line; no cell of a table of numbers goes over several lines."""
    texts = lines.texts
    for place, text in enumerate(texts):
        if '"' in text:
            cells = _split(text, separator, int(lines.numbers[place]), name)
            texts[place] = separator.join(cell.replace(separator, _INNER) for cell in cells)
    return lines


def _even(lines: _Lines, separator: str, names: list[str], name: str) -> _Lines:
    """Give each line as many fields as the header has, or leave it out."""
    width = len(names)
    counts = pl.Series(lines.texts).str.count_matches(separator, literal=True).to_numpy() + 1
    mended, lost = [], []
    for place in np.flatnonzero(counts != width):
        cells = lines.texts[place].split(separator)
        filled = [cell for cell in cells if cell.strip()]
        if len(cells) > width == len(filled):
            # What is left fits exactly, so that the empty fields can only be the stray ones.
            lines.texts[place] = separator.join(filled)
            mended.append(place)
        else:
            lines.texts[place] = separator * (width - 1)
            lost.append(place)
    total = len(lines.texts)
    if len(lost) > max(_MAY_LOSE, int(total * _MAY_LOSE_SHARE)) or len(lost) == total:
        raise DataError(
            f"{len(lost):,} of {total:,} lines of {name!r} do not have {width} fields "
            f"(the first is line {lines.numbers[lost[0]]})",
            "as many fields as the header names",
        )
    _tell(name, [int(lines.numbers[p]) for p in mended], width, "its empty field was removed")
    _tell(name, [int(lines.numbers[p]) for p in lost], width, "all its values count as missing")
    if lost and "window_start" in names:
        # Without a sure time a row has no place; the grid of windows has the gap.
        kept = np.setdiff1d(np.arange(total), lost)
        return _Lines([lines.texts[p] for p in kept], lines.numbers[kept])
    return lines


def _tell(name: str, numbers: list[int], width: int, done: str) -> None:
    if numbers:
        shown = ", ".join(map(str, numbers[:5]))
        more = f" and {len(numbers) - 5:,} more lines" if len(numbers) > 5 else ""
        do = "does" if len(numbers) == 1 else "do"
        warnings.warn(
            f"{name}: line {shown}{more} {do} not have {width} field{'s' * (width > 1)}; {done}",
            ModsWarning,
            stacklevel=6,
        )


def _cells(lines: _Lines, separator: str, names: list[str]) -> pl.DataFrame:
    text = pl.Series("cells", lines.texts)
    parts = text.str.split_exact(separator, len(names) - 1)
    return parts.struct.unnest().rename(lambda field: names[int(field.removeprefix("field_"))])


def _numbers(cells: pl.DataFrame, lines: np.ndarray, separator: str, name: str) -> pl.DataFrame:
    """Cast the features to Float64; raise for what is neither a number nor missing."""
    missing = pl.Series(_MISSING, dtype=pl.String)
    columns = []
    for column in cells:
        text = column.str.strip_chars(" \"'\t")
        if column.name in TIMES:
            columns.append(text.replace("", None))
            continue
        text = text.set(text.is_in(missing.implode()), None)
        values = text.cast(pl.Float64, strict=False)
        bad = (values.is_null() & text.is_not_null()) | ~values.is_finite().fill_null(True)
        if bad.any():
            row = int(bad.arg_max() or 0)
            value = str(column[row]).replace(_INNER, separator)[:40]
            raise DataError(
                f"line {lines[row]} of {name!r}, column {column.name[:40]!r}: {value!r}",
                "a finite number, or nothing where the value is missing",
            )
        columns.append(values)
    return pl.DataFrame(columns)
