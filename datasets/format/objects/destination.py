"""Where something is written that may go to object storage: a folder here, copied at the end."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
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

Report = Callable[[int, int], None]
"""Called with the numbers of files that are stored and of all"""


@contextmanager
def folder_for(out: Path | str, report: Report) -> Iterator[Path]:
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
        upload_folder(folder, store, CHECKSUMS, report)


@contextmanager
def dataset_folder_for(
    dataset: Path | str, build_in: Path | None, report: Report
) -> Iterator[Path]:
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
    upload_folder(folder, store, MANIFEST, report)
    if build_in is None:
        shutil.rmtree(folder, ignore_errors=True)
