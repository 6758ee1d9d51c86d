"""Names in a file of labels -> names of pictures, which other programs may spell differently."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

_AMBIGUOUS = object()
_TO_CHANGE = re.compile(r"\\|(^|/)\.?(/|$)")


class Match(NamedTuple):
    """Which name of a file of labels belongs to each picture."""

    keys: list[str | None]
    """For each picture the name in the file; None for a picture without a label."""
    how: str = ""
    """What names were compared without; empty if whole paths are equal."""


def canonical(name: str) -> str:
    """One spelling of a path: Unicode NFC, / between folders, without `./` and a leading /."""
    if name.isascii() and not _TO_CHANGE.search(name):
        return name  # most names: a source may have a million
    text = unicodedata.normalize("NFC", name.replace("\\", "/"))
    return "/".join(part for part in text.split("/") if part not in ("", "."))


def base(name: str) -> str:
    """The last part of a canonical path."""
    return name.rpartition("/")[2]


def stem(name: str) -> str:
    """A canonical path without the extension of its file."""
    folder, slash, file = name.rpartition("/")
    return folder + slash + (file.rpartition(".")[0] or file)


# In this order: a difference that may have a meaning is overlooked last.
_SPELLINGS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("", canonical),
    ("upper and lower case", lambda name: canonical(name).casefold()),
    ("extensions", lambda name: stem(canonical(name))),
    ("extensions and case", lambda name: stem(canonical(name)).casefold()),
)


def match(names: Sequence[str], labels: Mapping[str, Any]) -> Match:
    """Find the label of every picture.

    Names that are equal come first. Then the first of these ways that finds a label for every
    picture: equal canonical paths; one folder more or less before all of them; file names alone, if
    no two pictures have the same; and each of these without case and without extensions. If none
    does, the labels of equal names are the result.
    """
    equal: list[str | None] = [name if name in labels else None for name in names]
    if None not in equal:
        return Match(equal)
    for without, spelling in _SPELLINGS:
        theirs = _index(labels, spelling)
        ours = [spelling(name) for name in names]
        for folders, keys in _placements(ours, theirs):
            if keys is not None:
                how = " and ".join(word for word in (folders, without) if word)
                return Match([theirs[key] for key in keys], how)
    return Match(equal)


def _index(labels: Mapping[str, Any], spelling: Callable[[str], str]) -> dict[str, str]:
    """Spelled name -> name in the file; leaves out names that only their spelling distinguishes,
    unless their labels are the same."""
    found: dict[str, Any] = {}
    for name, label in labels.items():
        key = spelling(name)
        if key in found and found[key] is not _AMBIGUOUS and labels[found[key]] == label:
            continue
        found[key] = _AMBIGUOUS if key in found else name
    return {key: name for key, name in found.items() if name is not _AMBIGUOUS}


def _placements(ours: list[str], theirs: dict[str, str]) -> Iterator[tuple[str, list[str] | None]]:
    """(what is overlooked, for each picture its key in `theirs`), None where one has no key."""
    yield "", ours if all(name in theirs for name in ours) else None
    yield "", _shifted(ours, theirs)
    yield "folders", _by_file(ours, theirs)


def _shifted(ours: list[str], theirs: dict[str, str]) -> list[str] | None:
    """The keys if the same folders precede all names of one side, and only one choice of them is
    possible."""
    first, found = ours[0], None
    for key in theirs:
        if base(key) != base(first):
            continue
        if key.endswith(f"/{first}"):
            shift = partial(_longer, key[: -len(first)])
        elif first.endswith(f"/{key}"):
            shift = partial(_shorter, first[: -len(key)])
        else:
            continue
        if all(shift(name) in theirs for name in ours):
            if found is not None:
                return None
            found = [shift(name) for name in ours]
    return found


def _longer(folders: str, name: str) -> str:
    return folders + name


def _shorter(folders: str, name: str) -> str:
    """The name within the folders; empty if it is outside."""
    return name[len(folders) :] if name.startswith(folders) else ""


def _by_file(ours: list[str], theirs: dict[str, str]) -> list[str] | None:
    """The keys by the names of the files alone, where these are unique on both sides."""
    files = [base(name) for name in ours]
    if len(set(files)) < len(files):
        return None
    found: dict[str, str | None] = {}
    for key in theirs:
        found[base(key)] = None if base(key) in found else key
    keys = [found.get(file) for file in files]
    return None if None in keys else [key for key in keys if key is not None]
