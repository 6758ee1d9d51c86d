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


def box_sums(values: np.ndarray, resolution: int) -> np.ndarray:
    factor = values.shape[0] // resolution
    sums: np.ndarray = values.reshape(resolution, factor, resolution, factor, -1).sum(axis=(1, 3))
    return sums


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


@pytest.mark.parametrize("side", [8, 256])
def test_colors_are_weighted_by_alpha(side: int) -> None:
    """As means of colors multiplied by alpha, in float64; where none is seen, plain means."""
    random = np.random.default_rng(1)
    top = random.integers(0, 256, (side, side, 4), dtype=np.uint8)
    top[:, : side // 2, 3] = 0
    top[:, -side // 4 :, 3] = random.choice([0, 255], (side, side // 4))
    colors, alpha = top[:, :, :3].astype(np.float64), top[:, :, 3:].astype(np.float64)
    for resolution, level in pyramid(top).items():
        weights, weighted = box_sums(alpha, resolution), box_sums(colors * alpha, resolution)
        seen = np.rint(weighted / np.where(weights, weights, 1))
        hidden = box_means(top, resolution)
        assert (level[:, :, 3] == hidden[:, :, 3]).all()
        assert (level[:, :, :3] == np.where(weights > 0, seen, hidden[:, :, :3])).all()


def test_hidden_colors_do_not_bleed() -> None:
    top = np.zeros((8, 8, 4), dtype=np.uint8)
    top[:, :, 1] = 255  # green
    top[0::2] = (255, 0, 0, 255)
    assert (pyramid(top)[4] == (255, 0, 0, 128)).all()


@pytest.mark.parametrize("side", [64, 1024])
def test_opaque_pictures_have_the_levels_of_rgb(side: int) -> None:
    top = noise(side)
    opaque = np.concatenate([top, np.full_like(top[:, :, :1], 255)], axis=2)
    with_alpha = pyramid(opaque)
    for resolution, level in pyramid(top).items():
        assert (with_alpha[resolution][:, :, :3] == level).all()
        assert (with_alpha[resolution][:, :, 3] == 255).all()
