"""Sources of pictures: one table of their kinds.

A source is a list of names and a way to read the picture of each. It holds no open file, so it can
be pickled; `part` selects the pictures that a worker process needs.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self

from progan.datasets.errors import DataError, NoDataSetError, UnusablePicture, short
from progan.datasets.sources import folder, libraries, lmdb, tar, webdataset_urls
from progan.datasets.sources import zip as zip_archive
from progan.datasets.sources.content import describe
from progan.datasets.sources.extensions import choose
from progan.datasets.sources.labels import DATASET_JSON, Note, assign
from progan.datasets.sources.listing import (
    EXTENSIONS,
    MAX_FILE_BYTES,
    Entry,
    Listing,
    Rejected,
    Scratch,
    is_picture,
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


# A location is of the first kind that recognises it; for folders see `_kind_of_folder`.
KINDS: dict[str, Kind] = {
    "hf": Kind(libraries.recognises_hf, _in_place(libraries.list_hf), libraries.read_hf),
    "torchvision": Kind(
        libraries.recognises_torchvision,
        _in_place(libraries.list_torchvision),
        libraries.read_torchvision,
    ),
    "webdataset": Kind(webdataset_urls.recognises, webdataset_urls.listing, tar.read),
    "lmdb": Kind(lmdb.recognises, _in_place(lmdb.listing), lmdb.read),
    "tar": Kind(tar.recognises, _in_place(tar.listing), tar.read),
    # After tar, which may end with a member that is a zip.
    "zip": Kind(zip_archive.recognises, _in_place(zip_archive.listing), zip_archive.read),
    "folder": Kind(folder.recognises, _in_place(folder.listing), folder.read),
}
_START_BYTES = 4096
_PREFIXES = (libraries.HF, libraries.TORCHVISION)
_SOURCES = "a folder, a zip, tar files, an LMDB, hf:NAME or torchvision:NAME"


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
    source: str | Path,
    labels: str | Path | None = None,
    scratch: Scratch | None = None,
    kind: str | None = None,
    extensions: Sequence[str] = (),
    note: Note = lambda line: None,
) -> Source:
    """The pictures of a folder, a zip, tar files, an LMDB, `hf:...` or `torchvision:...`.

    `labels`: see `labels.assign`. `scratch` is needed for URLs and `pipe:`. `kind` says how to read
    a folder that holds several: a name in KINDS. `extensions`: see `extensions.choose`. `note` is
    called with what the user should know about how the source is understood, one line each. Raises
    DataError if the source is missing, is of no known kind or of several, holds no pictures, or
    labels only some of them.
    """
    location = _absolute(str(source))

    def remark(line: str) -> None:
        note(short(line))

    try:
        kind = _kind(location, kind)
        listing = without_duplicates(KINDS[kind].listing(location, scratch))
    except OSError as error:
        inside = str(error.filename).startswith(location)  # and not a temporary copy
        where = error.filename if inside else location
        raise DataError(f"cannot read {where}: {error.strerror or error}") from error
    if not listing.entries:
        raise DataError(_no_pictures(location, listing))
    listing = choose(listing, location, extensions, remark)
    if listing.others:
        remark(f"files that are not read: {listing.others}")
    numbers, classes = assign(listing, location, labels, remark)
    beside = os.path.join(os.path.dirname(location), DATASET_JSON)
    if labels is None and not listing.label_files and os.path.isfile(beside):
        remark(f"labels beside the source are not read: if they are its, say --labels {beside}")
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


def _kind(location: str, chosen: str | None) -> str:
    """The kind of a location, one of KINDS. Raises DataError."""
    if chosen is not None:
        if not KINDS[chosen].recognises(location):
            raise DataError(f"{location} cannot be read as {chosen}: leave out --source-kind")
        return chosen
    if os.path.isdir(location):
        return _kind_of_folder(location)
    found = next((name for name, kind in KINDS.items() if kind.recognises(location)), None)
    if found is not None:
        return found
    if not os.path.exists(location):
        raise NoDataSetError(f"{location} does not exist: give {_SOURCES}")
    raise DataError(_unknown(location))


def _kind_of_folder(location: str) -> str:
    """Raises DataError for a folder that holds pictures in several ways: one stray file must not
    hide all others."""
    found = {}
    if lmdb.recognises(location):
        found["lmdb"] = "an LMDB"
    if tars := len(tar.tars_at(location)):
        found["tar"] = f"{tars:,} tar file{'s' * (tars > 1)}"
    if found and (pictures := len(folder.listing(location).entries)):
        found["folder"] = f"{pictures:,} picture{'s' * (pictures > 1)} in folders"
    if len(found) > 1:
        raise DataError(
            f"{location} holds {' and '.join(found.values())}: choose what to read with "
            f"--source-kind {' or '.join(found)}"
        )
    return next(iter(found), "folder")


def _unknown(location: str) -> str:
    with open(location, "rb") as file:
        found = describe(file.read(_START_BYTES))
    for kind in ("tar", "zip"):
        if location.lower().endswith(f".{kind}"):
            foreign = found and kind not in found
            what = f"but {found}" if foreign else "or damaged: copy or download it again"
            return f"{location} is not a {kind} file, {what}"
    if is_picture(location):
        return f"{location} is one picture: give the folder that it lies in"
    if found:
        return f"{location} is {found}; give {_SOURCES}"
    return f"{location} is none of these: give {_SOURCES}"


def _no_pictures(location: str, listing: Listing) -> str:
    if listing.rejected:
        name, reason = listing.rejected[0]
        return f"no usable pictures in {location}; for example {name}: {reason}"
    some = " ".join(sorted(EXTENSIONS))
    others = ""
    if listing.others:
        others = (
            f"; it holds {listing.others}, which it does not read: unpack or convert them, or give "
            "such a file as SOURCE"
        )
    return f"no pictures in {location}: looked in all its folders for {some}{others}"
