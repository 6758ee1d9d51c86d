"""The order of the pictures: pure functions of (data set size, seed, stage, position).

A *position* counts the pictures shown by the whole job in one stage, from 0. It is the only state
of a reader, so a run may stop anywhere and resume with another number of ranks. The order uses
integer hashing only: NumPy's random streams may change from version to version.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1
# One random stream per purpose, so that flips and order are independent.
_ORDER, _MIRROR, _HOLDOUT = 1, 2, 3


def sample_indices(
    positions: Integers, *, num_samples: int, seed: int, resolution: int
) -> Integers:
    """The sample shown at each position: every sample once an epoch, in a new order each epoch."""
    epochs, places = np.divmod(positions, num_samples)
    indices = np.empty_like(positions)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        indices[here] = _epoch_order(num_samples, seed, resolution, int(epoch))[places[here]]
    return indices


class Holdout(NamedTuple):
    """A data set in two parts; the same at all resolutions."""

    held_out: Integers
    """Indices of the samples that are never trained on, in no order of the data set"""
    trained: Integers
    """Indices of the others, likewise"""


def hold_out(num_samples: int, held_out: int, *, seed: int) -> Holdout:
    """Divide a data set at random, as a function of these numbers alone."""
    hashes = _hashes(_key(_HOLDOUT, seed), np.arange(num_samples, dtype=np.int64))
    order = np.argsort(hashes)
    return Holdout(order[:held_out], order[held_out:])


def mirrored(positions: Integers, *, seed: int, resolution: int) -> npt.NDArray[np.bool_]:
    """Whether the picture at each position is flipped left to right (probability 1/2)."""
    key = _key(_MIRROR, seed, resolution)
    top_bit: npt.NDArray[np.bool_] = _hashes(key, positions) >> np.uint64(63) == 1
    return top_bit


def rank_positions(position: int, *, batch: int, rank: int, world_size: int) -> Integers:
    """This rank's contiguous slice of the global batch [position, position + batch).

    Raises ValueError if the batch is not a multiple of `world_size`.
    """
    if not 0 <= rank < world_size:
        raise ValueError(f"rank {rank} is not one of {world_size}")
    if batch < 1 or batch % world_size:
        raise ValueError(
            f"a batch of {batch} pictures cannot be shared equally by {world_size} ranks: "
            f"make the batch a multiple of {world_size}"
        )
    share = batch // world_size
    return np.arange(position + rank * share, position + (rank + 1) * share, dtype=np.int64)


@lru_cache(maxsize=2)  # a batch may cross the end of an epoch
def _epoch_order(num_samples: int, seed: int, resolution: int, epoch: int) -> Integers:
    key = _key(_ORDER, seed, resolution, epoch)
    # The hash is a bijection of 64-bit numbers, so there are no ties to break.
    order = np.argsort(_hashes(key, np.arange(num_samples, dtype=np.int64)))
    order.flags.writeable = False  # all callers share it
    return order


def _hashes(key: int, counters: Integers) -> npt.NDArray[np.uint64]:
    """Element `counters[i]` of the SplitMix64 sequence that starts at `key` (Steele et al. 2014,
    "Fast splittable pseudorandom number generators", figure 17)."""
    z = (counters.astype(np.uint64) + np.uint64(1)) * np.uint64(_GOLDEN) + np.uint64(key)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _key(*numbers: int) -> int:
    """One 64-bit key from several numbers, any of them negative or large."""
    key = 0
    for number in numbers:
        # An array of one, because NumPy warns of the intended overflow in scalars only.
        mixed = _hashes((key + number) & _MASK, np.zeros(1, dtype=np.int64))
        key = int(mixed[0])
    return key
