"""Classes from the names of folders."""

import os
import re
from collections.abc import Callable, Sequence

from progan.datasets.errors import DataError
from progan.datasets.files import some_of
from progan.datasets.sources.labeling.matching import canonical

FOLDERS, INNERMOST = "folders", "innermost"
"""In place of a file of labels: which folder of a picture names its class."""

# Parts of a data set that each hold all classes: train, test_set, val2017 ...
_SPLIT = re.compile(
    r"(train|training|test|testing|val|valid|validation|dev|eval|holdout)"
    r"([-_ ]?(set|data|images?|imgs?))?[-_ ]?(\d*|(?P<domain>[ab]))",
    re.IGNORECASE,
)
# Parts of equal size, made because a folder of very many files is slow.
_PART = re.compile(r"(part|shard|chunk|batch|images?|imgs?)[-_ ]?\d+", re.IGNORECASE)
# Pictures that describe other pictures.
_MASKS = re.compile(r"masks?|labels?|annotations?|segmentations?|seg|depth|gt", re.IGNORECASE)
_LONG_NUMBER = re.compile(r"[0-9]{5,}")
_NUMBERED_FILE = re.compile(r"[A-Za-z_-]*([0-9]{1,18})")

Path = tuple[str, ...]
"""The folders of a picture, outermost first."""
Note = Callable[[str], None]


def classes_of_folders(names: Sequence[str], note: Note) -> list[str] | None:
    """The class of each picture by its outermost folder, or None if folders are no classes.

    Folders that contain everything are passed over, and so are train, test and the like. There are
    no classes if all pictures lie in one folder, if one lies outside the folders of the others, or
    if the folders are numbered parts of one set. `note` is called with what a user may not expect.
    """
    paths = _paths(names)
    if splits := _splits(paths):
        shared = _num_shared(paths)
        paths = [path[:shared] + _domain(path[shared]) + path[shared + 1 :] for path in paths]
        note(
            f"the folders {' and '.join(splits)} are taken for parts of one data set, not for "
            "classes; give one of them as SOURCE to use it alone, or say --labels folders"
        )
    shared = _num_shared(paths)
    outside = [name for name, path in zip(names, paths, strict=True) if len(path) == shared]
    if outside:
        if len(outside) < len(names):
            note(
                f"no labels: {len(outside):,} of {len(names):,} pictures lie outside the folders "
                f"that could be classes, such as {outside[0]}"
            )
        return None
    folders = [path[shared] for path in paths]
    if _are_parts(folders, names):
        first = some_of(sorted(set(folders)), 2)
        note(
            f"no labels: the folders {first} are taken for numbered parts; if they are classes, "
            "say --labels folders"
        )
        return None
    if masks := sorted({folder for folder in folders if _MASKS.fullmatch(folder)}):
        note(
            f"the pictures in the folder {masks[0]} become a class; if they are masks, give the "
            "folder of the others as SOURCE"
        )
    return folders


def chosen_folders(names: Sequence[str], which: str) -> list[str]:
    """The class of each picture by the folder that the user chose: FOLDERS, the outermost that does
    not contain everything, or INNERMOST. Raises DataError if a picture has none."""
    paths = _paths(names)
    shared = _num_shared(paths) if which == FOLDERS else 0
    outside = [name for name, path in zip(names, paths, strict=True) if len(path) == shared]
    if outside:
        raise DataError(
            f"--labels {which}: {len(outside):,} of {len(names):,} pictures lie in no class "
            f"folder: {some_of(outside)}. Move them, or say --labels none"
        )
    return [path[shared if which == FOLDERS else -1] for path in paths]


def _paths(names: Sequence[str]) -> list[Path]:
    return [tuple(canonical(name).split("/")[:-1]) for name in names]


def _num_shared(paths: Sequence[Path]) -> int:
    """How many outer folders contain all pictures."""
    return len(os.path.commonprefix(paths))


def _splits(paths: Sequence[Path]) -> list[str]:
    """The names of the outermost folders if all of them are train, test and the like."""
    shared = _num_shared(paths)
    if any(len(path) == shared for path in paths):
        return []
    found = sorted({path[shared] for path in paths})
    return found if all(map(_SPLIT.fullmatch, found)) else []


def _domain(split: str) -> Path:
    """The class in a name such as trainA (CycleGAN's): A; none in train."""
    found = _SPLIT.fullmatch(split)
    return (found["domain"],) if found and found["domain"] else ()


def _are_parts(folders: Sequence[str], names: Sequence[str]) -> bool:
    """Whether folders are parts of one numbered set: part-0, part-1; or 00000, 00001 with files
    whose numbers increase from folder to folder, as those of FFHQ, StyleGAN and img2dataset do.

    Numbers of classes (CASIA-WebFace: 0000045/001.jpg) begin again in each folder.
    """
    distinct = sorted(set(folders))
    if all(map(_PART.fullmatch, distinct)):
        return True
    if len({len(f) for f in distinct}) > 1 or not all(map(_LONG_NUMBER.fullmatch, distinct)):
        return False
    ranges: dict[str, tuple[int, int]] = {}
    for folder, name in zip(folders, names, strict=True):
        number = _NUMBERED_FILE.fullmatch(os.path.splitext(canonical(name).rpartition("/")[2])[0])
        if not number:
            return False
        value = int(number[1])
        low, high = ranges.get(folder, (value, value))
        ranges[folder] = min(low, value), max(high, value)
    ordered = [ranges[folder] for folder in distinct]
    return all(left[1] < right[0] for left, right in zip(ordered, ordered[1:], strict=False))
