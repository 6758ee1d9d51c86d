"""Batches of real pictures for one rank, prefetched by a few threads."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
import torch

from progan.datasets.format.codec import Pixels
from progan.datasets.format.manifest import Manifest, load_manifest
from progan.datasets.format.reader import Level
from progan.datasets.order import Integers, mirrored, rank_positions, sample_indices
from progan.datasets.spec import DataSpec

# Batches that are prefetched.
_AHEAD = 2


class Reals(NamedTuple):
    """One rank's part of a global batch."""

    images: torch.Tensor
    """float32 [n, C, R, R] in [-1, 1], on the CPU; pinned if CUDA is available."""
    labels: torch.Tensor
    """int64 [n]; -1 without labels."""
    position: int
    """Of the first picture of the *global* batch in this stage's order."""


class Batches:
    """An endless iterator over this rank's slices of the global batches.

    The order is a function of (data set, seed, resolution) alone, see `order.py`. `position` is the
    whole state: a `Batches` made with it continues exactly where this one is, on any number of
    ranks. Close it, or use it in a `with` statement.
    """

    def __init__(
        self,
        spec: DataSpec,
        resolution: int,
        *,
        seed: int,
        batch: int,
        rank: int,
        world_size: int,
        position: int = 0,
    ) -> None:
        """`batch` and `position` count pictures over all ranks.

        Raises ValueError if the batch is not a multiple of the number of ranks, DataError if the
        data set is missing or damaged, or lacks the resolution.
        """
        rank_positions(position, batch=batch, rank=rank, world_size=world_size)
        self.manifest: Manifest = load_manifest(spec.path)
        self.position = position
        """Of the next batch that is returned. Prefetched batches do not count."""
        self._spec, self._resolution, self._seed = spec, resolution, seed
        self._batch, self._rank, self._world_size = batch, rank, world_size
        self._level = Level(
            spec.path,
            self.manifest,
            resolution,
            cache_bytes=int(spec.cache_gb * 1e9),
            cache_folder=spec.cache_folder,
        )
        self._threads = ThreadPoolExecutor(spec.threads, thread_name_prefix="progan-reals")
        self._ahead: deque[_Reading] = deque()

    @property
    def num_samples(self) -> int:
        """The number of pictures in the data set."""
        return len(self._level)

    def __iter__(self) -> Iterator[Reals]:
        return self

    def __next__(self) -> Reals:
        while len(self._ahead) <= _AHEAD:
            self._ahead.append(self._start(self.position + len(self._ahead) * self._batch))
        reals = self._ahead.popleft().wait()
        self.position += self._batch
        return reals

    def fixed(self, start: int, count: int) -> Reals:
        """Samples start, start + 1, ... by index, never mirrored, for sample grids.

        Fewer than `count` at the end of the data set. Does not change `position`.
        """
        indices = np.arange(start, min(start + count, self.num_samples), dtype=np.int64)
        return self._read(indices, np.zeros(len(indices), dtype=np.bool_), start).wait()

    def at(self, positions: Integers) -> Reals:
        """The pictures at these positions of the order, the first of which is `Reals.position`.

        The first `num_samples` positions show every picture once. Does not change `position`.
        """
        return self._start_at(positions, int(positions[0])).wait()

    def close(self) -> None:
        """Stop the threads and close the files."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._ahead.clear()
        self._level.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self, position: int) -> "_Reading":
        """Start to read this rank's slice of the global batch at `position`."""
        positions = rank_positions(
            position, batch=self._batch, rank=self._rank, world_size=self._world_size
        )
        return self._start_at(positions, position)

    def _start_at(self, positions: Integers, position: int) -> "_Reading":
        """Start to read the pictures at these positions; `position` is the global batch's."""
        indices = sample_indices(
            positions,
            num_samples=self.num_samples,
            seed=self._seed,
            resolution=self._resolution,
        )
        if self._spec.mirror:
            flips = mirrored(positions, seed=self._seed, resolution=self._resolution)
        else:
            flips = np.zeros(len(positions), dtype=np.bool_)
        return self._read(indices, flips, position)

    def _read(self, indices: Integers, flips: np.ndarray, position: int) -> "_Reading":
        """Start to fill a batch: each thread fills a part of it."""
        shape = (len(indices), self.manifest.channels, self._resolution, self._resolution)
        images = torch.empty(shape, pin_memory=torch.cuda.is_available())
        labels = torch.from_numpy(self._level.labels[indices])
        parts = np.array_split(np.arange(len(indices)), self._spec.threads)
        futures = [
            self._threads.submit(
                _fill,
                images.numpy()[part[0] : part[-1] + 1],
                self._level,
                indices[part],
                flips[part],
            )
            for part in parts
            if len(part)
        ]
        return _Reading(Reals(images, labels, position), futures)


class _Reading(NamedTuple):
    """A batch that threads are filling."""

    reals: Reals
    parts: list[Future[None]]

    def wait(self) -> Reals:
        for part in self.parts:
            part.result()
        return self.reals


def _fill(images: np.ndarray, level: Level, indices: Integers, flips: np.ndarray) -> None:
    """Write the samples `indices` into `images`, float32 [n, C, R, R] in [-1, 1]."""
    pixels: Pixels = level.pictures(indices)
    pixels[flips] = pixels[flips, :, :, ::-1]
    # NumPy is as fast as torch here, and starts no threads of its own in each of ours.
    np.divide(pixels, np.float32(127.5), out=images)
    images -= 1
