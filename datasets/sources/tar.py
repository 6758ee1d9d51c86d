"""Pictures in tar files: one, a folder of them or a pattern, such as WebDataset shards.

Labels are taken from what lies beside a picture `key.png` in the same tar: `key.cls`, or a number
under "label" or "cls" in `key.json`.
"""

import glob
import json
import os
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from progan.datasets.errors import DataError
from progan.datasets.sources.labels import DATASET_JSON
from progan.datasets.sources.listing import (
    MAX_FILE_BYTES,
    Entry,
    Listing,
    Rejected,
    climbs_out,
    is_picture,
)

_LARGEST_LABEL = 1 << 16
# How gzip, bzip2, xz and zstd files begin.
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")


class _Shard(NamedTuple):
    """What one tar file holds."""

    entries: list[Entry]
    passed_over: list[Rejected]
    dataset_json: bytes | None


def recognises(location: str) -> bool:
    """A tar file by content, a folder with tar files in it, or a pattern with `*`."""
    path = Path(location)
    if path.is_dir() or "*" in path.name:
        return bool(_tars(location))
    return path.is_file() and tarfile.is_tarfile(path)


def listing(location: str) -> Listing:
    """Where every picture lies, found by reading the headers only."""
    tars = _tars(location)
    shards = [_shard(path, f"{path.name}/" if len(tars) > 1 else "") for path in tars]
    return Listing(
        [entry for shard in shards for entry in shard.entries],
        [rejected for shard in shards for rejected in shard.passed_over],
        dataset_json=next((s.dataset_json for s in shards if s.dataset_json), None),
    )


def read(location: str, entry: Entry) -> bytes:
    """The content of one member."""
    path, offset = entry.where
    data = os.pread(_descriptor(path), entry.size, offset)
    if len(data) < entry.size:
        raise OSError(0, "the archive ends within it")
    return data


@cache  # closed with the process; shards are few beside the files it may open
def _descriptor(path: str) -> int:
    return os.open(path, os.O_RDONLY)


def _tars(location: str) -> list[Path]:
    if Path(location).is_dir():
        return sorted(path for path in Path(location).glob("*.tar") if path.is_file())
    if "*" in location:
        return sorted(Path(path) for path in glob.glob(location) if path.endswith(".tar"))
    return [Path(location)]


def _shard(path: Path, prefix: str) -> _Shard:
    entries: list[Entry] = []
    passed_over: list[Rejected] = []
    labels: dict[str, int | str] = {}
    dataset_json = None
    try:
        with tarfile.open(path, "r:") as tar:
            for member in _members(tar):
                key, _, extension = member.name.rpartition("/")[2].partition(".")
                key = f"{member.name.rpartition('/')[0]}/{key}"
                if member.name.rpartition("/")[2] == DATASET_JSON:
                    dataset_json = _content(tar, member, MAX_FILE_BYTES)
                elif extension in ("cls", "json") and member.isreg():
                    label = _label(extension, _content(tar, member, _LARGEST_LABEL))
                    if label is not None:
                        labels[key] = label
                if not is_picture(member.name):
                    continue
                if problem := _problem(member):
                    passed_over.append(Rejected(prefix + member.name, problem))
                    continue
                where = (str(path), member.offset_data)
                # The label may follow the picture: its key is kept until all are seen.
                entries.append(Entry(prefix + member.name, member.size, key, where))
    except tarfile.ReadError as error:
        raise DataError(_unreadable(path, error)) from error
    entries = [entry._replace(label=labels.get(str(entry.label))) for entry in entries]
    return _Shard(entries, passed_over, dataset_json)


def _unreadable(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        compressed = file.read(6).startswith(_COMPRESSED)
    if compressed:
        return f"{path} is compressed, so no picture can be read by itself: unpack it first"
    return f"{path} is damaged: {error}"


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members one by one: tarfile itself would keep them all."""
    while member := tar.next():
        tar.members = []  # type: ignore[attr-defined]
        yield member


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo, most: int) -> bytes:
    file = tar.extractfile(member) if member.isreg() and member.size <= most else None
    return file.read() if file else b""


def _label(extension: str, content: bytes) -> int | str | None:
    """A class from the content of a .cls or .json member; None when it says nothing of it."""
    try:
        text = content.decode().strip()
        if extension == "cls":
            return int(text) if text.lstrip("-").isdigit() else text or None
        found = json.loads(text)
    except ValueError:
        return None
    label = found.get("label", found.get("cls")) if isinstance(found, dict) else None
    return label if isinstance(label, int | str) and not isinstance(label, bool) else None


def _problem(member: tarfile.TarInfo) -> str | None:
    if climbs_out(member.name):
        return "its name climbs out of the archive"
    if not member.isreg() or member.issparse():
        return "not a regular file"
    return None
