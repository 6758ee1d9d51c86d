"""What a source of pictures tells of itself: the types that every kind of source shares."""

from pathlib import PurePosixPath
from typing import Any, NamedTuple

EXTENSIONS = frozenset(
    ".jpg .jpeg .png .webp .bmp .gif .tif .tiff .ppm .pgm .avif .jp2 .mpo".split()
)
# Larger files are not read: no picture of a size we accept needs as much.
MAX_FILE_BYTES = 1 << 28


class Entry(NamedTuple):
    """One picture of a source."""

    name: str
    """With / between folders; unique in its source."""
    size: int = 0
    """Of its file, in bytes, where that is known without reading it."""
    label: int | str | None = None
    """What the source itself says of it: the number or the name of a class."""
    where: Any = None
    """How this kind of source finds it again; small, and can be pickled."""


class Rejected(NamedTuple):
    """A picture that did not become a sample."""

    name: str
    reason: str


class Listing(NamedTuple):
    """All pictures of a source."""

    entries: list[Entry]
    passed_over: list[Rejected] = []
    """What has a picture's name and is none, as far as one sees without opening it."""
    classes: list[str] | None = None
    """Names of the classes, where the source numbers them."""
    dataset_json: bytes | None = None
    """The file of labels in the StyleGAN convention."""
    version: str = ""
    """Changes when the source does, as far as names, sizes and labels would not show it."""


def is_picture(name: str) -> bool:
    """Whether a name looks like a picture's: not hidden, not what macOS adds to archives."""
    path = PurePosixPath(name)
    hidden = any(_hidden(part) or part == "__MACOSX" for part in path.parts)
    return path.suffix.lower() in EXTENSIONS and not hidden


def _hidden(part: str) -> bool:
    return part.startswith(".") and part not in (".", "..")


def climbs_out(name: str) -> bool:
    """Whether a member's name would lie outside the archive's own folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts


def printable(name: str) -> str:
    """A name that can be written as UTF-8: bytes that are not are shown as \\xff."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def without_duplicates(listing: Listing) -> Listing:
    """Sorted by name; of several entries of one name the first one stays."""
    kept: dict[str, Entry] = {}
    passed_over = list(listing.passed_over)
    for entry in listing.entries:
        if entry.name in kept:
            passed_over.append(Rejected(entry.name, "another file has the same name"))
        else:
            kept[entry.name] = entry
    entries = [kept[name] for name in sorted(kept)]
    return listing._replace(entries=entries, passed_over=passed_over)
