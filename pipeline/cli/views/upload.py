"""Commands whose result may go to a URL: they write a folder here, which is then copied there."""

import hashlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from progan.datasets.format.location import default_cache_folder
from progan.datasets.format.manifest import NAME as MANIFEST
from progan.datasets.format.objects.store import ObjectStore
from progan.datasets.format.objects.upload import (
    CHECKSUMS,
    require_free,
    upload_folder,
    write_checksums,
)
from progan.pipeline.run.terminal import Terminal

LINE_SECONDS = 10.0


@contextmanager
def folder_for(out: Path | str) -> Iterator[Path]:
    """The folder to write: `out`, or a temporary one that is copied to the URL `out` at the end.

    StoreError if something is there already, or the storage fails.
    """
    if isinstance(out, Path):
        yield out
        return
    store = ObjectStore(out)
    require_free(store, CHECKSUMS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "out"
        yield folder
        write_checksums(folder)
        upload_folder(folder, store, CHECKSUMS, _Progress(out))


@contextmanager
def dataset_folder_for(dataset: Path | str, build_in: Path | None) -> Iterator[Path]:
    """The folder to build a data set in, which is copied to the URL `dataset` at the end.

    The same one at the next call, so that an interrupted build resumes. StoreError as above.
    """
    if isinstance(dataset, Path):
        yield dataset
        return
    store = ObjectStore(dataset)
    require_free(store, MANIFEST)
    name = hashlib.sha256(store.url.encode()).hexdigest()[:16]
    folder = build_in or default_cache_folder() / "building" / name
    yield folder
    upload_folder(folder, store, MANIFEST, _Progress(dataset))
    Terminal(stderr=True).say(f"{dataset}: stored, and read back")
    if build_in is None:
        shutil.rmtree(folder, ignore_errors=True)


class _Progress:
    """Says how many files are stored, every ten seconds."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._terminal = Terminal(stderr=True)
        self._last_line = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last_line > LINE_SECONDS:
            self._last_line = now
            self._terminal.say(f"{self._url}: {done:,} of {total:,} files stored")
