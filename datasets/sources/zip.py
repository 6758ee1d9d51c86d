"""Pictures in a zip file, read in place."""

import stat
import zipfile
from functools import lru_cache
from pathlib import Path

from progan.datasets.sources.labels import DATASET_JSON
from progan.datasets.sources.listing import (
    MAX_FILE_BYTES,
    Entry,
    Listing,
    Rejected,
    climbs_out,
    is_picture,
)

_ENCRYPTED = 1


def recognises(location: str) -> bool:
    """By content."""
    return Path(location).is_file() and zipfile.is_zipfile(location)


def listing(location: str) -> Listing:
    """From the archive's directory. Decompresses nothing but dataset.json."""
    entries: list[Entry] = []
    rejected: list[Rejected] = []
    dataset_json = None
    archive = _open(location)
    for number, info in enumerate(archive.infolist()):
        if info.filename.rpartition("/")[2] == DATASET_JSON and info.file_size < MAX_FILE_BYTES:
            dataset_json = archive.read(info)
        if info.is_dir() or not is_picture(info.filename):
            continue
        if problem := _problem(info):
            rejected.append(Rejected(info.filename, problem))
        else:
            entries.append(Entry(info.filename, info.file_size, where=number))
    return Listing(entries, rejected, dataset_json=dataset_json)


def read(location: str, entry: Entry) -> bytes:
    """Decompress one member, up to its size in the archive's directory."""
    archive = _open(location)
    return archive.read(archive.infolist()[entry.where])


@lru_cache(maxsize=1)  # reading the directory again for every picture would be slow
def _open(location: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(location)


def _problem(info: zipfile.ZipInfo) -> str | None:
    if climbs_out(info.filename):
        return "its name climbs out of the archive"
    if info.flag_bits & _ENCRYPTED:
        return "encrypted"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "a link"
    return None
