"""The listing of a source: the types that all kinds of sources share."""

from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from progan.datasets.files import some_of

EXTENSIONS = frozenset(
    ".jpg .jpeg .jpe .jfif .png .webp .bmp .gif .tif .tiff .ppm .pgm .pnm .pbm .avif .jp2 .j2k "
    ".mpo".split()
)
# Files that a user may take for pictures of the source, but which are not read.
_NOT_READ = frozenset(
    ".heic .heif .jxl .psd .svg .tga .exr .hdr .cr2 .nef .arw .dng .raw .eps .pdf .zip .tar .gz "
    ".tgz .bz2 .xz .zst .rar .7z .parquet .tfrecords .tfrecord .npy .npz .h5 .hdf5 .mat".split()
)
# Folders that systems add: macOS, Synology, QNAP, Windows.
_NOT_THE_USERS = frozenset(
    ("__MACOSX", "@eaDir", ".@__thumb", "#recycle", "$RECYCLE.BIN", "System Volume Information")
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
    label_files: list[tuple[str, bytes]] = []
    """Files of labels in StyleGAN's format: the folder that the names in it begin at, content."""
    empty_folders: list[str] = []
    """Folders without a picture in them or below."""
    in_shards: bool = False
    """Whether the names begin with the name of one of several tar files, which is no class."""
    in_samples: bool = False
    """Whether pictures whose names differ in their extensions only are parts of one sample."""
    others: str = ""
    """Files that are not read, but that the user may take for pictures: see `Others`."""
    version: str = ""
    """Distinguishes contents of the source that have equal names, sizes and labels."""


class Scratch(NamedTuple):
    """A folder for copies of tar files that cannot be read in any order where they are."""

    folder: Path
    report: Callable[[str], None] = lambda url: None
    """Called before a tar file is copied."""


def is_picture(name: str) -> bool:
    """Whether a name has a picture's extension, is not hidden, and not added by macOS."""
    return _suffix(name) in EXTENSIONS and not is_hidden(name)


def is_hidden(name: str) -> bool:
    """Whether a file or one of its folders is hidden, or added by the system."""
    return any(
        (part.startswith(".") and part not in (".", "..")) or part in _NOT_THE_USERS
        for part in PurePosixPath(name).parts
    )


def without_pictures(folders: Iterable[str], entries: list[Entry]) -> list[str]:
    """Those of the folders that hold no entry, in them or below."""
    filled: set[str] = set()
    for entry in entries:
        folder = entry.name.rpartition("/")[0]
        while folder not in filled:
            filled.add(folder)
            folder = folder.rpartition("/")[0]
    return [folder for folder in folders if folder not in filled]


class Others:
    """Counts the files of a source that are not read, but that the user may take for pictures."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, str]] = {}

    def add(self, name: str) -> None:
        """Count a file that is not read."""
        if _suffix(name) in _NOT_READ and not is_hidden(name):
            count, first = self._found.get(_suffix(name), (0, name))
            self._found[_suffix(name)] = count + 1, first

    def __str__(self) -> str:
        """`12 .heic (a/1.heic), 1 .zip (b.zip)`; empty if there are none."""
        kinds = sorted(self._found.items(), key=lambda kind: (-kind[1][0], kind[0]))
        return some_of([f"{count:,} {suffix} ({first})" for suffix, (count, first) in kinds])


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


class LabelFiles:
    """Chooses among files named dataset.json: the outermost ones."""

    def __init__(self) -> None:
        self._depth = 0
        self._found: dict[str, bytes] = {}

    def add(self, name: str, read: Callable[[], bytes]) -> None:
        """Take the file's content if none lies further out."""
        depth = name.count("/")
        if is_hidden(name) or (self._found and depth > self._depth):
            return
        if depth < self._depth:
            self._found.clear()
        self._depth = depth
        folder = name.rpartition("/")[0]
        if folder not in self._found:  # of several tar files, the first counts
            self._found[folder] = read()

    @property
    def chosen(self) -> list[tuple[str, bytes]]:
        """`Listing.label_files`: one names pictures anywhere, several those in their folders."""
        if len(self._found) == 1:
            return [("", content) for content in self._found.values()]
        return sorted(self._found.items())


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
