"""Where pictures come from: a folder tree or a zip file.

A source is a list of names and a way to read one of them. It holds no open file, so it can be
pickled, and `part` cuts off the few names a worker process needs.
"""

import os
import stat
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol, Self

from progan.datasets.errors import DataError

EXTENSIONS = frozenset(
    ".jpg .jpeg .png .webp .bmp .gif .tif .tiff .ppm .pgm .avif .jp2 .mpo".split()
)


class Source(Protocol):
    """Pictures by number, in an order that is the same every time."""

    @property
    def title(self) -> str:
        """Short name for people."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the pictures; sorted, unique."""

    @property
    def labels(self) -> tuple[int, ...] | None:
        """A class for every picture, or None."""

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The class names by label, sorted, or None."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Bytes of each picture's file: tells a changed source from the one of before."""

    def read(self, index: int) -> bytes:
        """The content of one picture's file. Raises DataError when it cannot be read."""

    def part(self, indices: Sequence[int]) -> Self:
        """A source of these pictures only, cheap to pickle."""


@dataclass(frozen=True)
class Files:
    """Pictures that are files in a folder or an archive."""

    kind: str
    path: Path
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    labels: tuple[int, ...] | None
    classes: tuple[str, ...] | None

    @property
    def title(self) -> str:
        return self.path.name

    def read(self, index: int) -> bytes:
        name = self.names[index]
        try:
            return KINDS[self.kind].read(self.path, name)
        except (OSError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
            raise DataError(f"cannot read {name} of {self.path}: {error}") from error

    def part(self, indices: Sequence[int]) -> Self:
        return replace(
            self,
            names=tuple(self.names[i] for i in indices),
            sizes=tuple(self.sizes[i] for i in indices),
            labels=None if self.labels is None else tuple(self.labels[i] for i in indices),
        )


class Kind(NamedTuple):
    """One way to keep pictures."""

    recognises: Callable[[Path], bool]
    listing: Callable[[Path], dict[str, int]]
    """Path -> {picture's name, with / between folders: its size in bytes}"""
    read: Callable[[Path, str], bytes]
    """(path, name) -> content"""


def open_source(path: Path) -> Source:
    """The pictures in `path`, sorted by name; their first-level folders are the classes.

    Raises DataError when `path` is missing, is of no known kind, or holds no pictures.
    """
    path = path.expanduser().absolute()
    if not path.exists():
        raise DataError(f"{path} does not exist: give a folder or a zip file of pictures")
    kind = next((name for name, kind in KINDS.items() if kind.recognises(path)), None)
    if kind is None:
        raise DataError(f"{path} is neither a folder nor a zip file: give one that holds pictures")
    sizes = dict(sorted(KINDS[kind].listing(path).items()))
    if not sizes:
        some = " ".join(sorted(EXTENSIONS))
        raise DataError(f"no pictures in {path}: looked in all its folders for {some}")
    labels, classes = _labels(tuple(sizes))
    return Files(kind, path, tuple(sizes), tuple(sizes.values()), labels, classes)


def _labels(names: Sequence[str]) -> tuple[tuple[int, ...] | None, tuple[str, ...] | None]:
    """Labels and classes from the first-level folders, where there are at least two.

    Folders around everything, as zip files often have, say nothing and are looked through. A
    picture outside the class folders leaves the whole source without labels.
    """
    folders = [PurePosixPath(name).parts[:-1] for name in names]
    shared = len(os.path.commonprefix(folders))
    if any(len(parts) == shared for parts in folders):
        return None, None
    classes = sorted({parts[shared] for parts in folders})
    label = {name: number for number, name in enumerate(classes)}
    return tuple(label[parts[shared]] for parts in folders), tuple(classes)


def is_picture(name: str) -> bool:
    """Whether a name looks like a picture's: not hidden, not what macOS adds to archives."""
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return path.suffix.lower() in EXTENSIONS and not hidden


def _list_folder(root: Path) -> dict[str, int]:
    """Regular files only (also behind links to files): no pipes, no loops of folder links."""
    sizes = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if not f.startswith(".") and f != "__MACOSX"]
        for name in files:
            relative = os.path.relpath(os.path.join(folder, name), root).replace(os.sep, "/")
            if not is_picture(relative):
                continue
            try:
                status = os.stat(os.path.join(folder, name))
            except OSError:
                continue  # a link to nowhere
            if stat.S_ISREG(status.st_mode):
                sizes[relative] = status.st_size
    return sizes


def _read_file(root: Path, name: str) -> bytes:
    return (root / name).read_bytes()


@lru_cache(maxsize=1)  # per process; listing the archive again for every picture would be slow
def _open_zip(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def _list_zip(path: Path) -> dict[str, int]:
    with zipfile.ZipFile(path) as archive:
        entries = [e for e in archive.infolist() if not e.is_dir() and is_picture(e.filename)]
        return {entry.filename: entry.file_size for entry in entries}


def _read_zipped(path: Path, name: str) -> bytes:
    return _open_zip(path).read(name)


KINDS: dict[str, Kind] = {
    "folder": Kind(Path.is_dir, _list_folder, _read_file),
    "zip": Kind(zipfile.is_zipfile, _list_zip, _read_zipped),
}
