"""A data set on object storage: reads single pictures while it copies whole shards to local disk.

Training reads from every shard within its first batches. Waiting for the copies would delay the
first picture by minutes; reading each picture by its own request throughout would be slow.
"""

import errno
import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import fsspec

from progan.datasets.errors import DataError
from progan.datasets.files import whole_file
from progan.datasets.format.location import cannot_read, default_cache_folder, join

log = logging.getLogger(__name__)

_COPIES_AT_ONCE = 2
_CHUNK_BYTES = 8 << 20
# Seconds before the second and the third attempt of a request.
_PAUSES_SECONDS = (1.0, 5.0)

T = TypeVar("T")


class RemoteStorage:
    """See Storage. Copies are named by their checksum, so all runs and ranks share them."""

    def __init__(self, url: str, cache_folder: Path | None) -> None:
        try:
            self._files: Any
            self._files, self._root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise DataError(
                f"cannot open {url}: {error}. For S3, Google and Azure: "
                "pip install 'progan[remote]'"
            ) from error
        self._url = url
        self._cache = (cache_folder or default_cache_folder()) / "shards"
        self._copying: dict[str, Future[None]] = {}
        self._copiers = ThreadPoolExecutor(_COPIES_AT_ONCE, thread_name_prefix="progan-copy")
        self._closing = False

    def read_all(self, names: Sequence[str]) -> list[bytes]:
        """See Storage. All at once: a data set may have thousands of indexes."""
        paths = [self._files._strip_protocol(f"{self._root}/{name}") for name in names]
        found = self._retry(names[0], lambda: self._files.cat(paths, on_error="return"))
        if isinstance(found, bytes):  # some versions of fsspec, for a list of one
            return [found]
        return [
            content if isinstance(content := found.get(path), bytes) else self._read(name)
            for name, path in zip(names, paths, strict=True)
        ]

    def open(self, name: str) -> BinaryIO:
        """See Storage."""
        path = f"{self._root}/{name}"
        return cast("BinaryIO", self._retry(name, lambda: self._files.open(path, "rb")))

    def on_disk(self, name: str, sha256: str) -> Path | None:
        """See Storage. The first call starts to copy the file."""
        path = self._cache / sha256[:2] / f"{sha256}.tar"
        copying = self._copying.get(name)
        if copying is None and path.is_file():
            return path
        if copying is None:
            self._copying[name] = self._copiers.submit(self._copy, name, sha256, path)
            return None
        if not copying.done() or copying.cancelled():
            return None
        copying.result()  # raises DataError for a damaged shard
        return path if path.is_file() else None

    def read_range(self, name: str, offset: int, size: int) -> bytes:
        """See Storage."""
        return self._read(name, start=offset, end=offset + size)

    def close(self) -> None:
        """See Storage. Abandons unfinished copies."""
        self._closing = True
        self._copiers.shutdown(wait=True, cancel_futures=True)

    def _read(self, name: str, **part: int) -> bytes:
        """A file, or its bytes from `start` to `end`. By keyword: for s3fs the second parameter of
        `cat_file` is the version."""
        path = f"{self._root}/{name}"
        return bytes(self._retry(name, lambda: self._files.cat_file(path, **part)))

    def _copy(self, name: str, sha256: str, path: Path) -> None:
        """Copy one shard. Raises DataError if it is damaged; other failures are logged."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # One rank of a machine copies; the others wait for it.
            with path.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not path.is_file():
                    self._fetch(name, sha256, path)
        except _Abandoned:
            pass
        except OSError as error:
            log.warning("%s is not copied to %s: %s", name, self._cache, error)

    def _fetch(self, name: str, sha256: str, path: Path) -> None:
        digest = hashlib.sha256()
        with self.open(name) as source, whole_file(path) as target:
            while chunk := source.read(_CHUNK_BYTES):
                if self._closing:
                    raise _Abandoned
                digest.update(chunk)
                target.write(chunk)
            if digest.hexdigest() != sha256:
                raise DataError(
                    f"{join(self._url, name)} is damaged: its SHA-256 differs. "
                    f"Check with: progan data verify {self._url}"
                )

    def _retry(self, name: str, attempt: Callable[[], T]) -> T:
        """The result of a request, repeated if it fails. Raises FileNotFoundError, DataError."""
        for pause in (*_PAUSES_SECONDS, None):
            try:
                return attempt()
            except FileNotFoundError as error:  # not all services name the file
                missing = errno.ENOENT, os.strerror(errno.ENOENT), join(self._url, name)
                raise FileNotFoundError(*missing) from error
            except Exception as error:  # each service has its own
                if pause is None:
                    raise cannot_read(self._url, name, error) from error
                log.warning("%s: %s; trying again", join(self._url, name), error)
                time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")


class _Abandoned(Exception):
    """The storage was closed before the copy was complete."""
