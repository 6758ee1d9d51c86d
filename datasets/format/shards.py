"""One shard: a plain tar file that any WebDataset reader opens, and our index of it.

`000000.tar` holds `{index:09d}.webp` and, with labels, `{index:09d}.cls` for each record; it is
written by `webdataset.TarWriter`. `000000.npy` holds the offset of each record's picture, so that
any record is read by itself. webdataset's own reader has no such index: it shuffles approximately,
and resumes at the start of a shard.
"""

import hashlib
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from progan.datasets.errors import DataError
from progan.datasets.files import whole_files
from progan.datasets.format.npy import npy_bytes, parse_npy
from progan.datasets.webdataset_library import webdataset

RECORD = np.dtype([("offset", "<u8"), ("size", "<u4"), ("crc32", "<u4"), ("label", "<i4")])
NO_LABEL = -1
Index = npt.NDArray[np.void]

# The same headers for everyone: no user, no time. An mtime that is not an int would cost an
# extended header: a kilobyte a member, and half the reading speed.
_TAR_OPTIONS = {"user": "", "group": "", "mode": 0o644, "mtime": 0, "encoder": False}


class ShardWriter:
    """Adds records to a tar file. The same records always give the same bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = _HashedFile(file)
        self._tar = webdataset().TarWriter(self._file, **_TAR_OPTIONS)
        # TarWriter ignores its argument `format`. For our names both formats give the same bytes;
        # Python writes this one faster.
        self._tar.tarstream.format = tarfile.USTAR_FORMAT
        self._records: list[tuple[int, int, int, int]] = []

    def add(self, index: int, extension: str, data: bytes, label: int = NO_LABEL) -> None:
        """Append one picture under the key `index`."""
        key = f"{index:09d}"
        offset = self._tar.tarstream.offset + tarfile.BLOCKSIZE
        self._tar.write({"__key__": key, extension: data})
        if label != NO_LABEL:  # in a call of its own: TarWriter sorts the members of one call
            self._tar.write({"__key__": key, "cls": str(label).encode()})
        self._tar.tarstream.members.clear()  # tarfile keeps every header it has written
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
        """The size of the tar file, once it is closed."""
        return self._file.num_bytes

    @property
    def sha256(self) -> str:
        """The checksum of the tar file, once it is closed: a large one is not read again."""
        return self._file.sha256.hexdigest()


class _HashedFile:
    """Computes size and checksum of what is written to a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.num_bytes = 0

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        self.num_bytes += len(data)
        return self._file.write(data)


def member_bytes(size: int) -> int:
    """What a member of `size` bytes takes in a tar file."""
    return tarfile.BLOCKSIZE * (1 + -(-size // tarfile.BLOCKSIZE))


@contextmanager
def shard_writers(paths: Sequence[Path]) -> Iterator[list[ShardWriter]]:
    """Writers of the shards `paths` (.tar) and their indexes; all appear when the block ends."""
    indexes = [path.with_suffix(".npy") for path in paths]
    with whole_files([*paths, *indexes]) as files:
        writers = [ShardWriter(file) for file in files[: len(paths)]]
        with ExitStack() as stack:  # closes them also after an error: TarWriter keeps a buffer
            for writer in writers:
                stack.callback(writer.close)
            yield writers
        for writer, file in zip(writers, files[len(paths) :], strict=True):
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
    """Whether these are the bytes of the picture that `record` describes.

    Lossless WebP has no checksum of its own: a flipped bit would decode to another picture.
    """
    return len(data) == int(record["size"]) and zlib.crc32(data) == int(record["crc32"])
