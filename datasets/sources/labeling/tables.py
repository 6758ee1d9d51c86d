"""Tables of labels: CSV, lists of names and numbers, CelebA's attributes, JSON lines."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from progan.datasets.errors import DataError
from progan.datasets.files import parse_json, some_of
from progan.datasets.sources.labeling.matching import base, canonical, stem

_DELIMITERS = (",", "\t", ";")
# Headings of the one column that is meant where a table has several.
_USUAL = frozenset("label labels class classes category target".split())
_WHOLE = re.compile(r"([0-9]{1,9})(\.0+)?")
_MOST_SHOWN = 40


class Table(NamedTuple):
    """Rows of cells."""

    rows: list[list[str]]
    heading: list[str] | None = None
    """The names of the columns, where the format has them."""


def read_table(content: bytes, path: Path) -> Table:
    """Rows of a text file, by the extension of its name. Raises DataError."""
    try:
        text = content.decode(
            "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        )
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not text in UTF-8: save it as a CSV file in UTF-8") from error
    try:
        if path.suffix.lower() in (".jsonl", ".ndjson"):
            return _json_lines(text)
        spaced = path.suffix.lower() not in (".csv", ".tsv")
        table = _delimited(text) or (_spaced(text) if spaced else None)
    except (csv.Error, ValueError) as error:
        raise DataError(f"{path} cannot be read as a table: {error}") from error
    if table is None:
        raise DataError(f"{path} is not a CSV file of two columns, name and class")
    return table


def labels_of(
    table: Table, column: str | None, names: Sequence[str], is_picture: Callable[[str], bool],
    path: Path,
) -> dict[str, Any]:  # fmt: skip
    """Name -> label, from the column of a table that holds names of pictures, and `column`.

    `column` is a heading or a number from 1. Without it there must be one other column, or one
    named "label", "class" or the like, or columns of which exactly one is 1 in each row. Raises
    DataError for columns that do not exist or are not clear, and for a name with two labels.
    """
    at = _name_column(table.rows, names)
    heading, rows = _heading(table, at, names, is_picture)
    chosen = _class_column(heading, rows, at, column, path)
    if chosen is None:
        pairs = _one_hot(heading, rows, at)
        if pairs is None:
            raise _unclear(heading, rows, at, path)
    else:
        if chosen >= min(map(len, rows), default=chosen + 1):
            raise DataError(f"{path}: not every row has a column {chosen + 1}")
        pairs = [(row[at].strip(), row[chosen].strip()) for row in rows]
    return _distinct([pair for pair in pairs if pair[1]], path)


def _delimited(text: str) -> Table | None:
    """By the first delimiter that gives every row two columns."""
    for delimiter in _DELIMITERS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        rows = _without_comment([row for row in reader if row])
        if all(len(row) > 1 for row in rows):
            return Table(rows)
    return None


def _without_comment(rows: list[list[str]]) -> list[list[str]]:
    """Without first lines that are no rows: comments, and Excel's `sep=;`."""
    while len(rows) > 1 and (
        (len(rows[0]) == 1 and rows[0][0].startswith("#")) or rows[0][0].startswith("sep=")
    ):
        rows = rows[1:]
    return rows


def _spaced(text: str) -> Table | None:
    """Columns with spaces between. CelebA's begin with the number of rows, and the heading has no
    word for the first column, which holds names. Only names may have spaces."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].isdigit():
        lines = lines[1:]
    counts = [len(line.split()) for line in lines]
    if len(counts) > 1 and counts[0] == min(counts[1:]) - 1 and "." not in lines[0]:
        heading = ["", *lines[0].split()]
        return Table([line.rsplit(None, counts[0]) for line in lines[1:]], heading)
    if min(counts, default=0) < 2:
        return None
    return Table([line.rsplit(None, min(counts) - 1) for line in lines])


def _json_lines(text: str) -> Table:
    """One object a line, as metadata.jsonl of an image folder. Raises ValueError."""
    records = [parse_json(line) for line in text.splitlines() if line.strip()]
    if not records or not all(isinstance(record, dict) for record in records):
        raise ValueError("not one JSON object in each line")
    heading = list(dict.fromkeys(key for record in records for key in record))
    rows = [["" if r.get(k) is None else str(r[k]) for k in heading] for r in records]
    return Table(rows, heading)


def _name_column(rows: list[list[str]], names: Sequence[str]) -> int:
    """The column that names most pictures: the first one, unless another names more."""
    files = {base(canonical(name)).casefold() for name in names}
    for known, spelling in ((files, str), ({stem(file) for file in files}, stem)):
        best, most = 0, 0
        for at in range(max(map(len, rows), default=0)):
            cells = {spelling(base(canonical(row[at])).casefold().strip()) for row in rows
                     if at < len(row)}  # fmt: skip
            if (hits := len(cells & known)) > most:
                best, most = at, hits
            if most == len(known):
                break
        if most:
            return best
    return 0


def _heading(
    table: Table, at: int, names: Sequence[str], is_picture: Callable[[str], bool]
) -> tuple[list[str] | None, list[list[str]]]:
    """(names of the columns, rows): a first row that names no picture is a heading."""
    if table.heading is not None or not table.rows:
        return table.heading, table.rows
    first = canonical(table.rows[0][at].strip()) if at < len(table.rows[0]) else ""
    key = stem(base(first)).casefold()
    extensions = any(at < len(row) and is_picture(row[at].strip()) for row in table.rows)
    named = any(stem(base(canonical(name))).casefold() == key for name in names)
    if is_picture(first) or (named and not extensions):
        return None, table.rows
    return [cell.strip() for cell in table.rows[0]], table.rows[1:]


def _class_column(
    heading: list[str] | None, rows: list[list[str]], at: int, column: str | None, path: Path
) -> int | None:
    """The number of the column with the classes; None if it is not clear. Raises DataError."""
    width = len(heading) if heading else max(map(len, rows), default=2)
    others = [n for n in range(width) if n != at and (heading is None or heading[n])]
    if column is None:
        usual = [n for n in others if heading and heading[n].lower() in _USUAL]
        clear = others if len(others) == 1 else usual
        return clear[0] if len(clear) == 1 else None
    for same in (str, str.lower):
        found = [n for n in others if heading and same(heading[n]) == same(column)]
        if found:
            return found[0]
    if column.isdecimal() and int(column) - 1 in others:
        return int(column) - 1
    shown = [heading[n] if heading else str(n + 1) for n in others]
    raise DataError(f"{path} has no column {column}: choose one of {some_of(shown, _MOST_SHOWN)}")


def _unclear(heading: list[str] | None, rows: list[list[str]], at: int, path: Path) -> DataError:
    width = len(heading) if heading else max(map(len, rows), default=0)
    shown = [heading[n] if heading else str(n + 1) for n in range(width) if n != at]
    shown = [name for name in shown if name]
    return DataError(
        f"{path} has {len(shown)} columns beside the pictures' names: choose one by --labels "
        f"{path}:COLUMN, where COLUMN is one of {some_of(shown, _MOST_SHOWN)}"
    )


def _one_hot(
    heading: list[str] | None, rows: list[list[str]], at: int
) -> list[tuple[str, str]] | None:
    """(name, heading of the column that is 1); None unless all others are 0, in every row."""
    if heading is None:
        return None
    columns = [n for n in range(len(heading)) if n != at and heading[n]]
    pairs = []
    for row in rows:
        whole = [_WHOLE.fullmatch(row[n].strip()) if n < len(row) else None for n in columns]
        values = [int(cell[1]) for cell in whole if cell]
        if len(values) < len(columns) or sorted(values) != [0] * (len(columns) - 1) + [1]:
            return None
        pairs.append((row[at].strip(), heading[columns[values.index(1)]]))
    return pairs or None


def _distinct(pairs: list[tuple[str, str]], path: Path) -> dict[str, Any]:
    """Labels are whole numbers if all are written as such. Raises DataError for a name with two."""
    numbers = [_WHOLE.fullmatch(label) for _, label in pairs]
    whole = [int(number[1]) for number in numbers if number]
    labels: list[Any] = [label for _, label in pairs]
    if len(whole) == len(pairs):
        labels = whole
    found: dict[str, Any] = {}
    for (name, _), label in zip(pairs, labels, strict=True):
        if found.setdefault(name, label) != label:
            raise DataError(f"{path} gives {name} two labels, {found[name]} and {label}")
    return found
