"""Labels: from a file, from the source itself, or from the names of its folders.

Either all pictures have a label or none has.
"""

import os
import re
import reprlib
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from progan.datasets.errors import DataError
from progan.datasets.files import parse_json, some_of
from progan.datasets.names import printable
from progan.datasets.sources.content import describe
from progan.datasets.sources.labeling.folders import (
    FOLDERS,
    INNERMOST,
    chosen_folders,
    classes_of_folders,
)
from progan.datasets.sources.labeling.matching import match
from progan.datasets.sources.labeling.tables import labels_of, read_table
from progan.datasets.sources.listing import Listing, is_picture

DATASET_JSON = "dataset.json"
NONE = "none"
"""In place of a file: no labels."""
_MOST_CLASSES = 1 << 20
# Not str.isdigit: it says yes to "²", which is no number, and to numbers that Python does not read.
_NUMBER = re.compile(r"(-?[0-9]{1,9})(\.0+)?")
_FORM = 'not in the form {"labels": [["folder/name.png", 6], ...]}'
# More classes than these, with fewer than two pictures each on average, are probably a mistake.
_MANY_CLASSES = 20

Labels = tuple[tuple[int, ...] | None, tuple[str, ...] | None]
"""(label of every picture, name of every class), or (None, None)"""
Note = Callable[[str], None]
"""Called with what the user should know about the labels, one line each."""


def assign(
    listing: Listing, source: str, labels: str | Path | None, note: Note = lambda line: None
) -> Labels:
    """Labels of the listing's entries, in their order, and the classes' names.

    `labels` is a dataset.json, a table (CSV and the like) or TABLE:COLUMN; "folders" or
    "innermost", which folder of a picture names its class; or "none". Without it, the first of
    these that exists: the source's dataset.json, the labels of its entries, its folders. Raises
    DataError.
    """
    numbers, classes = _assign(listing, source, labels, note)
    if numbers is not None and classes is not None:
        _remark(numbers, classes, note)
    return numbers, classes


def class_of(text: str) -> int | str:
    """A class as text is a number if it is written as one (7 or 7.0), else a name."""
    number = _NUMBER.fullmatch(text)
    return int(number[1]) if number else text


def plain(label: Any) -> Any:
    """A whole number for a one-hot vector (its index) and for 2.0; else the label itself."""
    if isinstance(label, float) and label.is_integer():
        return int(label)
    if isinstance(label, list) and len(label) > 1 and all(map(_is_number, label)):
        if sorted(label) == [0] * (len(label) - 1) + [1]:
            return label.index(1)
    return label


def _assign(listing: Listing, source: str, labels: str | Path | None, note: Note) -> Labels:
    if labels == NONE:
        return None, None
    if labels in (FOLDERS, INNERMOST):
        return _numbered(chosen_folders(_within_tars(listing), str(labels)), None, source)
    if labels is not None:
        path, column = _located(labels)
        named = _read(path, column, listing)
        if not named and path.suffix.lower() == ".json":
            raise DataError(f'{path} holds no labels: its "labels" is null or empty')
        return _numbered(_complete(listing, named or {}, str(path), note), None, str(path))
    if named := _own(listing, source):
        where = f"{DATASET_JSON} of {source}"
        return _numbered(_complete(listing, named, where, note), None, source)
    known = [entry.label for entry in listing.entries]
    if any(label is not None for label in known):
        own = {e.name: e.label for e in listing.entries if e.label is not None}
        return _numbered(_complete(listing, own, source, note), listing.classes, source)
    folders = classes_of_folders(_within_tars(listing), note)
    empty = listing.empty_folders if folders is None else _empty_classes(listing, folders)
    if empty:
        note(f"folders without pictures become no classes: {some_of(empty)}")
    return (None, None) if folders is None else _numbered(folders, None, source)


def _own(listing: Listing, source: str) -> dict[str, Any]:
    """The labels in the source's own files, each of which names the pictures of its folder."""
    named: dict[str, Any] = {}
    for folder, content in listing.label_files:
        where = f"{os.path.join(folder, DATASET_JSON)} of {source}"
        labels = _parse_json(content, where, "; --labels none ignores it") or {}
        named |= {os.path.join(folder, name): label for name, label in labels.items()}
    return named


def _empty_classes(listing: Listing, classes: Sequence[str]) -> list[str]:
    """The folders without pictures that are siblings of those of the classes."""
    places = {
        entry.name.partition(f"{folder}/")[0]
        for entry, folder in zip(listing.entries, classes, strict=True)
        if entry.name.startswith(f"{folder}/") or f"/{folder}/" in entry.name
    }
    known = set(classes)
    return [
        path
        for path in listing.empty_folders
        if (cut := path.rpartition("/")[2]) not in known and path.removesuffix(cut) in places
    ]


def _within_tars(listing: Listing) -> list[str]:
    """The entries' names without the names of their tar files."""
    names = [entry.name for entry in listing.entries]
    return [name.partition("/")[2] for name in names] if listing.in_shards else names


def _remark(numbers: Sequence[int], classes: Sequence[str], note: Note) -> None:
    """Note classes without pictures, and a number of classes that is probably a mistake."""
    used = set(numbers)
    empty = [name for number, name in enumerate(classes) if number not in used]
    if empty:
        note(
            f"{len(empty):,} of {len(classes):,} classes have no pictures: {some_of(empty, 8)}. "
            "Networks are built for all of them; number the labels from 0 without gaps to avoid it"
        )
    if len(classes) > max(_MANY_CLASSES, len(numbers) // 2):
        note(
            f"{len(classes):,} classes for {len(numbers):,} pictures: if they are not meant, "
            "say --labels none"
        )


def _complete(listing: Listing, named: Mapping[str, Any], where: str, note: Note) -> list[Any]:
    """The label of every entry. Raises DataError, which lists the first ten without a label."""
    names = [entry.name for entry in listing.entries]
    found = match(names, named)
    if None in found.keys and listing.in_shards:
        within = match(_within_tars(listing), named)
        found = found if None in within.keys else within
    missing = [name for name, key in zip(names, found.keys, strict=True) if key is None]
    if missing:
        first = ", ".join(missing[:10])
        absent = sorted(named.keys() - set(found.keys))
        there = f" (it labels {some_of(absent)})" if len(missing) == len(names) and absent else ""
        raise DataError(
            f"{where} labels {len(names) - len(missing)} of {len(names)} "
            f"pictures; the first without a label: {first}{there}. "
            "Label all, or say --labels none"
        )
    if found.how:
        note(f"{where}: its names are compared with those of pictures without {found.how}")
    rejected = {name for name, _ in listing.rejected}
    if unused := sorted(named.keys() - set(found.keys) - rejected):
        note(f"{where}: {len(unused):,} of {len(named):,} labels match no picture: "
             f"{some_of(unused)}")  # fmt: skip
    return [named[key] for key in found.keys if key is not None]


def _numbered(labels: Iterable[Any], classes: Sequence[str] | None, where: str) -> Labels:
    """Keeps whole numbers; numbers names in their alphabetical order."""
    found = [plain(label) for label in labels]
    if all(isinstance(label, str) for label in found):
        found = [unicodedata.normalize("NFC", label) for label in found]
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


def _located(labels: str | Path) -> tuple[Path, str | None]:
    """(path of a file of labels, column): the colon of TABLE:COLUMN may be part of either."""
    text = os.path.expanduser(labels)
    for at in [len(text), *(colon.start() for colon in re.finditer(":", text))]:
        if os.path.isfile(text[:at]):
            return Path(text[:at]), text[at + 1 :] or None
    return Path(text), None


def _read(path: Path, column: str | None, listing: Listing) -> dict[str, Any] | None:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read the labels {path}: {error.strerror}") from error
    if kind := describe(content):
        raise DataError(f"{path} is {kind}; give a dataset.json or a CSV file")
    if path.suffix.lower() == ".json":
        if column is not None:
            raise DataError(f"{path} has no columns: leave out :{column}")
        return _parse_json(content, str(path))
    names = [entry.name for entry in listing.entries]
    return labels_of(read_table(content, path), column, names, is_picture, path)


def _parse_json(content: bytes, where: str, remedy: str = "") -> dict[str, Any] | None:
    """StyleGAN's format: {"labels": [["folder/name.png", 6], ...]} or {"labels": null}; also
    {"labels": {"folder/name.png": 6, ...}}. Raises DataError."""
    try:
        labels = parse_json(content)["labels"]
        if labels is None:
            return None
        pairs = labels.items() if isinstance(labels, dict) else labels
        found: dict[str, Any] = {}
        for name, label in pairs:
            if found.setdefault(str(name), label) != label:
                raise DataError(f"{where} gives {name} two labels, {found[name]} and {label}")
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{where} is {_FORM}{remedy}") from error
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
