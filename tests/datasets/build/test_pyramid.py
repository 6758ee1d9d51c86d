"""Every level is the exact box mean of the top level, rounded once."""

from fractions import Fraction

import numpy as np
import pytest

from progan.datasets.build.pyramid import pyramid, resolutions
from progan.datasets.format.codec import Pixels


def noise(side: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def box_means(top: Pixels, resolution: int) -> Pixels:
    """The definition, exact in float64: sums of 4^8 bytes need 24 of its 53 bits."""
    factor = top.shape[0] // resolution
    boxes = top.reshape(resolution, factor, resolution, factor, -1).astype(np.float64)
    means: Pixels = np.rint(boxes.mean(axis=(1, 3))).astype(np.uint8)
    return means


def means_of_rounded_means(top: Pixels, resolution: int) -> Pixels:
    """A wrong pyramid, rounded at every level."""
    while top.shape[0] > resolution:
        top = box_means(top, top.shape[0] // 2)
    return top


@pytest.mark.parametrize("side", [4, 8, 64, 256])
def test_levels_are_exact_means(side: int) -> None:
    top = noise(side)
    levels = pyramid(top)
    assert list(levels) == resolutions(side)
    for resolution, level in levels.items():
        assert (level == box_means(top, resolution)).all()


def test_rounding_at_every_level_gives_other_pixels() -> None:
    top = noise(64)
    assert (means_of_rounded_means(top, 4) != pyramid(top)[4]).any()


@pytest.mark.parametrize("value", [0, 255])
def test_sums_do_not_overflow(value: int) -> None:
    top = np.full((1024, 1024, 3), value, dtype=np.uint8)
    assert all((level == value).all() for level in pyramid(top).values())


def test_halves_are_rounded_to_even() -> None:
    for total in range(4 * 8):
        top = np.zeros((8, 8, 1), dtype=np.uint8)
        top[0, 0], top[0, 1] = total // 2, total - total // 2
        assert pyramid(top)[4][0, 0, 0] == round(Fraction(total, 4))


@pytest.mark.parametrize("shape", [(8, 4, 3), (6, 6, 3), (2, 2, 3)])
def test_other_shapes_raise_value_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="square|power of two"):
        pyramid(np.zeros(shape, dtype=np.uint8))
