"""Sliced Wasserstein distance between patches of generated and real pictures.

PGGAN (arXiv 1710.10196), section 5: for each level of a Laplacian pyramid, 128 patches of 7x7
pixels a picture; each of the two sets of patches is normalised by the mean and the standard
deviation of each colour channel; then the mean over 512 random directions of the Wasserstein
distance between the sets' projections, times 1000 as published. Levels go from the resolution down
to 16x16. A small value means that the patches of that size are similar in appearance and variation.

Patches and directions are the same in every call and for both sets, so a set's distance from itself
is 0.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from progan.stages.metrics.laplacian import pyramid
from progan.stages.metrics.safe_collectives import RankSlice, SafeCollectives, rank_slice
from progan.stages.metrics.sizes import DIRECTIONS, DIRECTIONS_PER_CHUNK, PATCH, PATCHES, swd_sides
from progan.stages.rng import Purpose, keyed

ROWS_PER_CHUNK = 1 << 14
"""Patches that are in memory in single precision together"""
FAKES, REALS = 0, 1


class SlicedWasserstein:
    """Collects the patches of this rank's slice of the pictures; see `measure.Metric`.

    Patches are kept in half precision, 38 kB per picture, level and set, on the CPU; all sums are
    in single and double precision. What rounding adds to a patch is far below the noise of 128
    patches a picture.
    """

    wants_reals = True

    def __init__(self, resolution: int, channels: int, count: int, ranks: SafeCollectives) -> None:
        """`count` fakes and as many reals over all ranks."""
        self._ranks = ranks
        self._slices = [rank_slice(count, r, ranks.world.size) for r in range(ranks.world.size)]
        self._own: RankSlice = self._slices[ranks.world.rank]
        self._sides = swd_sides(resolution)
        self._places = {side: patch_places(side, count) for side in self._sides}
        shape = (2, len(self._own) * PATCHES, channels, PATCH * PATCH)
        self._descriptors = {side: torch.empty(shape, dtype=torch.half) for side in self._sides}

    def add(self, fakes: Tensor, reals: Tensor | None, start: int) -> None:
        """Add pictures start, start + 1, ... of both kinds: uint8 (N, C, R, R)."""
        assert reals is not None
        for kind, images in ((FAKES, fakes), (REALS, reals)):
            for band in pyramid(images.float(), len(self._sides)):
                side = band.shape[-1]
                places = self._places[side][start : start + len(images)]
                first = (start - self._own.begin) * PATCHES
                found = patches(band, places.to(band.device))
                self._descriptors[side][kind, first : first + len(found)] = found.cpu()

    def values(self, heartbeat: Callable[[], None]) -> dict[str, float]:
        """`swd_32`, `swd_16`, ... and `swd_mean`. All ranks must call it."""
        lengths = [len(each) * PATCHES for each in self._slices]
        buffers = [Projections(lengths, self._ranks) for _ in (FAKES, REALS)]
        found = {}
        for side, both in self._descriptors.items():
            directions = random_directions(side, both[FAKES][0].numel())
            sets = [PatchSet.of(each, self._ranks, sum(lengths)) for each in both]
            found[f"swd_{side}"] = 1000 * sliced_distance(sets, directions, buffers, heartbeat)
        return found | {"swd_mean": sum(found.values()) / len(found)}


def patch_places(side: int, count: int) -> Tensor:
    """Row and column of the upper left corner of a level's patches: int16 (count, PATCHES, 2)."""
    generator = keyed(0, side, Purpose.METRIC_PATCHES)
    places = generator.integers(0, side - PATCH + 1, (count, PATCHES, 2), dtype=np.int16)
    return torch.from_numpy(places)


def patches(band: Tensor, places: Tensor) -> Tensor:
    """Cut patches out of a level: (N, C, S, S) and (N, P, 2) -> (N * P, C, PATCH * PATCH)."""
    windows = band.unfold(2, PATCH, 1).unfold(3, PATCH, 1).permute(0, 2, 3, 1, 4, 5)
    rows, columns = places.long().unbind(-1)
    picture = torch.arange(len(band), device=band.device)[:, None]
    return windows[picture, rows, columns].reshape(-1, band.shape[1], PATCH * PATCH)


class PatchSet(NamedTuple):
    """This rank's patches of one set, and the moments of all ranks' patches by colour channel."""

    patches: Tensor
    """(n, C, PATCH * PATCH), as they were cut out"""
    mean: Tensor
    """float64 (C,)"""
    deviation: Tensor
    """float64 (C,)"""

    @classmethod
    def of(cls, patches: Tensor, ranks: SafeCollectives, total: int) -> "PatchSet":
        """With the moments over `total` patches of all ranks; all ranks must call it."""
        values = total * PATCH * PATCH
        zeros = torch.zeros(patches.shape[1], dtype=torch.float64)
        chunks = torch.split(patches, ROWS_PER_CHUNK)
        mean = ranks.sum(sum((_sums(x) for x in chunks), zeros)) / values
        squares = (_sums(x.double().sub_(mean[:, None]).square_()) for x in chunks)
        return cls(patches, mean, (ranks.sum(sum(squares, zeros)) / values).sqrt())

    def project(self, directions: Tensor, out: Tensor) -> None:
        """Write the normalised patches' projections on directions (D, C * PATCH * PATCH).

        In normalised patches every channel has mean 0 and deviation 1 over the whole set; alpha
        that is constant, as of opaque pictures, becomes 0. `out`: float32 (D, n), on the device
        that computes.
        """
        deviation = self.deviation.clone()
        deviation[3:].masked_fill_(deviation[3:] == 0, torch.inf)
        # (x - mean) / deviation on a direction is x on a scaled direction, less a constant.
        scaled = directions.view(len(directions), -1, PATCH * PATCH) / deviation[:, None]
        offsets = (scaled.sum(2) @ self.mean).float().to(out.device)[:, None]
        scaled = scaled.flatten(1).float().to(out.device)
        for begin in range(0, len(self.patches), ROWS_PER_CHUNK):
            part = self.patches[begin : begin + ROWS_PER_CHUNK].to(out.device).float().flatten(1)
            out[:, begin : begin + len(part)] = scaled @ part.T - offsets


class Projections:
    """Projections of a set's patches, chunk by chunk of the directions.

    Each rank projects its own patches on all directions of a chunk and gets the projections of all
    patches on every world_size-th of them. The buffers are allocated once: tensors that come and
    go fragment the heap of a CPU rank to several times their size.
    """

    def __init__(self, lengths: list[int], ranks: SafeCollectives) -> None:
        """lengths: number of patches of each rank."""
        world = ranks.world
        self.ranks, self.lengths, self.chunk = ranks, lengths, max(DIRECTIONS_PER_CHUNK, world.size)
        self._own = torch.empty((self.chunk, max(lengths)), device=world.device)
        self._all = list(torch.empty((world.size, *self._own.shape), device=world.device))
        rows = -(-self.chunk // world.size)
        self._rows = torch.empty((rows, sum(lengths)), device=world.device)

    def rows(self, patches: PatchSet, directions: Tensor) -> Tensor:
        """This rank's rows (d, patches of all ranks) of a chunk. All ranks must call it."""
        world, number = self.ranks.world, len(directions)
        out = self._own[:number, : self.lengths[world.rank]]
        self.ranks.attempt(partial(patches.project, directions, out), None)
        self.ranks.all_gather(self._all, self._own)
        parts = [
            x[world.rank : number : world.size, :length]
            for x, length in zip(self._all, self.lengths, strict=True)
        ]
        return torch.cat(parts, dim=1, out=self._rows[: len(parts[0])])


def _sums(patches: Tensor) -> Tensor:
    """Sum by channel, float64: (n, C, PATCH * PATCH) -> (C,)."""
    return patches.sum(dim=(0, 2), dtype=torch.float64)


def random_directions(side: int, size: int) -> Tensor:
    """Unit vectors for a level, uniform over the sphere: (DIRECTIONS, size)."""
    generator = keyed(0, side, Purpose.METRIC_DIRECTIONS)
    vectors = torch.from_numpy(generator.standard_normal((DIRECTIONS, size), dtype=np.float32))
    return F.normalize(vectors)


def sliced_distance(
    sets: Sequence[PatchSet],
    directions: Tensor,
    buffers: Sequence[Projections],
    heartbeat: Callable[[], None],
) -> float:
    """Mean over directions of the 1-Wasserstein distance between two sets' projections.

    directions: (D, numbers of a patch). All ranks must call it.
    """
    ranks, total = buffers[0].ranks, torch.zeros((), dtype=torch.float64)
    for chunk in torch.split(directions, buffers[0].chunk):
        rows = [own.rows(each, chunk) for own, each in zip(buffers, sets, strict=True)]
        total += ranks.attempt(partial(sorted_distance, *rows), torch.zeros_like(total))
        heartbeat()
    return float(ranks.sum(total)) / (len(directions) * sum(buffers[0].lengths))


def sorted_distance(a: Tensor, b: Tensor) -> Tensor:
    """Sum of the distances between the sorted rows of two tensors (D, N), in float64.

    Overwrites both where it computes on the CPU.
    """
    distances = sort_rows(a).sub_(sort_rows(b)).abs_()
    # Row by row: on the CPU, a sum in float64 first makes a copy in float64.
    by_row = [row.sum(dtype=torch.float64) for row in distances]
    return torch.stack(by_row).sum().cpu()


def sort_rows(x: Tensor) -> Tensor:
    """Each row in ascending order.

    On the CPU in place by NumPy, which is five to fifteen times faster than torch.
    """
    if x.device.type == "cpu":
        x.numpy().sort(axis=1)
        return x
    return x.sort(dim=1).values
