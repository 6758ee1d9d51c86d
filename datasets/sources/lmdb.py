"""Pictures that are the values of an LMDB, such as LSUN.

LMDB maps its file into memory and follows what is written there: a damaged or truncated file ends
the process by a signal. So a process of its own lists the keys. It compares the size of the file
with what its pages should take, and looks up every key as a reader does.
"""

import json
import os
import resource
import signal
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from progan.datasets.errors import DataError, missing_library
from progan.datasets.sources.listing import Entry, Listing

_FILE = "data.mdb"
# Not pictures: common keys for the number of pictures.
_COUNTS = (b"length", b"__len__", b"num-samples")


def recognises(location: str) -> bool:
    """A folder that contains data.mdb."""
    return os.path.isfile(os.path.join(location, _FILE))


def listing(location: str) -> Listing:
    """Every key, with the size of its value. Raises DataError for a damaged file."""
    _library(location)
    process = subprocess.run(
        [sys.executable, "-m", __name__, location], capture_output=True, check=False
    )
    if code := process.returncode:
        cause = signal.Signals(-code).name if code < 0 else process.stderr.decode()[-200:]
        raise DataError(
            f"{Path(location, _FILE)} is damaged: reading it ends in {cause}. "
            "Copy or download it again"
        )
    found: dict[str, Any] = json.loads(process.stdout)
    if "problem" in found:
        raise DataError(
            f"{location} is not an LMDB that can be read: {found['problem']}. "
            "Copy or download it again"
        )
    return Listing([Entry(name, size) for name, size in found["entries"]])


def read(location: str, entry: Entry) -> bytes:
    """The value of one key."""
    with _open(location).begin() as transaction:
        value: bytes | None = transaction.get(entry.name.encode("utf-8", "surrogateescape"))
    if value is None:
        raise OSError(0, "it is no longer there")
    return value


@lru_cache(maxsize=1)  # a process must not open an LMDB twice
def _open(location: str) -> Any:
    library = _library(location)
    return library.open(location, readonly=True, lock=False, readahead=False, meminit=False)


def _library(location: str) -> Any:
    try:
        import lmdb
    except ImportError as error:
        raise missing_library(f"{location} is an LMDB: reading it", "lmdb") from error
    return lmdb


def _entries(location: str) -> list[tuple[str, int]]:
    """(key, size of its value) of every picture. Raises any error for a damaged file, or ends the
    process by a signal."""
    environment = _open(location)
    statistics = environment.stat()
    expected = (environment.info()["last_pgno"] + 1) * statistics["psize"]
    size = Path(location, _FILE).stat().st_size
    if size < expected:
        raise ValueError(f"{_FILE} has {size:,} of {expected:,} bytes")
    entries: list[tuple[bytes, int]] = []
    with environment.begin(buffers=True) as transaction:
        for key, value in transaction.cursor():
            if transaction.get(key) is None:
                raise ValueError(f"{_name(bytes(key))} is not where its pages say")
            bytes(value[-1:])  # ends this process if it is not in the file
            entries.append((bytes(key), len(value)))
        if len(entries) != statistics["entries"]:
            raise ValueError(f"{len(entries):,} of {statistics['entries']:,} keys are found")
    return [(_name(key), size) for key, size in entries if key not in _COUNTS]


def _name(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape")


def main() -> None:
    """In the process that lists: print the entries, or why they cannot be read, as JSON."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        document: dict[str, Any] = {"entries": _entries(sys.argv[1])}
    except Exception as error:  # damaged pages raise many types
        document = {"problem": str(error)}
    print(json.dumps(document))


if __name__ == "__main__":
    main()
