"""One shard: a plain tar file any WebDataset reader opens, and beside it our index of it.

`000000.tar` holds `{index:09d}.webp` and, with labels, `{index:09d}.cls` for each record.
`000000.npy` holds where each record's picture lies, so that any record can be read at once.
"""

import hashlib
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from progan.datasets.errors import DataError
from progan.datasets.files import whole_files
from progan.datasets.format.npy import npy_bytes, parse_npy

RECORD = np.dtype([("offset", "<u8"), ("size", "<u4"), ("crc32", "<u4"), ("label", "<i4")])
NO_LABEL = -1
Index = npt.NDArray[np.void]


class ShardWriter:
    """Adds records to a tar file. The same records always give the same bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self._records: list[tuple[int, int, int, int]] = []
        self.num_bytes = 0
        """The size of the tar file so far."""

    def add(self, index: int, extension: str, data: bytes, label: int = NO_LABEL) -> None:
        """Append one picture under the key `index`."""
        offset = self.num_bytes + tarfile.BLOCKSIZE
        members = _member(f"{index:09d}.{extension}", data)
        if label != NO_LABEL:
            members += _member(f"{index:09d}.cls", str(label).encode())
        self._write(members)
        self._records.append((offset, len(data), zlib.crc32(data), label))

    def close(self) -> None:
        """Write the end of the archive: two empty blocks, and up to a whole record."""
        end = self.num_bytes + 2 * tarfile.BLOCKSIZE
        self._write(bytes(-(-end // tarfile.RECORDSIZE) * tarfile.RECORDSIZE - self.num_bytes))

    @property
    def index(self) -> Index:
        """The records so far, in order."""
        return np.array(self._records, dtype=RECORD)

    @property
    def sha256(self) -> str:
        """The checksum of the tar file so far: a large one is not read again."""
        return self._sha256.hexdigest()

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._sha256.update(data)
        self.num_bytes += len(data)


# Python's tarfile takes ten times as long for a header. TarInfo's own defaults are what we want:
# mtime 0, owner 0, mode 0644. A mtime that is not an int would cost an extended header: a kilobyte
# a member, and half the reading speed.
_HEADER = tarfile.TarInfo().tobuf(tarfile.USTAR_FORMAT)
_SIZE, _CHECKSUM = slice(124, 135), slice(148, 156)


def _member(name: str, data: bytes) -> bytes:
    """One member of a tar file: header, content, and zeros up to a whole block."""
    header = bytearray(_HEADER)
    header[: len(name)] = name.encode()
    header[_SIZE] = b"%011o" % len(data)
    header[_CHECKSUM] = b" " * 8
    header[_CHECKSUM] = b"%06o\0 " % sum(header)
    return b"".join((header, data, bytes(-len(data) % tarfile.BLOCKSIZE)))


def member_bytes(size: int) -> int:
    """What a member of `size` bytes takes in a tar file."""
    return tarfile.BLOCKSIZE * (1 + -(-size // tarfile.BLOCKSIZE))


@contextmanager
def shard_writers(paths: Sequence[Path]) -> Iterator[list[ShardWriter]]:
    """Writers of the shards `paths` (.tar) and their indexes; all appear when the block ends."""
    indexes = [path.with_suffix(".npy") for path in paths]
    with whole_files([*paths, *indexes]) as files:
        writers = [ShardWriter(file) for file in files[: len(paths)]]
        yield writers
        for writer, file in zip(writers, files[len(paths) :], strict=True):
            writer.close()
            file.write(npy_bytes(writer.index))


def index_name(shard: str) -> str:
    """The name of the index of the shard `shard` (a .tar)."""
    return shard.removesuffix(".tar") + ".npy"


def parse_index(content: bytes, path: str) -> Index:
    """The content of an .npy file as an index. Raises DataError, naming `path`."""
    try:
        index: Index = parse_npy(content)
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
