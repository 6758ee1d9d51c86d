"""Batches of real pictures for one rank, prefetched by a few threads, also to a GPU."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from progan.datasets.device_copies import DeviceCopies
from progan.datasets.format.codec import Pixels
from progan.datasets.format.location import is_url
from progan.datasets.format.manifest import Manifest, load_manifest
from progan.datasets.format.reader import Level
from progan.datasets.order import (
    Integers,
    hold_out,
    mirrored,
    rank_positions,
    sample_indices,
)
from progan.datasets.processors import reading_threads
from progan.datasets.reals import Reals
from progan.datasets.spec import DataSpec, held_out_samples

AHEAD = 2
"""Batches that are prefetched"""


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
        device: torch.device | None = None,
        holdout: float = 0.0,
    ) -> None:
        """`batch` and `position` count pictures over all ranks.

        `holdout` is the share of the data set that is left out of the order: only `fixed` and
        `held_out` show it.

        If `device` is a GPU, `next` gives pixels that are there already, or soon: copies run ahead
        on a stream of their own, which the current stream waits for, not the host. `fixed` and `at`
        give pixels on the CPU.

        Raises ValueError if the batch is not a multiple of the number of ranks, DataError if the
        data set is missing or damaged, or lacks the resolution.
        """
        rank_positions(position, batch=batch, rank=rank, world_size=world_size)
        self.manifest: Manifest = load_manifest(spec.path)
        self.position = position
        """Position of the next batch that is returned. Prefetched batches do not count."""
        self._spec, self._resolution, self._seed = spec, resolution, seed
        self._batch, self._rank, self._world_size = batch, rank, world_size
        self._level = Level(
            spec.path,
            self.manifest,
            resolution,
            cache_bytes=int(spec.cache_gb * 1e9),
            cache_folder=spec.cache_folder,
        )
        self._num_threads = spec.threads or reading_threads(resolution, remote=is_url(spec.path))
        held_out = held_out_samples(len(self._level), holdout)
        self._holdout = hold_out(len(self._level), held_out, seed=seed) if held_out else None
        self._threads = ThreadPoolExecutor(self._num_threads, thread_name_prefix="progan-reals")
        self._copies = DeviceCopies(device) if device and device.type == "cuda" else None
        self._ahead: deque[Callable[[], Reals]] = deque()

    @property
    def num_samples(self) -> int:
        """The number of pictures in the data set that are not held out."""
        return len(self._holdout.trained) if self._holdout else len(self._level)

    def __iter__(self) -> Iterator[Reals]:
        return self

    def __next__(self) -> Reals:
        while len(self._ahead) <= AHEAD:
            self._ahead.append(self._prefetch(self.position + len(self._ahead) * self._batch))
        reals = self._ahead.popleft()()
        self.position += self._batch
        return reals

    def fixed(self, start: int, count: int) -> Reals:
        """Samples start, start + 1, ... by index, never mirrored, for sample grids.

        Fewer than `count` at the end of the data set. Does not change `position`.
        """
        indices = np.arange(start, min(start + count, len(self._level)), dtype=np.int64)
        return self._by_index(indices, start)

    def held_out(self, start: int, count: int, *, trained: bool = False) -> Reals:
        """Held-out samples start, start + 1, ..., or with `trained` as many that are not.

        Both are a random choice from the data set, and never mirrored. Does not change `position`.
        """
        assert self._holdout is not None
        part = self._holdout.trained if trained else self._holdout.held_out
        return self._by_index(part[start : start + count], start)

    @property
    def num_held_out(self) -> int:
        """The number of pictures that are held out."""
        return len(self._holdout.held_out) if self._holdout else 0

    def at(self, positions: Iterable[Integers]) -> Iterator[Reals]:
        """For each of several arrays the pictures at these positions of the order, read ahead.

        The first `num_samples` positions show every picture once. Does not change `position`.
        """
        started: deque[_Reading] = deque()
        for each in positions:
            started.append(self._start_at(each, int(each[0])))
            if len(started) > 1:
                yield started.popleft().wait()
        yield from (reading.wait() for reading in started)

    def labels_at(self, positions: Integers) -> Tensor:
        """The labels of the pictures at these positions, int64 [n]; the pictures are not read."""
        return torch.from_numpy(self._level.labels[self._indices(positions)])

    @property
    def identity(self) -> tuple[object, ...]:
        """What decides which picture, mirrored or not, is at a position."""
        held_out = (self.num_held_out,) if self._holdout else ()
        return self.manifest.fingerprint, self._resolution, self._seed, self._spec.mirror, *held_out

    def close(self) -> None:
        """Stop the threads and close the files."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        if self._copies:
            self._copies.close()
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

    def _prefetch(self, position: int) -> Callable[[], Reals]:
        """Start to read this rank's slice of the global batch at `position`; the result waits."""
        positions = rank_positions(
            position, batch=self._batch, rank=self._rank, world_size=self._world_size
        )
        reading = self._start_at(positions, position)
        return self._copies.start(reading.wait) if self._copies else reading.wait

    def _start_at(self, positions: Integers, position: int) -> "_Reading":
        """Start to read the pictures at these positions; `position` is the global batch's."""
        if self._spec.mirror:
            flips = mirrored(positions, seed=self._seed, resolution=self._resolution)
        else:
            flips = np.zeros(len(positions), dtype=np.bool_)
        return self._read(self._indices(positions), flips, position)

    def _indices(self, positions: Integers) -> Integers:
        indices = sample_indices(
            positions,
            num_samples=self.num_samples,
            seed=self._seed,
            resolution=self._resolution,
        )
        return self._holdout.trained[indices] if self._holdout else indices

    def _by_index(self, indices: Integers, position: int) -> Reals:
        """Read these samples, not mirrored."""
        return self._read(indices, np.zeros(len(indices), dtype=np.bool_), position).wait()

    def _read(self, indices: Integers, flips: np.ndarray, position: int) -> "_Reading":
        """Start to fill a batch: each thread fills a part of it."""
        shape = (len(indices), self.manifest.channels, self._resolution, self._resolution)
        pinned = torch.cuda.is_available()
        pixels = torch.empty(shape, dtype=torch.uint8, pin_memory=pinned)
        mirror = torch.from_numpy(flips)
        mirror = mirror.pin_memory() if pinned else mirror
        labels = torch.from_numpy(self._level.labels[indices])
        parts = np.array_split(np.arange(len(indices)), self._num_threads)
        futures = [
            self._threads.submit(
                self._level.pictures, indices[part], pixels.numpy()[part[0] : part[-1] + 1]
            )
            for part in parts
            if len(part)
        ]
        return _Reading(Reals(pixels, mirror, labels, position), futures)


class _Reading(NamedTuple):
    """A batch that threads are filling."""

    reals: Reals
    parts: list[Future[Pixels]]

    def wait(self) -> Reals:
        for part in self.parts:
            part.result()
        return self.reals
