"""The listing of a source: the types that all kinds of sources share."""

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

EXTENSIONS = frozenset(
    ".jpg .jpeg .png .webp .bmp .gif .tif .tiff .ppm .pgm .avif .jp2 .mpo".split()
)
# Larger files are not read: no picture of a size that we accept needs as much.
MAX_FILE_BYTES = 1 << 28


class Entry(NamedTuple):
    """One picture of a source."""

    name: str
    """With / between folders; unique in its source."""
    size: int = 0
    """Bytes of its file, if they are known without reading it."""
    label: int | str | None = None
    """The number or name of its class, if the source itself has one."""
    where: Any = None
    """Where the source's kind finds it; small, and can be pickled."""


class Rejected(NamedTuple):
    """A picture that did not become a sample."""

    name: str
    reason: str


class Listing(NamedTuple):
    """All pictures of a source."""

    entries: list[Entry]
    rejected: list[Rejected] = []
    """Entries that have a picture's name but cannot be one, as found without opening them."""
    classes: list[str] | None = None
    """Names of the classes, if the source numbers them."""
    dataset_json: bytes | None = None
    """The content of a file of labels in StyleGAN's format."""
    in_shards: bool = False
    """Whether the names begin with the name of one of several tar files, which is no class."""
    version: str = ""
    """Distinguishes contents of the source that have equal names, sizes and labels."""


class Scratch(NamedTuple):
    """A folder for copies of tar files that cannot be read in any order where they are."""

    folder: Path
    report: Callable[[str], None] = lambda url: None
    """Called before a tar file is copied."""


def is_picture(name: str) -> bool:
    """Whether a name has a picture's extension, is not hidden, and not added by macOS."""
    path = PurePosixPath(name)
    hidden = any(_hidden(part) or part == "__MACOSX" for part in path.parts)
    return path.suffix.lower() in EXTENSIONS and not hidden


def _hidden(part: str) -> bool:
    return part.startswith(".") and part not in (".", "..")


def climbs_out(name: str) -> bool:
    """Whether a member would be unpacked outside the archive's own folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts


def without_duplicates(listing: Listing) -> Listing:
    """Sorted by name; of several entries with one name only the first is kept."""
    kept: dict[str, Entry] = {}
    rejected = list(listing.rejected)
    for entry in listing.entries:
        if entry.name in kept:
            rejected.append(Rejected(entry.name, "another file has the same name"))
        else:
            kept[entry.name] = entry
    entries = [kept[name] for name in sorted(kept)]
    return listing._replace(entries=entries, rejected=rejected)
