"""Random numbers that depend on their purpose and position, not on the rank that draws them.

Every draw is made for the global batch from a counter-based generator (Philox: Salmon et al.,
SC 2011) keyed by seed, resolution, purpose and images seen; each rank takes its slice. So a run is
the same on any number of ranks, no two ranks use the same noise, and a resumed run needs no
generator state.
"""

from enum import IntEnum, unique
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


@unique
class Purpose(IntEnum):
    """The purpose of a draw; part of its key, so the numbers must never change."""

    CRITIC_LATENTS = 0
    GENERATOR_LATENTS = 1
    PENALTY_EPSILON = 2
    GRID_LATENTS = 3
    WEIGHTS = 4
    METRIC_LATENTS = 5
    METRIC_PATCHES = 6
    METRIC_DIRECTIONS = 7
    UNROLLED_LATENTS = 20
    UNROLLED_EPSILON = 21
    REPLAY = 22
    PENALTY_NOISE = 30


class RngStreams(NamedTuple):
    """The random numbers of one stage, for one rank's slice of each global batch."""

    seed: int
    resolution: int
    batch: int
    rank: int
    world_size: int

    def latents(self, purpose: Purpose, images_seen: int, size: int) -> Tensor:
        """This rank's N(0, 1) latents: (batch / world_size, size), float32."""
        generator = keyed(self.seed, self.resolution, purpose, images_seen)
        whole = generator.standard_normal((self.batch, size), dtype=np.float32)
        return torch.from_numpy(self._slice(whole))

    def epsilon(self, images_seen: int, purpose: Purpose = Purpose.PENALTY_EPSILON) -> Tensor:
        """This rank's WGAN-GP epsilons in [0, 1): (batch / world_size,), float32."""
        generator = keyed(self.seed, self.resolution, purpose, images_seen)
        return torch.from_numpy(self._slice(generator.random(self.batch, dtype=np.float32)))

    def noise(self, images_seen: int, shape: tuple[int, ...]) -> Tensor:
        """This rank's N(0, 1) noise on pictures: (batch / world_size, *shape), float32.

        Every picture has its own generator, so a rank draws only its slice.
        """
        rank_batch = self.batch // self.world_size
        noise = np.empty((rank_batch, *shape), dtype=np.float32)
        if not noise.size:  # creating the generators would take longer than a small step
            return torch.from_numpy(noise)
        for index, picture in enumerate(noise, start=self.rank * rank_batch):
            key = self.seed, self.resolution, Purpose.PENALTY_NOISE, images_seen
            keyed(*key, sample=index).standard_normal(dtype=np.float32, out=picture)
        return torch.from_numpy(noise)

    def _slice(self, whole: np.ndarray) -> np.ndarray:
        rank_batch = self.batch // self.world_size
        return whole[self.rank * rank_batch : (self.rank + 1) * rank_batch]


def keyed(
    seed: int, resolution: int, purpose: Purpose, count: int = 0, sample: int = 0
) -> np.random.Generator:
    """The generator of one purpose at one count, independent of every other key's.

    `sample`: index for draws that are made one sample at a time. The counter's low words are left
    to the draw itself: at least 2^64 blocks of four numbers.
    """
    key = np.array([seed % 2**64, resolution << 32 | purpose], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, sample, count]))


def grid_latents(seed: int, count: int, size: int) -> Tensor:
    """The latents of every sample grid, the same at all stages: (count, size), float32.

    A larger count begins with the rows of a smaller one.
    """
    generator = keyed(seed, 0, Purpose.GRID_LATENTS)
    return torch.from_numpy(generator.standard_normal((count, size), dtype=np.float32))


def metric_latents(seed: int, count: int, size: int) -> Tensor:
    """The latents of the fakes that metrics compare, the same at all stages and times.

    (count, size), float32; a larger count begins with the rows of a smaller one.
    """
    generator = keyed(seed, 0, Purpose.METRIC_LATENTS)
    return torch.from_numpy(generator.standard_normal((count, size), dtype=np.float32))


def weight_seed(seed: int, resolution: int) -> int:
    """Seed of torch's generator for a stage's initial weights."""
    return int(keyed(seed, resolution, Purpose.WEIGHTS).integers(2**63))
