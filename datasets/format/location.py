"""Where a data set lies: a folder, or object storage behind an fsspec URL such as s3://..."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from progan.datasets.errors import DataError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_FILE_URL = "file://"

Location = str | Path
"""A folder or a URL."""


class Storage(Protocol):
    """Reads the files of one data set; names are relative to it. Safe to use from threads."""

    def read_all(self, names: Sequence[str]) -> list[bytes]:
        """Whole small files, together. Raises FileNotFoundError, DataError."""

    def open(self, name: str) -> BinaryIO:
        """A file to be read from its beginning. Raises FileNotFoundError, DataError."""

    def on_disk(self, name: str, sha256: str) -> Path | None:
        """The file on this machine's disks, or None as long as there is no copy of it here."""

    def read_range(self, name: str, offset: int, size: int) -> bytes:
        """A part of a file that is not on disk. Raises DataError."""

    def close(self) -> None:
        """End what goes on in the background."""


class Folder:
    """A data set on a file system of this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read_all(self, names: Sequence[str]) -> list[bytes]:
        """See Storage."""
        return [(self._path / name).read_bytes() for name in names]

    def open(self, name: str) -> BinaryIO:
        """See Storage."""
        return (self._path / name).open("rb")

    def on_disk(self, name: str, sha256: str) -> Path:
        """See Storage."""
        return self._path / name

    def read_range(self, name: str, offset: int, size: int) -> bytes:
        """See Storage."""
        with self.open(name) as file:
            return os.pread(file.fileno(), size, offset)

    def close(self) -> None:
        """See Storage."""


def is_url(location: Location) -> bool:
    """Whether a location is on object storage. `file://` is not."""
    text = str(location)
    return bool(_URL.match(text)) and not text.startswith(_FILE_URL)


def absolute(location: Location) -> str:
    """The same location from whatever folder it is looked at."""
    if is_url(location):
        return str(location)
    return str(Path(str(location).removeprefix(_FILE_URL)).expanduser().absolute())


def join(location: Location, name: str) -> str:
    """What to call a file of a data set in a message."""
    return f"{str(location).rstrip('/')}/{name}"


def open_storage(location: Location, cache_folder: Path | None = None) -> Storage:
    """The storage of a data set; `cache_folder` takes copies of what is far away.

    Raises DataError when a library for the URL is missing or nobody answers there.
    """
    if not is_url(location):
        return Folder(Path(absolute(location)))
    from progan.datasets.format.remote import Remote  # fsspec takes time to load

    return Remote(str(location), cache_folder)


def default_cache_folder() -> Path:
    """Where users keep what can be had again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "progan"


def cannot_read(location: Location, name: str, error: Exception) -> DataError:
    """The error to raise for a file that is there and cannot be read."""
    text = error.strerror if isinstance(error, OSError) else None
    return DataError(f"cannot read {join(location, name)}: {text or error or type(error).__name__}")
