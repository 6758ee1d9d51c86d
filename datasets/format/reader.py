"""One resolution of a data set: sample index -> picture in O(1), from disk or from a cache."""

import hashlib
import os
from pathlib import Path

import numpy as np

from progan.datasets.errors import DataError
from progan.datasets.format.codec import Pixels, codec_for
from progan.datasets.format.location import Location, cannot_read, join
from progan.datasets.format.manifest import Manifest, Shard, shard_name
from progan.datasets.format.shards import Index, index_name, intact, parse_index
from progan.datasets.format.storage import Storage, open_storage
from progan.datasets.order import Integers

# Shards that stay open. A process may usually open 1024 files.
_MAX_OPEN = 256


class Level:
    """Random access to the samples of one resolution. Safe to use from several threads."""

    def __init__(
        self,
        dataset: Location,
        manifest: Manifest,
        resolution: int,
        *,
        cache_bytes: int = 0,
        cache_folder: Path | None = None,
    ) -> None:
        """Read the indexes. Raises DataError for a missing resolution or a broken index."""
        shards = manifest.require(resolution, dataset)
        self._dataset = dataset
        self._shape = (manifest.channels, resolution, resolution)
        self._decode = codec_for(manifest.options.codec, resolution).decode
        self._storage = open_storage(dataset, cache_folder)
        self._names = [shard_name(resolution, shard.name) for shard in shards]
        self._sha256 = [shard.sha256 for shard in shards]
        indexes = _read_indexes(self._storage, dataset, self._names, shards)
        self._ends = np.cumsum([len(index) for index in indexes])
        self._starts = self._ends - [len(index) for index in indexes]
        self._records = np.concatenate(indexes)
        self._open: dict[int, int] = {}
        self.labels: Integers = self._records["label"].astype(np.int64)
        # Caches the first samples, as many as fit. Memory is allocated as it is filled.
        kept = min(len(self), cache_bytes // int(np.prod(self._shape)))
        self._cache: Pixels = np.empty((kept, *self._shape), dtype=np.uint8)
        self._cached = np.zeros(len(self), dtype=np.bool_)

    def __len__(self) -> int:
        return len(self._records)

    def picture(self, index: int) -> Pixels:
        """Decode one sample: uint8 [C, R, R]. Raises DataError when its bytes are damaged."""
        pixels = self._decode(self.read(index), self._shape[0]).transpose(2, 0, 1)
        if pixels.shape != self._shape:
            raise self._damaged(index)
        return pixels

    def pictures(self, indices: Integers, out: Pixels | None = None) -> Pixels:
        """Decode samples, or copy them from the cache: uint8 [n, C, R, R], into `out` if given."""
        pictures = np.empty((len(indices), *self._shape), dtype=np.uint8) if out is None else out
        missing = np.flatnonzero(~self._cached[indices])
        if len(missing) == 0:
            # Several times faster than cache[indices]; "clip" is what writes to `out` directly.
            return np.take(self._cache, indices, axis=0, out=pictures, mode="clip")
        for row in missing:
            index = int(indices[row])
            pictures[row] = self.picture(index)
            if index < len(self._cache):
                # Set last: no other thread may read a picture that is partly written.
                self._cache[index] = pictures[row]
                self._cached[index] = True
        rest = np.setdiff1d(np.arange(len(indices)), missing, assume_unique=True)
        pictures[rest] = np.take(self._cache, indices[rest], axis=0)
        return pictures

    def read(self, index: int) -> bytes:
        """The stored bytes of one sample. Raises DataError when they are damaged."""
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        record = self._records[index]
        data = self._bytes(self._shard_of(index), int(record["offset"]), int(record["size"]))
        if not intact(data, record):
            raise self._damaged(index)
        return data

    def close(self) -> None:
        """Close the shards. No thread may be reading."""
        self._storage.close()
        while self._open:
            os.close(self._open.popitem()[1])

    def _bytes(self, shard: int, offset: int, size: int) -> bytes:
        """A part of a shard, from local disk if it is there. The shard stays open."""
        descriptor = self._open.get(shard)
        if descriptor is not None:
            return os.pread(descriptor, size, offset)
        name = self._names[shard]
        path = self._storage.on_disk(name, self._sha256[shard])
        try:
            if path is None:
                return self._storage.read_range(name, offset, size)
            descriptor = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise cannot_read(self._dataset, name, error) from error
        try:
            return os.pread(descriptor, size, offset)
        finally:
            # If two threads have opened the same shard, one of them closes it.
            full = len(self._open) >= _MAX_OPEN
            if full or self._open.setdefault(shard, descriptor) != descriptor:
                os.close(descriptor)

    def _shard_of(self, index: int) -> int:
        return int(np.searchsorted(self._ends, index, side="right"))

    def _damaged(self, index: int) -> DataError:
        shard = self._shard_of(index)
        return DataError(
            f"record {index - self._starts[shard]} of {join(self._dataset, self._names[shard])} "
            f"is damaged: check with: progan data verify {self._dataset}"
        )


def _read_indexes(
    storage: Storage, dataset: Location, names: list[str], shards: list[Shard]
) -> list[Index]:
    """The index of every shard. Raises DataError if one is missing or has changed."""
    files = [index_name(name) for name in names]
    try:
        contents = storage.read_all(files)
    except OSError as error:
        raise DataError(
            f"an index of {dataset} cannot be read ({error}): "
            f"check with: progan data verify {dataset}"
        ) from error
    indexes = []
    for name, content, shard in zip(files, contents, shards, strict=True):
        if hashlib.sha256(content).hexdigest() != shard.index_sha256:
            raise DataError(
                f"{join(dataset, name)} has changed since the data set was made: "
                f"check with: progan data verify {dataset}"
            )
        indexes.append(parse_index(content, join(dataset, name)))
    return indexes
