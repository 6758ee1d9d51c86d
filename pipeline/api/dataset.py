"""Data sets from Python: the pictures of one level as a torch `Dataset`."""

import operator
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from progan.datasets.format.location import absolute
from progan.datasets.format.manifest import load_manifest
from progan.datasets.format.reader import Level


def open_dataset(
    path: str | Path, resolution: int, *, cache_folder: str | Path | None = None
) -> "PictureDataset":
    """One level of a prepared data set as a torch `Dataset`.

    path: the folder, or the URL of a copy on object storage (`s3://...`), whose shards are copied
    to `cache_folder`, by default `~/.cache/progan`, as they are read. DataError if the data set is
    missing or damaged, or has no pictures of `resolution` pixels.

    >>> pictures = open_dataset("shapes", 16)
    >>> picture, label = pictures[0]
    >>> len(pictures), picture.shape, picture.dtype, pictures.classes[label]
    (96, torch.Size([3, 16, 16]), torch.uint8, 'disc')
    """
    folder = None if cache_folder is None else Path(cache_folder)
    return PictureDataset(absolute(path), resolution, folder)


class PictureDataset(Dataset[tuple[Tensor, int]]):
    """Pictures of one resolution by index, for `torch.utils.data.DataLoader` with any workers.

    An item is the picture, uint8 (C, R, R), and its label, -1 in a data set without classes. The
    order is the data set's, which `prepare` has shuffled; pictures are not mirrored. Instances can
    be pickled and used after a fork: each process opens the files itself.
    """

    def __init__(self, path: str, resolution: int, cache_folder: Path | None = None) -> None:
        self.path, self.resolution = path, resolution
        self.manifest = load_manifest(path)
        self._cache_folder = cache_folder
        self._level: Level | None = None
        self._process = -1
        self._reader()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes by label; none without labels."""
        return tuple(self.manifest.classes or ())

    @property
    def channels(self) -> int:
        """1 (grey), 3 (RGB) or 4 (RGB and alpha)."""
        return self.manifest.channels

    @property
    def labels(self) -> Tensor:
        """The labels of all pictures, int64 (N,), without reading the pictures."""
        return torch.from_numpy(self._reader().labels.copy())

    def __len__(self) -> int:
        return self.manifest.num_samples

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """One picture and its label. IndexError, DataError if its bytes are damaged."""
        number = operator.index(index)
        number += len(self) * (number < 0)
        level = self._reader()
        return torch.from_numpy(level.picture(number).copy()), int(level.labels[number])

    def __getstate__(self) -> dict[str, Any]:
        """Without open files."""
        return vars(self) | {"_level": None, "_process": -1}

    def __repr__(self) -> str:
        size = f"{self.resolution}x{self.resolution}"
        return f"{type(self).__name__}({self.path!r}: {len(self):,} pictures at {size})"

    def close(self) -> None:
        """Close the files; reading opens them again."""
        if self._level is not None and self._process == os.getpid():
            self._level.close()
        self._level = None

    def _reader(self) -> Level:
        """The level as opened by this process."""
        if self._level is None or self._process != os.getpid():
            self._process = os.getpid()
            self._level = Level(
                self.path, self.manifest, self.resolution, cache_folder=self._cache_folder
            )
        return self._level
