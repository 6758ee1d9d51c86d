"""Pictures in tar files: one, a folder of them or a pattern, such as WebDataset shards.

webdataset's pipeline lists them: it groups the members `key.png`, `key.cls` and `key.json` into
samples. One stage of the pipeline is ours: it yields where a picture lies, in place of its bytes.
Only headers and labels are read, and any process of a build can then read any picture.

A picture takes its label from `key.cls`, or from a number under "label" or "cls" in `key.json`.
"""

import glob
import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

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
from progan.datasets.webdataset_library import webdataset

_LARGEST_LABEL = 1 << 16
_LABELS = ("cls", "json")
# The first bytes of gzip, bzip2, xz and zstd files.
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")


def recognises(location: str) -> bool:
    """A tar file by content, a folder with tar files in it, or a pattern with `*`."""
    path = Path(location)
    if path.is_dir() or "*" in path.name:
        return bool(_tars(location))
    return path.is_file() and tarfile.is_tarfile(path)


def listing(location: str) -> Listing:
    """The pictures of all tar files; reads headers and labels only."""
    return list_tars({str(path): path.name for path in _tars(location)})


def list_tars(names: Mapping[str, str]) -> Listing:
    """The pictures of tar files: path -> name, which begins the pictures' names if there are
    several. Raises DataError for a file that is damaged or compressed."""
    library, positions = webdataset(), _Positions(names)
    samples: Iterable[dict[str, Any]] = library.DataPipeline(
        library.SimpleShardList(list(names)),
        positions,
        lambda files: library.tariterators.group_by_keys(files, _key_and_extension, lcase=False),
    )
    pictures: list[tuple[Entry, tuple[str, str]]] = []
    labels: dict[tuple[str, str], int | str] = {}
    for sample in samples:
        key = (sample["__url__"], sample["__key__"])
        for extension, value in sample.items():
            if isinstance(value, Entry):
                pictures.append((value, key))
            elif isinstance(value, bytes):
                label = _label(extension, value)
                if label is not None:
                    labels[key] = label
    # Not within the loop: where a tar is not sorted, a label may come long after its picture.
    entries = [entry._replace(label=labels.get(key)) for entry, key in pictures]
    return Listing(entries, positions.rejected, dataset_json=positions.dataset_json)


def read(location: str, entry: Entry) -> bytes:
    """The content of one member."""
    path, offset = entry.where
    data = os.pread(_descriptor(path), entry.size, offset)
    if len(data) < entry.size:
        raise OSError(0, "the archive ends within it")
    return data


def members(path: str, title: str) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    """The members of the tar file at `path` one by one. Raises DataError, which names `title`."""
    try:
        with tarfile.open(path, "r:") as tar:
            while member := tar.next():
                tar.members = []  # type: ignore[attr-defined]  # tarfile would keep them all
                yield member, tar
    except tarfile.ReadError as error:
        if is_compressed(Path(path)):
            raise DataError(
                f"{title} is compressed, so no picture can be read by itself: unpack it first"
            ) from error
        raise DataError(f"{title} is damaged: {error}") from error


def is_compressed(path: Path) -> bool:
    """Whether a file begins as compressed files do."""
    with path.open("rb") as file:
        return file.read(6).startswith(_COMPRESSED)


@cache  # closed with the process; there are far fewer shards than files it may open
def _descriptor(path: str) -> int:
    return os.open(path, os.O_RDONLY)


def _tars(location: str) -> list[Path]:
    if Path(location).is_dir():
        return sorted(path for path in Path(location).glob("*.tar") if path.is_file())
    if "*" in location:
        return sorted(Path(path) for path in glob.glob(location) if path.endswith(".tar"))
    return [Path(location)]


class _Positions:
    """A stage of webdataset's pipeline: tar files -> members, pictures as entries without bytes."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._prefixes = {
            path: f"{name}/" if len(names) > 1 else "" for path, name in names.items()
        }
        self.rejected: list[Rejected] = []
        self.dataset_json: bytes | None = None

    def __call__(self, shards: Iterable[dict[str, str]]) -> Iterator[dict[str, Any]]:
        for shard in shards:
            path = shard["url"]
            names: set[str] = set()
            for member, tar in members(path, path):
                content = self._content(path, tar, member, names)
                if content is not None:
                    yield {"fname": member.name, "data": content, "__url__": path}
            yield {}  # the end of a shard: the next one may begin with the same key

    def _content(
        self, path: str, tar: tarfile.TarFile, member: tarfile.TarInfo, names: set[str]
    ) -> Entry | bytes | None:
        """The entry of a picture, the bytes of a label; None for everything else."""
        file = member.name.rpartition("/")[2]
        if file == DATASET_JSON:
            self.dataset_json = self.dataset_json or _read(tar, member, MAX_FILE_BYTES)
            return None
        label = file.partition(".")[2] in _LABELS
        if not label and not is_picture(member.name):
            return None
        name = self._prefixes[path] + member.name
        problem = _problem(member)
        if problem is None and member.name in names:
            problem = "another file has the same name"
        if problem is not None:
            if not label:
                self.rejected.append(Rejected(name, problem))
            return None
        names.add(member.name)
        if label:
            return _read(tar, member, _LARGEST_LABEL)
        return Entry(name, member.size, where=(path, member.offset_data))


def _key_and_extension(name: str) -> tuple[str, str]:
    """webdataset's rule: the extension starts at the first dot of the file's name.

    webdataset's own function ignores a file where a folder's name has a line break and a dot.
    """
    folder, slash, file = name.rpartition("/")
    key, _, extension = file.partition(".")
    return folder + slash + key, extension


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo, most: int) -> bytes:
    file = tar.extractfile(member) if member.isreg() and member.size <= most else None
    return file.read() if file else b""


def _label(extension: str, content: bytes) -> int | str | None:
    """The class in the content of a .cls or .json member, or None."""
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
