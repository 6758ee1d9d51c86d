"""Pictures that are the values of an LMDB, such as LSUN."""

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
    return Path(location, _FILE).is_file()


def listing(location: str) -> Listing:
    """Every key, with the size of its value. Reads no values."""
    with _open(location).begin(buffers=True) as transaction:
        pairs = ((bytes(key), len(value)) for key, value in transaction.cursor())
        return Listing([Entry(_name(key), size) for key, size in pairs if key not in _COUNTS])


def read(location: str, entry: Entry) -> bytes:
    """The value of one key."""
    with _open(location).begin() as transaction:
        value: bytes | None = transaction.get(entry.name.encode("utf-8", "surrogateescape"))
    if value is None:
        raise OSError(0, "it is no longer there")
    return value


def _name(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape")


@lru_cache(maxsize=1)  # a process must not open an LMDB twice
def _open(location: str) -> Any:
    try:
        import lmdb
    except ImportError as error:
        raise missing_library(f"{location} is an LMDB: reading it", "lmdb") from error
    try:
        return lmdb.open(location, readonly=True, lock=False, readahead=False, meminit=False)
    except lmdb.Error as error:
        raise DataError(f"{location} is not an LMDB that can be read: {error}") from error
