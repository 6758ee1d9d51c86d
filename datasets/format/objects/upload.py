"""Copies a finished folder to object storage: readers see it whole or not at all.

The file that completes the folder is stored last, when every other one has been read back and has
the same SHA-256. Called again after an interruption, it stores what is missing.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from progan.datasets.files import sha256_file, some_of, write_whole
from progan.datasets.format.objects.store import ObjectStore, StoreError

AT_ONCE = 4
"""Files that are stored at the same time"""


CHECKSUMS = "SHA256SUMS"
"""Completes a folder that has no document of its own; `sha256sum -c SHA256SUMS` checks a copy"""


def write_checksums(folder: Path) -> None:
    """Write SHA256SUMS about all files of a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{sha256_file(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    write_whole(folder / CHECKSUMS, "".join(lines).encode())


def require_free(store: ObjectStore, last: str) -> dict[str, int]:
    """The bytes of what an interrupted upload has left there, by name; StoreError if a complete
    folder is there."""
    there = store.sizes()
    if last in there:
        raise StoreError(f"{store.url} is there already: choose another URL, or remove it")
    return there


def upload_folder(
    folder: Path,
    store: ObjectStore,
    last: str,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Copy all files of a folder; `last` is the name of the one that completes it.

    `report` is called after every file with their number so far and in all. StoreError if the
    storage fails, or holds other files there.
    """
    names = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    names.remove(last)
    there = require_free(store, last)
    if others := sorted(there.keys() - set(names)):
        raise StoreError(
            f"{store.url} holds other files: {some_of(others)}; choose another URL, or remove them"
        )

    def copy(name: str) -> None:
        path = folder / name
        digest = sha256_file(path)
        if there.get(name) == path.stat().st_size and store.sha256(name) == digest:
            return
        store.upload(path, name)
        if store.sha256(name) != digest:
            raise StoreError(
                f"{store.url}/{name} is not what was sent: its SHA-256 differs; repeat the command"
            )

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="upload") as threads:
        try:
            for done, _ in enumerate(threads.map(copy, names), 1):
                report(done, len(names))
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    store.write(last, (folder / last).read_bytes())
