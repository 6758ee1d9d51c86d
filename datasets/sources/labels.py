"""Labels: from a file, from the source itself, or from the names of its folders.

Either all pictures have a label or none has.
"""

import csv
import io
import os
import re
import reprlib
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from progan.datasets.errors import DataError
from progan.datasets.files import parse_json
from progan.datasets.names import printable
from progan.datasets.sources.listing import Listing

DATASET_JSON = "dataset.json"
NONE = "none"
"""In place of a file: no labels."""
_MOST_CLASSES = 1 << 20
# Not str.isdigit: it says yes to "²", which is no number, and to numbers that Python does not read.
_NUMBER = re.compile(r"-?[0-9]{1,9}")

Labels = tuple[tuple[int, ...] | None, tuple[str, ...] | None]
"""(label of every picture, name of every class), or (None, None)"""


def assign(listing: Listing, source: str, labels: str | Path | None) -> Labels:
    """Labels of the listing's entries, in their order, and the classes' names.

    `labels` is a dataset.json or a CSV file, or "none". Without it, the first of these that exists:
    the source's dataset.json, the labels of its entries, the names of its first-level folders.
    Raises DataError.
    """
    if labels == NONE:
        return None, None
    if labels is not None:
        path = Path(labels)
        named = _read(path)
        if named is None:
            raise DataError(f'{path} holds no labels: its "labels" is null')
        return _numbered(_complete(listing, named, str(path)), None, str(path))
    if listing.dataset_json is not None:
        named = _parse_json(listing.dataset_json, f"{DATASET_JSON} of {source}")
        if named is not None:
            found = _complete(listing, named, f"{DATASET_JSON} of {source}")
            return _numbered(found, None, source)
    known = [entry.label for entry in listing.entries]
    if any(label is not None for label in known):
        own = {e.name: e.label for e in listing.entries if e.label is not None}
        return _numbered(_complete(listing, own, source), listing.classes, source)
    names = [entry.name for entry in listing.entries]
    return _from_folders([n.partition("/")[2] for n in names] if listing.in_shards else names)


def class_of(text: str) -> int | str:
    """A class as text is a number if it is written as one, else a name."""
    return int(text) if _NUMBER.fullmatch(text) else text


def _from_folders(names: Sequence[str]) -> Labels:
    """From the names of the first-level folders, if there are at least two.

    Ignores folders that contain everything, as zip files often have. A picture outside the class
    folders leaves the whole source without labels.
    """
    folders = [PurePosixPath(name).parts[:-1] for name in names]
    shared = len(os.path.commonprefix(folders))
    if any(len(parts) == shared for parts in folders):
        return None, None
    classes = sorted({parts[shared] for parts in folders})
    label = {name: number for number, name in enumerate(classes)}
    return tuple(label[parts[shared]] for parts in folders), tuple(map(printable, classes))


def _complete(listing: Listing, named: dict[str, Any], where: str) -> list[Any]:
    """The label of every entry. Raises DataError, which lists the first ten without a label."""
    missing = [entry.name for entry in listing.entries if entry.name not in named]
    if missing:
        first = ", ".join(missing[:10])
        raise DataError(
            f"{where} labels {len(listing.entries) - len(missing)} of {len(listing.entries)} "
            f"pictures; the first without a label: {first}. Label all, or say --labels none"
        )
    return [named[entry.name] for entry in listing.entries]


def _numbered(labels: Iterable[Any], classes: Sequence[str] | None, where: str) -> Labels:
    """Keeps whole numbers; numbers names in their alphabetical order."""
    found = list(labels)
    if all(isinstance(label, str) for label in found):
        names = sorted(set(found))
        number = {name: n for n, name in enumerate(names)}
        return tuple(number[label] for label in found), tuple(map(printable, names))
    for label in found:
        if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < _MOST_CLASSES:
            raise DataError(
                f"{where}: a label is {reprlib.repr(label)}: give whole numbers from 0, or names"
            )
    count = max(found) + 1
    names = list(classes or []) + [str(n) for n in range(len(classes or []), count)]
    return tuple(found), tuple(map(printable, names))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read the labels {path}: {error.strerror}") from error
    if path.suffix.lower() == ".json":
        return _parse_json(content, str(path))
    return _parse_csv(content, path)


def _parse_json(content: bytes, where: str) -> dict[str, Any] | None:
    """StyleGAN's format: {"labels": [["folder/name.png", 6], ...]} or {"labels": null}."""
    try:
        labels = parse_json(content)["labels"]
        return None if labels is None else {str(name): label for name, label in labels}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f'{where} is not in the form {{"labels": [["folder/name.png", 6], ...]}}'
        ) from error


def _parse_csv(content: bytes, path: Path) -> dict[str, Any]:
    """Two columns, name and class; skips a first line of headings."""
    try:
        text = io.StringIO(content.decode("utf-8-sig"), newline="")
        rows = [row for row in csv.reader(text) if row]
        pairs = {row[0].strip(): row[1].strip() for row in rows}
    except (UnicodeDecodeError, csv.Error, IndexError) as error:
        raise DataError(f"{path} is not a CSV file of two columns, name and class") from error
    heading = rows[0] if rows else []
    values = [label for name, label in pairs.items() if [name, label] != heading[:2]]
    if values and all(isinstance(class_of(value), int) and value[0] != "-" for value in values):
        return {name: int(label) for name, label in pairs.items() if _NUMBER.fullmatch(label)}
    return dict(pairs)
