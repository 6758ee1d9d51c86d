"""Pictures in tar files: one, a folder of them or a pattern, such as WebDataset shards.

webdataset's pipeline lists them: it groups the members `key.png`, `key.cls` and `key.json` into
samples. One stage of the pipeline is ours: it yields where a picture lies, in place of its bytes.
Only headers and labels are read, and any process of a build can then read any picture.

A picture takes its label from `key.cls`, or from a number under "label" or "cls" in `key.json`.
"""

import glob
import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from progan.datasets.errors import DataError
from progan.datasets.files import parse_json
from progan.datasets.sources.labels import DATASET_JSON, class_of, plain
from progan.datasets.sources.listing import (
    MAX_FILE_BYTES,
    Entry,
    LabelFiles,
    Listing,
    Others,
    Rejected,
    climbs_out,
    is_picture,
)
from progan.datasets.sources.tar_members import is_compressed, is_tar, members
from progan.datasets.webdataset_library import webdataset

_LARGEST_LABEL = 1 << 16
_LABELS = ("cls", "json")


class Tar(NamedTuple):
    """One tar file of a source."""

    path: str
    name: str
    """Begins the names of its pictures, if there are several tar files."""
    title: str
    """For messages: what the user calls it."""


def recognises(location: str) -> bool:
    """A tar file by content, a folder with tar files in it, or a pattern with `*`."""
    if os.path.isdir(location) or "*" in os.path.basename(location):
        return bool(tars_at(location))
    return os.path.isfile(location) and (is_tar(location) or is_compressed(location))


def listing(location: str) -> Listing:
    """The pictures of all tar files; reads headers and labels only. A dataset.json may be in one
    of them or beside them."""
    found = list_tars([Tar(str(path), path.name, str(path)) for path in tars_at(location)])
    beside = Path(location, DATASET_JSON)
    if not found.label_files and beside.is_file():
        return found._replace(label_files=[("", beside.read_bytes())])
    return found


def list_tars(tars: Sequence[Tar]) -> Listing:
    """The pictures of tar files. Raises DataError for a file that is damaged or compressed."""
    library, positions = webdataset(), _Positions(tars)
    samples: Iterable[dict[str, Any]] = library.DataPipeline(
        library.SimpleShardList([tar.path for tar in tars]),
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
                label = _label(extension.lower(), value)
                if label is not None:
                    labels[key] = label
    # Not within the loop: where a tar is not sorted, a label may come long after its picture.
    entries = [entry._replace(label=labels.get(key)) for entry, key in pictures]
    return Listing(
        entries,
        positions.rejected,
        label_files=positions.labels.chosen,
        others=str(positions.others),
        in_shards=len(tars) > 1,
        in_samples=True,
    )


def read(location: str, entry: Entry) -> bytes:
    """The content of one member."""
    path, offset = entry.where
    return _content(path, offset, entry.size)


def tars_at(location: str) -> list[Path]:
    """The tar files in a folder or of a pattern; a file is one itself."""
    if Path(location).is_dir():
        return sorted(path for path in Path(location).glob("*.tar") if path.is_file())
    if "*" in location:
        return sorted(Path(path) for path in glob.glob(location) if path.endswith(".tar"))
    return [Path(location)]


class _Open:
    """A file that is open for reading until nothing refers to it."""

    def __init__(self, path: str) -> None:
        self.descriptor = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)


_open = lru_cache(maxsize=128)(_Open)  # a process may usually open 1024 files


def _content(path: str, offset: int, size: int) -> bytes:
    file = _open(path)  # stays open in this thread, whatever the others open
    data = os.pread(file.descriptor, size, offset)
    if len(data) < size:
        raise OSError(0, "the archive ends within it")
    return data


class _Positions:
    """A stage of webdataset's pipeline: tar files -> members, pictures as entries without bytes."""

    def __init__(self, tars: Sequence[Tar]) -> None:
        self._tars = {tar.path: tar for tar in tars}
        self.rejected: list[Rejected] = []
        self.labels, self.others = LabelFiles(), Others()

    def __call__(self, shards: Iterable[dict[str, str]]) -> Iterator[dict[str, Any]]:
        for shard in shards:
            tar = self._tars[shard["url"]]
            names: set[str] = set()
            for member in members(tar.path, tar.title):
                content = self._content(tar, member, names)
                if content is not None:
                    yield {"fname": member.name, "data": content, "__url__": tar.path}
            yield {}  # the end of a shard: the next one may begin with the same key

    def _content(self, tar: Tar, member: tarfile.TarInfo, names: set[str]) -> Entry | bytes | None:
        """The entry of a picture, the bytes of a label; None for everything else."""
        file = member.name.rpartition("/")[2]
        if file == DATASET_JSON:
            self.labels.add(member.name, lambda: _text(tar, member, MAX_FILE_BYTES))
            return None
        label = file.partition(".")[2].lower() in _LABELS
        if not label and not is_picture(member.name):
            self.others.add(member.name)
            return None
        name = member.name.replace("\\", "/")  # some programs of Windows write these
        name = f"{tar.name}/{name}" if len(self._tars) > 1 else name
        problem = _problem(member)
        if problem is None and member.name in names:
            problem = "another file has the same name"
        if problem is not None:
            if not label:
                self.rejected.append(Rejected(name, problem))
            return None
        names.add(member.name)
        if label:
            return _text(tar, member, _LARGEST_LABEL)
        return Entry(name, member.size, where=(tar.path, member.offset_data))


def _key_and_extension(name: str) -> tuple[str, str]:
    """webdataset's rule: the extension starts at the first dot of the file's name.

    webdataset's own function ignores a file where a folder's name has a line break and a dot.
    """
    folder, slash, file = name.rpartition("/")
    key, _, extension = file.partition(".")
    return folder + slash + key, extension


def _text(tar: Tar, member: tarfile.TarInfo, most: int) -> bytes:
    """The content of a member with labels; nothing if it is no file. A .json of more than `most`
    bytes does not hold labels; raises DataError for such a .cls."""
    if _problem(member):
        return b""
    if member.size > most:
        if member.name.endswith(".cls"):
            raise DataError(f"{member.name} of {tar.title} is no class: it has {member.size} bytes")
        return b""
    return _content(tar.path, member.offset_data, member.size)


def _label(extension: str, content: bytes) -> int | str | None:
    """The class in the content of a .cls or .json member, or None."""
    if extension == "cls":
        text = content.decode("utf-8", "backslashreplace").strip()
        return class_of(text) if text else None
    try:
        found = parse_json(content)
    except ValueError:
        return None
    label = plain(found.get("label", found.get("cls"))) if isinstance(found, dict) else None
    return label if isinstance(label, int | str) and not isinstance(label, bool) else None


def _problem(member: tarfile.TarInfo) -> str | None:
    if climbs_out(member.name):
        return "its name climbs out of the archive"
    if not member.isreg() or member.issparse():
        return "not a regular file"
    return None
