"""Sources of pictures: one table of their kinds.

A source is a list of names and a way to read the picture of each. It holds no open file, so it can
be pickled; `part` selects the pictures that a worker process needs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self

from progan.datasets.errors import DataError, UnusablePicture
from progan.datasets.sources import folder, libraries, lmdb, tar, webdataset_urls
from progan.datasets.sources import zip as zip_archive
from progan.datasets.sources.labels import assign
from progan.datasets.sources.listing import (
    EXTENSIONS,
    MAX_FILE_BYTES,
    Entry,
    Listing,
    Rejected,
    Scratch,
    without_duplicates,
)


class Kind(NamedTuple):
    """One way to store pictures. A location is an absolute path, a URL, or a prefix and a name."""

    recognises: Callable[[str], bool]
    listing: Callable[[str, Scratch | None], Listing]
    """Raises DataError if nothing can be read."""
    read: Callable[[str, Entry], bytes]
    """The content of one picture's file. May raise anything for a damaged one."""


def _in_place(listing: Callable[[str], Listing]) -> Callable[[str, Scratch | None], Listing]:
    """The listing of a kind that copies nothing."""
    return lambda location, scratch: listing(location)


# A location is of the first kind that recognises it.
KINDS: dict[str, Kind] = {
    "hf": Kind(libraries.recognises_hf, _in_place(libraries.list_hf), libraries.read_hf),
    "torchvision": Kind(
        libraries.recognises_torchvision,
        _in_place(libraries.list_torchvision),
        libraries.read_torchvision,
    ),
    "webdataset": Kind(webdataset_urls.recognises, webdataset_urls.listing, tar.read),
    "zip": Kind(zip_archive.recognises, _in_place(zip_archive.listing), zip_archive.read),
    "lmdb": Kind(lmdb.recognises, _in_place(lmdb.listing), lmdb.read),
    "tar": Kind(tar.recognises, _in_place(tar.listing), tar.read),
    "folder": Kind(folder.recognises, _in_place(folder.listing), folder.read),
}
_PREFIXES = (libraries.HF, libraries.TORCHVISION)


@dataclass(frozen=True)
class Source:
    """Pictures by number, always in the same order: sorted by name."""

    kind: str
    location: str
    entries: tuple[Entry, ...]
    labels: tuple[int, ...] | None
    """A class for every picture, or None."""
    classes: tuple[str, ...] | None
    """The class names by label, or None."""
    rejected: tuple[Rejected, ...]
    version: str

    @property
    def title(self) -> str:
        """A short name for messages and the manifest."""
        if self.kind == "webdataset":
            return webdataset_urls.title(self.location)
        return self.location if self.kind in ("hf", "torchvision") else Path(self.location).name

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the pictures; sorted, unique."""
        return tuple(entry.name for entry in self.entries)

    def read(self, index: int) -> bytes:
        """The content of one picture's file. Raises UnusablePicture if it cannot be read."""
        entry = self.entries[index]
        if entry.size > MAX_FILE_BYTES:
            raise UnusablePicture(f"a file of {entry.size} bytes is too large")
        try:
            return KINDS[self.kind].read(self.location, entry)
        except (DataError, UnusablePicture):
            raise
        except Exception as error:  # damaged archives raise many types
            text = error.strerror if isinstance(error, OSError) else str(error)
            raise UnusablePicture(f"cannot be read: {text or type(error).__name__}") from error

    def part(self, indices: Sequence[int]) -> Self:
        """A source of these pictures only, small to pickle."""
        return replace(
            self,
            entries=tuple(self.entries[i] for i in indices),
            labels=None if self.labels is None else tuple(self.labels[i] for i in indices),
            rejected=(),
        )


def open_source(
    source: str | Path, labels: str | Path | None = None, scratch: Scratch | None = None
) -> Source:
    """The pictures of a folder, a zip, tar files, an LMDB, `hf:...` or `torchvision:...`.

    `labels`: see `labels.assign`. `scratch` is needed for URLs and `pipe:`. Raises DataError if the
    source is missing, is of no known kind, holds no pictures, or labels only some of them.
    """
    location = _absolute(str(source))
    kind = next((name for name, kind in KINDS.items() if kind.recognises(location)), None)
    if kind is None:
        raise DataError(_unknown(location))
    listing = without_duplicates(KINDS[kind].listing(location, scratch))
    if not listing.entries:
        raise DataError(_no_pictures(location, listing))
    numbers, classes = assign(listing, location, labels)
    return Source(
        kind=kind,
        location=location,
        entries=tuple(listing.entries),
        labels=numbers,
        classes=classes,
        rejected=tuple(listing.rejected),
        version=listing.version,
    )


def _absolute(location: str) -> str:
    if location.startswith(_PREFIXES):
        return location
    if webdataset_urls.recognises(location):
        return webdataset_urls.absolute(location)
    return str(Path(location).expanduser().absolute())


def _unknown(location: str) -> str:
    kinds = "a folder, a zip, tar files, an LMDB, hf:NAME or torchvision:NAME"
    if not Path(location).exists():
        return f"{location} does not exist: give {kinds}"
    return f"{location} is none of these: give {kinds}"


def _no_pictures(location: str, listing: Listing) -> str:
    if listing.rejected:
        name, reason = listing.rejected[0]
        return f"no usable pictures in {location}; for example {name}: {reason}"
    some = " ".join(sorted(EXTENSIONS))
    return f"no pictures in {location}: looked in all its folders for {some}"
