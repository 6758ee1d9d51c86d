"""One shard: a plain tar file any WebDataset reader opens, and beside it our index of it.

`000000.tar` holds `{index:09d}.webp` and, with labels, `{index:09d}.cls` for each record.
`000000.npy` holds where each record's picture lies, so that any record can be read at once.
"""

import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from progan.datasets.errors import DataError
from progan.datasets.files import whole_file, write_whole

RECORD = np.dtype([("offset", "<u8"), ("size", "<u4"), ("crc32", "<u4"), ("label", "<i4")])
NO_LABEL = -1
Index = npt.NDArray[np.void]


class ShardWriter:
    """Adds records to a tar file. The same records always give the same bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = _Hashing(file)
        self._tar = tarfile.open(
            fileobj=cast("BinaryIO", self._file), mode="w", format=tarfile.USTAR_FORMAT
        )
        self._records: list[tuple[int, int, int, int]] = []

    def add(self, index: int, extension: str, data: bytes, label: int = NO_LABEL) -> None:
        """Append one picture under the key `index`."""
        offset = self._member(f"{index:09d}.{extension}", data)
        if label != NO_LABEL:
            self._member(f"{index:09d}.cls", str(label).encode())
        self._records.append((offset, len(data), zlib.crc32(data), label))

    def close(self) -> None:
        """Write the end of the archive."""
        self._tar.close()

    @property
    def index(self) -> Index:
        """The records so far, in order."""
        return np.array(self._records, dtype=RECORD)

    @property
    def num_bytes(self) -> int:
        """The size of the tar file so far."""
        return self._file.position

    @property
    def sha256(self) -> str:
        """The checksum of the tar file so far."""
        return self._file.sha256.hexdigest()

    def _member(self, name: str, data: bytes) -> int:
        """Append one member and return where its content begins."""
        # TarInfo's own defaults are what we want: mtime 0, owner 0, mode 0644. A mtime that is
        # not an int costs an extended header: a kilobyte a member, and half the reading speed.
        info = tarfile.TarInfo(name)
        info.size = len(data)
        offset = self._tar.offset + tarfile.BLOCKSIZE
        self._tar.addfile(info, io.BytesIO(data))
        return offset


def member_bytes(size: int) -> int:
    """What a member of `size` bytes takes in a tar file: its header, and whole blocks."""
    return tarfile.BLOCKSIZE * (1 + -(-size // tarfile.BLOCKSIZE))


@contextmanager
def shard_writer(path: Path) -> Iterator[ShardWriter]:
    """A writer of the shard `path` (a .tar) and its index; both appear when the block ends."""
    with whole_file(path) as file:
        writer = ShardWriter(file)
        yield writer
        writer.close()
    write_whole(path.with_suffix(".npy"), index_bytes(writer.index))


def index_bytes(index: Index) -> bytes:
    """An index as the content of an .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, index, allow_pickle=False)
    return buffer.getvalue()


def index_name(shard: str) -> str:
    """The name of the index of the shard `shard` (a .tar)."""
    return shard.removesuffix(".tar") + ".npy"


def parse_index(content: bytes, path: str) -> Index:
    """The content of an .npy file as an index. Raises DataError, naming `path`."""
    try:
        index: Index = np.load(io.BytesIO(content), allow_pickle=False)
    except (EOFError, OSError, ValueError) as error:
        raise DataError(f"cannot read the shard index {path}: {error}") from error
    if index.dtype != RECORD or index.ndim != 1:
        raise DataError(f"{path} is not a shard index of this version of progan")
    return index


def intact(data: bytes, record: np.void) -> bool:
    """Whether these are the bytes of the picture that `record` tells of.

    Lossless WebP has no checksum of its own: a flipped bit would decode to another picture.
    """
    return len(data) == int(record["size"]) and zlib.crc32(data) == int(record["crc32"])


class _Hashing:
    """A file that is only appended to, and its checksum: a large shard is not read again."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.position = 0
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        self.position += len(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self.position
