"""Pictures in a zip file, read in place."""

import os
import stat
import struct
import zipfile
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import PurePosixPath

from progan.datasets.errors import DataError
from progan.datasets.sources.labels import DATASET_JSON
from progan.datasets.sources.listing import (
    MAX_FILE_BYTES,
    Entry,
    LabelFiles,
    Listing,
    Others,
    Rejected,
    climbs_out,
    is_hidden,
    is_picture,
    without_pictures,
)

_ENCRYPTED, _UTF8 = 1, 1 << 11
_END, _END64 = b"PK\5\6", b"PK\6\6"
_IN_END64 = 0xFFFF
_LONGEST_COMMENT = 1 << 16


def recognises(location: str) -> bool:
    """By content, damaged or not."""
    try:
        return os.path.isfile(location) and zipfile.is_zipfile(location)
    except zipfile.BadZipFile:
        return True


def listing(location: str) -> Listing:
    """From the archive's directory. Decompresses nothing but dataset.json. Raises DataError if
    either is damaged."""
    entries: list[Entry] = []
    rejected: list[Rejected] = []
    folders: set[str] = set()
    others, labels = Others(), LabelFiles()
    _open.cache_clear()  # the file may have been replaced since
    archive = _open(location)
    _check_count(location, len(archive.infolist()))
    for number, info in enumerate(archive.infolist()):
        name = _name(info)
        if name.rpartition("/")[2] == DATASET_JSON and info.file_size < MAX_FILE_BYTES:
            labels.add(name, partial(_read_labels, location, archive, info))
        picture = is_picture(name)
        if not picture and not is_hidden(name):
            folders.update(_folders_of(name))
        if name.endswith("/"):
            continue
        if problem := _problem(info) if picture else _damage(archive, info):
            rejected.append(Rejected(name, problem))
        elif picture:
            entries.append(Entry(name, info.file_size, where=number))
        else:
            others.add(name)
    return Listing(
        entries,
        rejected,
        label_files=labels.chosen,
        empty_folders=without_pictures(sorted(folders), entries),
        others=str(others),
    )


def _folders_of(name: str) -> list[str]:
    """A folder and those that it is in; those that a file is in."""
    inside = PurePosixPath(f"{name}-")
    return [str(folder) for folder in inside.parents if folder.name]


def read(location: str, entry: Entry) -> bytes:
    """Decompress one member, up to its size in the archive's directory."""
    archive = _open(location)
    return archive.read(archive.infolist()[entry.where])


@lru_cache(maxsize=1)  # reading the directory again for every picture would be slow
def _open(location: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(location)
    except Exception as error:  # damaged numbers and names raise many types
        raise _damaged(location, f"its directory cannot be read ({error})") from error


def _name(info: zipfile.ZipInfo) -> str:
    """The member's name with / between folders, where programs of Windows write a backslash.

    Without the flag that says UTF-8, zipfile reads names as of MS-DOS; macOS writes UTF-8 there.
    """
    name = info.filename
    if not info.flag_bits & _UTF8 and not name.isascii():
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def _check_count(location: str, found: int) -> None:
    """Raise DataError unless the directory has as many members as the archive's end says: zipfile
    passes over damage that swallows the rest of the directory."""
    with open(location, "rb") as file:
        file.seek(max(0, os.path.getsize(location) - _LONGEST_COMMENT - 200))
        end = file.read()
    (expected,) = struct.unpack_from("<H", end, end.rfind(_END) + 10)
    if expected == _IN_END64 and _END64 in end:
        (expected,) = struct.unpack_from("<Q", end, end.rfind(_END64) + 32)
    else:
        found %= 1 << 16  # old programs let it overflow
    if found != expected:
        raise _damaged(location, f"its directory lists {found} of {expected} members")


def _read_labels(location: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    try:
        return archive.read(info)
    except Exception as error:  # damaged archives raise many types
        why = "it is encrypted" if info.flag_bits & _ENCRYPTED else str(error)[:200]
        raise DataError(f"{info.filename} of {location} cannot be read: {why}") from error


def _damaged(location: str, what: str) -> DataError:
    return DataError(f"{location} is damaged: {what}. Copy or download it again")


def _damage(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str | None:
    """Why a member whose name is not a picture's may be one all the same; None if its name holds.

    The list of members has no checksum, but each name also stands before the member's content.
    """
    try:
        archive.open(info).close()
    except (RuntimeError, NotImplementedError):  # encrypted, or compressed in another way
        return None
    except Exception as error:  # damaged numbers raise many types
        return f"cannot be read: {error}"
    return None


def _problem(info: zipfile.ZipInfo) -> str | None:
    if "\0" in info.orig_filename:
        return "its name holds a zero byte"
    if climbs_out(info.filename):
        return "its name climbs out of the archive"
    if info.flag_bits & _ENCRYPTED:
        return "encrypted"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "a link"
    return None
