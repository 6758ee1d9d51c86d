"""Reads the files of a data set, from a folder or from object storage."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from progan.datasets.format.location import Location, absolute, is_url


class Storage(Protocol):
    """Reads the files of one data set; names are relative to it. Safe to use from threads."""

    def read_all(self, names: Sequence[str]) -> list[bytes]:
        """Several whole small files at once. Raises FileNotFoundError, DataError."""

    def open(self, name: str) -> BinaryIO:
        """A file, opened for reading. Raises FileNotFoundError, DataError."""

    def on_disk(self, name: str, sha256: str) -> Path | None:
        """The file on a disk of this machine; None while this machine has no copy of it."""

    def read_range(self, name: str, offset: int, size: int) -> bytes:
        """A part of a file that is not on disk. Raises DataError."""

    def close(self) -> None:
        """Stop all background work."""


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


def open_storage(location: Location, cache_folder: Path | None = None) -> Storage:
    """The storage of a data set; `cache_folder` holds copies of remote shards.

    Raises DataError when a library for the URL is missing or the service does not answer.
    """
    if not is_url(location):
        return Folder(Path(absolute(location)))
    from progan.datasets.format.remote import RemoteStorage  # fsspec takes time to load

    return RemoteStorage(str(location), cache_folder)
