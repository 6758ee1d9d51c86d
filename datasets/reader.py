"""One resolution of a data set: sample index -> picture, as bytes on disk or kept in memory."""

import os
from pathlib import Path

import numpy as np

from progan.datasets.codec import Pixels, codec_for
from progan.datasets.errors import DataError
from progan.datasets.manifest import Manifest, shard_path
from progan.datasets.order import Integers
from progan.datasets.shards import read_index, read_record

# A shard opened once stays open, up to this many: a process is commonly allowed 1024 files.
_MAX_OPEN = 256


class Level:
    """Random access to the samples of one resolution. Safe to use from several threads."""

    def __init__(
        self, dataset: Path, manifest: Manifest, resolution: int, *, cache_bytes: int = 0
    ) -> None:
        """Read the indexes. Raises DataError for a missing resolution or a broken index."""
        shards = manifest.require(resolution, dataset)
        self._shape = (manifest.channels, resolution, resolution)
        self._decode = codec_for(manifest.options.codec, resolution).decode
        self._paths = [shard_path(dataset, resolution, shard.name) for shard in shards]
        self._records = [read_index(path) for path in self._paths]
        for path, records, shard in zip(self._paths, self._records, shards, strict=True):
            if len(records) != shard.num_samples:
                raise DataError(
                    f"the index of {path} lists {len(records)} records, not {shard.num_samples}: "
                    f"check with: progan data verify {dataset}"
                )
        self._dataset = dataset
        self._ends = np.cumsum([shard.num_samples for shard in shards])
        self._open: dict[int, int] = {}
        self.labels: Integers = np.concatenate([r["label"] for r in self._records]).astype(np.int64)
        self._cache: Pixels | None = None
        if len(self) * int(np.prod(self._shape)) <= cache_bytes:
            # Memory is taken as it is filled, not here.
            self._cache = np.empty((len(self), *self._shape), dtype=np.uint8)
        self._cached = np.zeros(len(self), dtype=np.bool_)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def picture(self, index: int) -> Pixels:
        """Decode one sample: uint8 [C, R, R]. Raises DataError when its bytes are damaged."""
        pixels = self._decode(self.read(index), self._shape[0]).transpose(2, 0, 1)
        if pixels.shape != self._shape:
            raise self._damaged(index)
        return pixels

    def pictures(self, indices: Integers) -> Pixels:
        """Decode samples, or take them from memory: a new uint8 [n, C, R, R]."""
        if self._cache is None:
            pictures = np.empty((len(indices), *self._shape), dtype=np.uint8)
            for row, index in enumerate(indices):
                pictures[row] = self.picture(int(index))
            return pictures
        for index in indices[~self._cached[indices]]:
            # The mark comes last: another thread must never take a picture half written.
            self._cache[index] = self.picture(int(index))
            self._cached[index] = True
        return np.take(self._cache, indices, axis=0)  # several times faster than cache[indices]

    def read(self, index: int) -> bytes:
        """The stored bytes of one sample. Raises DataError when they are damaged."""
        shard, place = self._locate(index)
        descriptor = self._open.get(shard)
        keep = descriptor is not None
        try:
            if descriptor is None:
                descriptor = os.open(self._paths[shard], os.O_RDONLY)
                keep = len(self._open) < _MAX_OPEN and (
                    self._open.setdefault(shard, descriptor) == descriptor
                )
            data = read_record(descriptor, self._records[shard][place])
        except OSError as error:
            raise DataError(f"cannot read {self._paths[shard]}: {error.strerror}") from error
        finally:
            if descriptor is not None and not keep:
                os.close(descriptor)
        if data is None:
            raise self._damaged(index)
        return data

    def close(self) -> None:
        """Close the shards. Nothing may be reading."""
        while self._open:
            os.close(self._open.popitem()[1])

    def _locate(self, index: int) -> tuple[int, int]:
        """(shard, place in it) of a sample."""
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        shard = int(np.searchsorted(self._ends, index, side="right"))
        return shard, index - int(self._ends[shard]) + len(self._records[shard])

    def _damaged(self, index: int) -> DataError:
        shard, place = self._locate(index)
        return DataError(
            f"record {place} of {self._paths[shard]} is damaged: "
            f"check with: progan data verify {self._dataset}"
        )
