"""Files on object storage, written and read whole: a name never stands for part of a file.

fsspec stores a file by one request, or by parts that a last request joins. A `file://` folder, such
as a disk that is mounted, is written by renaming.
"""

import hashlib
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import fsspec

from progan.datasets.errors import short
from progan.datasets.files import whole_file, write_whole
from progan.datasets.format.location import absolute, is_url

T = TypeVar("T")

PAUSES_SECONDS = (1.0, 5.0)
"""Before the second and the third attempt of a request"""
MOST_ATTEMPTS = 3
_CHUNK_BYTES = 8 << 20
_OPTIONS = {"s3": {"max_concurrency": 2}}
"""Of s3fs: parts of a large file, of 50 MB each, that are in memory at once"""
_READ_ONLY = ("http://", "https://")
_DENIED = (
    "credential", "accessdenied", "access denied", "forbidden", "unauthorized", "expired",
    "invalidaccesskey", "signaturedoesnotmatch", "permission denied", "401", "403",
)  # fmt: skip
_ADDRESS = re.compile(r"\S+://\S+")
"""Removed from a message first: its port or path may look like a status"""
_NO_BUCKET = ("nosuchbucket", "bucket does not exist")


class StoreError(OSError):
    """Object storage refuses, fails or does not answer; the message says what to do (exit 1)."""

    def __init__(self, message: str) -> None:
        super().__init__(short(message))


class ObjectStore:
    """The files under a URL; their names are relative to it. Safe to use from threads.

    A request that fails is made `attempts` times, after the first by a new connection, which reads
    the credentials again. Methods raise StoreError.
    """

    def __init__(self, url: str, attempts: int = MOST_ATTEMPTS) -> None:
        self.url = url.rstrip("/")
        self._attempts = attempts
        if self.url.lower().startswith(_READ_ONLY):
            raise StoreError(f"{url} cannot be written to: give a URL such as s3://BUCKET/FOLDER")
        self._folder = None if is_url(url) else Path(absolute(self.url))
        self._files: Any = None
        self._root = ""
        self._connect()

    def _connect(self) -> None:
        """Open the storage; StoreError if its library is missing."""
        try:
            options = _OPTIONS.get(self.url.partition("://")[0], {})
            self._files, self._root = fsspec.core.url_to_fs(
                self.url, skip_instance_cache=True, **options
            )
        except (ImportError, ValueError) as error:
            raise StoreError(
                f"cannot open {self.url}: {error}. For S3, Google and Azure: "
                "pip install 'progan[remote]'"
            ) from error

    def sizes(self, below: str = "") -> dict[str, int]:
        """The bytes of every file whose name begins with `below/`, by name; none if there is no
        such folder."""

        def find() -> dict[str, int]:
            self._files.invalidate_cache()
            found = self._files.find(self._path(below), detail=True)
            return {
                name: int(info["size"])
                for path, info in found.items()
                if info["type"] == "file" and (name := self._name(path))
            }

        return self._attempt(below, find) or {}

    def read(self, name: str) -> bytes | None:
        """A small file; None if it is not there."""
        return self._attempt(name, lambda: bytes(self._files.cat_file(self._path(name))))

    def sha256(self, name: str) -> str | None:
        """The SHA-256 of a file as it is read from the storage; None if it is not there."""

        def digest() -> str:
            found = hashlib.sha256()
            with self._files.open(self._path(name), "rb") as source:
                while chunk := source.read(_CHUNK_BYTES):
                    found.update(chunk)
            return found.hexdigest()

        return self._attempt(name, digest)

    def download(self, name: str, path: Path) -> bool:
        """Write a file to a path on this machine; whether it is there."""

        def copy() -> bool:
            with self._files.open(self._path(name), "rb") as source, whole_file(path) as target:
                shutil.copyfileobj(source, target, _CHUNK_BYTES)
            return True

        return self._attempt(name, copy) or False

    def write(self, name: str, content: bytes) -> None:
        """Store a small file."""
        if self._folder:
            folder = self._folder
            self._must(name, lambda: write_whole(folder / name, content))
        else:
            self._must(name, lambda: self._files.pipe_file(self._path(name), content))

    def upload(self, path: Path, name: str) -> None:
        """Store a file of this machine. FileNotFoundError if that is not there."""

        def put() -> None:
            if not self._folder:
                self._files.put_file(str(path), self._path(name))
                return
            with path.open("rb") as source, whole_file(self._folder / name) as target:
                shutil.copyfileobj(source, target, _CHUNK_BYTES)

        try:
            self._must(name, put)
        except StoreError as error:
            if not path.exists():
                raise FileNotFoundError(path) from error
            raise

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        self._attempt(name, lambda: self._files.rm_file(self._path(name)))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _name(self, path: str) -> str:
        return path.removeprefix(self._root).lstrip("/")

    def _must(self, name: str, action: Callable[[], object]) -> None:
        """As `_attempt`, but it is an error, too, if something is not there."""
        done = self._attempt(name, lambda: (action(), True))
        if done is None:
            raise StoreError(f"{self.url}/{name} cannot be stored: no such bucket or folder")

    def _attempt(self, name: str, action: Callable[[], T]) -> T | None:
        """The result of a request, repeated if it fails; None if a file is not there."""
        for pause in (*PAUSES_SECONDS[: self._attempts - 1], None):
            try:
                return action()
            except FileNotFoundError:
                return None
            except Exception as error:  # each service has its own
                if pause is None:
                    where = f"{self.url}/{name}" if name else self.url
                    raise StoreError(f"{where}: {_text(error)}; {remedy(error)}") from error
                time.sleep(pause)
                self._connect()
        raise AssertionError("the last attempt returns or raises")


def remedy(error: Exception) -> str:
    """What to do about a failed request."""
    text = _ADDRESS.sub("", f"{type(error).__name__} {error}").lower()
    if any(word in text for word in _NO_BUCKET):
        return "make the bucket, or correct its name"
    if isinstance(error, PermissionError) or any(word in text for word in _DENIED):
        return (
            "give this machine credentials that may list, read, write and delete there, or renew "
            "expired ones (AWS: a role or ~/.aws/credentials)"
        )
    return "check the network and the service"


def _text(error: Exception) -> str:
    first = str(error).strip().splitlines()
    return first[0] if first else type(error).__name__
