"""Sliced Wasserstein distance between patches of generated and real pictures.

PGGAN (arXiv 1710.10196), section 5: for each level of a Laplacian pyramid, 128 patches of 7x7
pixels a picture; each of the two sets of patches is normalised by the mean and the standard
deviation of each colour channel; then the mean over 512 random directions of the Wasserstein
distance between the sets' projections, times 1000 as published. Levels go from the resolution down
to 16x16. A small value means that the patches of that size are similar in appearance and variation.

Patches and directions are the same in every call and for both sets, so a set's distance from itself
is 0.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from progan.stages.metrics.laplacian import level_sides, pyramid
from progan.stages.metrics.names import SWD_SMALLEST
from progan.stages.metrics.safe_collectives import RankSlice, SafeCollectives, rank_slice
from progan.stages.rng import Purpose, keyed

PATCH = 7
PATCHES = 128
DIRECTIONS = 512
DIRECTIONS_PER_CHUNK = 32
"""Directions whose projections are in memory together; at least one per rank"""
FAKES, REALS = 0, 1


class SlicedWasserstein:
    """Collects the patches of this rank's slice of the pictures; see `measure.Metric`.

    Memory: 75 kB per picture, level and set, on the CPU.
    """

    def __init__(self, resolution: int, channels: int, count: int, ranks: SafeCollectives) -> None:
        """`count` fakes and as many reals over all ranks."""
        self._ranks = ranks
        self._slices = [rank_slice(count, r, ranks.world.size) for r in range(ranks.world.size)]
        self._own: RankSlice = self._slices[ranks.world.rank]
        self._sides = level_sides(resolution, SWD_SMALLEST)
        self._places = {side: patch_places(side, count) for side in self._sides}
        shape = (2, len(self._own) * PATCHES, channels, PATCH * PATCH)
        self._descriptors = {side: torch.empty(shape) for side in self._sides}

    def add(self, fakes: Tensor, reals: Tensor, start: int) -> None:
        """Add pictures start, start + 1, ... of both kinds: uint8 (N, C, R, R)."""
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
        found = {}
        for side, (fakes, reals) in self._descriptors.items():
            normalise(fakes, self._ranks, sum(lengths))
            normalise(reals, self._ranks, sum(lengths))
            directions = random_directions(side, fakes[0].numel())
            distance = sliced_distance(fakes, reals, directions, lengths, self._ranks, heartbeat)
            found[f"swd_{side}"] = 1000 * distance
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


def normalise(descriptors: Tensor, ranks: SafeCollectives, total: int) -> None:
    """Normalise each colour channel of a set of patches to mean 0 and deviation 1, in place.

    descriptors: this rank's (n, C, PATCH * PATCH) of `total`; all ranks must call it.
    """
    values = total * PATCH * PATCH
    mean = ranks.sum(descriptors.sum(dim=(0, 2), dtype=torch.float64)) / values
    descriptors -= mean.float()[:, None]
    squares = torch.zeros_like(mean)
    for part in torch.split(descriptors, 1 << 16):
        squares += part.double().square().sum(dim=(0, 2))
    deviation = (ranks.sum(squares) / values).sqrt()
    descriptors /= deviation.float()[:, None]


def random_directions(side: int, size: int) -> Tensor:
    """Unit vectors for a level, uniform over the sphere: (DIRECTIONS, size)."""
    generator = keyed(0, side, Purpose.METRIC_DIRECTIONS)
    vectors = torch.from_numpy(generator.standard_normal((DIRECTIONS, size), dtype=np.float32))
    return F.normalize(vectors)


def sliced_distance(
    fakes: Tensor,
    reals: Tensor,
    directions: Tensor,
    lengths: list[int],
    ranks: SafeCollectives,
    heartbeat: Callable[[], None] = lambda: None,
) -> float:
    """Mean over directions of the 1-Wasserstein distance between two sets' projections.

    fakes, reals: this rank's (lengths[rank], ...) descriptors; directions: (D, descriptor size).
    Every rank projects its own descriptors; each sorts its part of the directions, chunk by chunk.
    """
    world = ranks.world
    empty: list[Tensor] = []
    sets = ranks.attempt(lambda: [x.flatten(1).to(world.device) for x in (fakes, reals)], empty)
    total = torch.zeros((), dtype=torch.float64)
    for chunk in torch.split(directions, max(DIRECTIONS_PER_CHUNK, world.size)):
        zeros = [torch.zeros((len(chunk), lengths[world.rank]))] * 2
        projections = ranks.attempt(partial(_project, sets, chunk), zeros)
        rows = [ranks.concat(x, lengths)[world.rank :: world.size] for x in projections]
        total += ranks.attempt(partial(sorted_distance, *rows), torch.zeros_like(total))
        heartbeat()
    return float(ranks.sum(total)) / (len(directions) * sum(lengths))


def _project(sets: list[Tensor], directions: Tensor) -> list[Tensor]:
    """Each set's descriptors (n, size) on directions (D, size): (D, n)."""
    return [directions.to(descriptors.device) @ descriptors.T for descriptors in sets]


def sorted_distance(a: Tensor, b: Tensor) -> Tensor:
    """Sum of the distances between the sorted rows of two tensors (D, N), in float64."""
    return (sort_rows(a) - sort_rows(b)).abs_().sum(dtype=torch.float64).cpu()


def sort_rows(x: Tensor) -> Tensor:
    """Each row in ascending order. On the CPU by NumPy, which is five to fifteen times faster."""
    if x.device.type == "cpu":
        return torch.from_numpy(np.sort(x.numpy(), axis=1))
    return x.sort(dim=1).values
