"""Where pictures come from: one table of the kinds of sources.

A source is a list of names and a way to read one of them. It holds no open file, so it can be
pickled, and `part` cuts off the few names a worker process needs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self

from progan.datasets.errors import DataError, UnusablePicture
from progan.datasets.sources import folder, libraries, lmdb, tar
from progan.datasets.sources import zip as zip_archive
from progan.datasets.sources.labels import assign
from progan.datasets.sources.listing import (
    EXTENSIONS,
    MAX_FILE_BYTES,
    Entry,
    Listing,
    Rejected,
    without_duplicates,
)


class Kind(NamedTuple):
    """One way to keep pictures. A location is an absolute path, or a name after a prefix."""

    recognises: Callable[[str], bool]
    listing: Callable[[str], Listing]
    """Raises DataError when nothing can be read at all."""
    read: Callable[[str, Entry], bytes]
    """The content of one picture's file. May raise anything for a damaged one."""


# The first that recognises a location has it.
KINDS: dict[str, Kind] = {
    "hf": Kind(libraries.recognises_hf, libraries.list_hf, libraries.read_hf),
    "torchvision": Kind(
        libraries.recognises_torchvision, libraries.list_torchvision, libraries.read_torchvision
    ),
    "zip": Kind(zip_archive.recognises, zip_archive.listing, zip_archive.read),
    "lmdb": Kind(lmdb.recognises, lmdb.listing, lmdb.read),
    "tar": Kind(tar.recognises, tar.listing, tar.read),
    "folder": Kind(folder.recognises, folder.listing, folder.read),
}
_PREFIXES = (libraries.HF, libraries.TORCHVISION)


@dataclass(frozen=True)
class Source:
    """Pictures by number, in an order that is the same every time: sorted by name."""

    kind: str
    location: str
    entries: tuple[Entry, ...]
    labels: tuple[int, ...] | None
    """A class for every picture, or None."""
    classes: tuple[str, ...] | None
    """The class names by label, or None."""
    passed_over: tuple[Rejected, ...]
    version: str

    @property
    def title(self) -> str:
        """Short name for people."""
        return self.location if self.kind in ("hf", "torchvision") else Path(self.location).name

    @property
    def names(self) -> tuple[str, ...]:
        """Of the pictures; sorted, unique."""
        return tuple(entry.name for entry in self.entries)

    def read(self, index: int) -> bytes:
        """The content of one picture's file. Raises UnusablePicture when it cannot be read."""
        entry = self.entries[index]
        if entry.size > MAX_FILE_BYTES:
            raise UnusablePicture(f"a file of {entry.size} bytes is too large")
        try:
            return KINDS[self.kind].read(self.location, entry)
        except (DataError, UnusablePicture):
            raise
        except Exception as error:  # damaged archives raise a dozen kinds
            text = error.strerror if isinstance(error, OSError) else str(error)
            raise UnusablePicture(f"cannot be read: {text or type(error).__name__}") from error

    def part(self, indices: Sequence[int]) -> Self:
        """A source of these pictures only, cheap to pickle."""
        return replace(
            self,
            entries=tuple(self.entries[i] for i in indices),
            labels=None if self.labels is None else tuple(self.labels[i] for i in indices),
            passed_over=(),
        )


def open_source(source: str | Path, labels: str | Path | None = None) -> Source:
    """The pictures of a folder, a zip, tar files, an LMDB, `hf:...` or `torchvision:...`.

    `labels`: see `labels.assign`. Raises DataError when the source is missing, is of no known
    kind, holds no pictures, or labels only some of them.
    """
    location = str(source)
    if not location.startswith(_PREFIXES):
        location = str(Path(location).expanduser().absolute())
    kind = next((name for name, kind in KINDS.items() if kind.recognises(location)), None)
    if kind is None:
        raise DataError(_unknown(location))
    listing = without_duplicates(KINDS[kind].listing(location))
    if not listing.entries:
        raise DataError(_no_pictures(location, listing))
    numbers, classes = assign(listing, location, labels)
    return Source(
        kind=kind,
        location=location,
        entries=tuple(listing.entries),
        labels=numbers,
        classes=classes,
        passed_over=tuple(listing.passed_over),
        version=listing.version,
    )


def _unknown(location: str) -> str:
    kinds = "a folder, a zip, tar files, an LMDB, hf:NAME or torchvision:NAME"
    if not Path(location).exists():
        return f"{location} does not exist: give {kinds}"
    return f"{location} is none of these: give {kinds}"


def _no_pictures(location: str, listing: Listing) -> str:
    if listing.passed_over:
        name, reason = listing.passed_over[0]
        return f"no usable pictures in {location}; for example {name}: {reason}"
    some = " ".join(sorted(EXTENSIONS))
    return f"no pictures in {location}: looked in all its folders for {some}"
