"""Random numbers that depend on their purpose and position, not on the rank that draws them.

Every draw is one of the global batch, from a counter-based generator (Philox: Salmon et al., SC
2011) keyed by seed, resolution, purpose and images seen. So a run is the same on any number of
ranks, no two ranks use the same noise, and a resumed run needs no generator state.

A rank draws only its slice of what a step needs. Each row (picture) of the global batch has its own
range of the counter, and as many normal numbers as it needs come from a fixed number of random
words by Box and Muller's transform. NumPy's own normals cannot be drawn from the middle: its
ziggurat takes as many words as it happens to reject.
"""

import math
from enum import IntEnum, unique
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Floats = npt.NDArray[np.float32]

BLOCK = 4
"""Words of 64 bits that Philox makes of one value of its counter"""
CHUNK = 1 << 16
"""Numbers that are made at once: they fit in a processor's cache"""


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
    METRIC_LANDMARKS = 8
    UNROLLED_LATENTS = 20
    UNROLLED_EPSILON = 21
    REPLAY = 22
    PENALTY_NOISE = 30
    CRITIC_AUGMENTATION = 50
    GENERATOR_AUGMENTATION = 51
    UNROLLED_AUGMENTATION = 52


class RngStreams(NamedTuple):
    """The random numbers of one stage, for one rank's slice of each global batch."""

    seed: int
    resolution: int
    batch: int
    rank: int
    world_size: int

    def latents(self, purpose: Purpose, images_seen: int, size: int) -> Tensor:
        """This rank's N(0, 1) latents: (batch / world_size, size), float32."""
        return torch.from_numpy(self._normals(purpose, images_seen, size))

    def epsilon(self, images_seen: int, purpose: Purpose = Purpose.PENALTY_EPSILON) -> Tensor:
        """This rank's WGAN-GP epsilons in [0, 1): (batch / world_size,), float32."""
        first = self._bits(purpose, images_seen, 1).random_raw((self._rows, BLOCK))[:, 0]
        return torch.from_numpy((first >> np.uint64(40)).astype(np.float32) * np.float32(2**-24))

    def uniforms(self, purpose: Purpose, images_seen: int, size: int) -> Tensor:
        """This rank's numbers in (0, 1), neither of which occurs: (batch / world_size, size).

        float32, the middles of 2^23 equal parts.
        """
        words = -(-size // BLOCK) * BLOCK
        bits = self._bits(purpose, images_seen, words // BLOCK)
        parts = bits.random_raw((self._rows, words))[:, :size] >> np.uint64(41)
        middles = parts.astype(np.float32) + np.float32(0.5)
        return torch.from_numpy(middles * np.float32(2**-23))

    def noise(self, images_seen: int, shape: tuple[int, ...]) -> Tensor:
        """This rank's N(0, 1) noise on pictures: (batch / world_size, *shape), float32."""
        normals = self._normals(Purpose.PENALTY_NOISE, images_seen, math.prod(shape))
        return torch.from_numpy(normals.reshape(self._rows, *shape))

    @property
    def _rows(self) -> int:
        return self.batch // self.world_size

    def _bits(self, purpose: Purpose, images_seen: int, blocks: int) -> np.random.Philox:
        """The generator where this rank's rows begin, each of which takes so many blocks."""
        first = self.rank * self._rows * blocks
        return _philox(self.seed, self.resolution, purpose, images_seen, first)

    def _normals(self, purpose: Purpose, images_seen: int, size: int) -> Floats:
        """This rank's rows of N(0, 1): (batch / world_size, size)."""
        blocks = -(-size // (2 * BLOCK))
        found = np.empty(self._rows * blocks * 2 * BLOCK, dtype=np.float32)
        if size:  # else creating the generator would take longer than a small step
            bits = self._bits(purpose, images_seen, blocks)
            for begin in range(0, len(found), CHUNK):
                part = found[begin : begin + CHUNK]
                box_muller(bits.random_raw(len(part) // 2), out=part)
        return np.ascontiguousarray(found.reshape(self._rows, blocks * 2 * BLOCK)[:, :size])


def box_muller(words: npt.NDArray[np.uint64], out: Floats) -> None:
    """Random words (N,) -> two N(0, 1) numbers of each, side by side: `out`, float32 (2 N,).

    Box and Muller, 1958: a radius from a word's upper half, which is taken to be in (0, 1], an
    angle from the lower. In single precision, element by element, so that a number does not depend
    on its neighbours. The largest is 6.66.
    """
    upper, lower = (words >> np.uint64(32)), words.astype(np.uint32).view(np.int32)
    uniform = (upper.astype(np.float32) + np.float32(1)) * np.float32(2**-32)
    radius = np.sqrt(np.float32(-2) * np.log(uniform))
    angle = lower.astype(np.float32) * np.float32(math.pi * 2**-31)  # in [-pi, pi]
    np.multiply(radius, np.cos(angle), out=out[0::2])
    np.multiply(radius, np.sin(angle), out=out[1::2])


def keyed(seed: int, resolution: int, purpose: Purpose, count: int = 0) -> np.random.Generator:
    """The generator of one purpose at one count, independent of every other key's."""
    return np.random.Generator(_philox(seed, resolution, purpose, count))


def _philox(
    seed: int, resolution: int, purpose: Purpose, count: int, block: int = 0
) -> np.random.Philox:
    """The words of a key from a block of four on; there are 2^192 blocks."""
    key = np.array([seed % 2**64, resolution << 32 | purpose], dtype=np.uint64)
    return np.random.Philox(key=key, counter=[block, 0, 0, count])


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
