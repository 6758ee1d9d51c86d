"""The sliced Wasserstein distance: against NumPy, and what it must do."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from progan.stages.metrics.laplacian import double, halve, pyramid
from progan.stages.metrics.ranks import Ranks
from progan.stages.metrics.swd import PATCH, SlicedWasserstein, patch_places, random_directions

Normalise = Callable[[np.ndarray], np.ndarray]
BINOMIAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1])[None, None] / 256


def swd(fakes: Tensor, reals: Tensor, ranks: Ranks) -> dict[str, float]:
    measure = SlicedWasserstein(fakes.shape[-1], 3, len(fakes), ranks)
    for start in range(0, len(fakes), 10):
        measure.add(fakes[start : start + 10], reals[start : start + 10], start)
    return measure.values(lambda: None)


def per_channel(patches: np.ndarray) -> np.ndarray:
    """As the paper says."""
    mean = patches.mean(axis=(0, 2, 3), keepdims=True)
    return np.asarray((patches - mean) / patches.std(axis=(0, 2, 3), keepdims=True))


def per_patch(patches: np.ndarray) -> np.ndarray:
    """A mistake that is easily made."""
    mean = patches.mean(axis=(1, 2, 3), keepdims=True)
    return np.asarray((patches - mean) / patches.std(axis=(1, 2, 3), keepdims=True))


def bands_by_numpy(images: np.ndarray, levels: int) -> list[np.ndarray]:
    bands = []
    for _ in range(levels - 1):
        smaller = ndimage.convolve(images, BINOMIAL, mode="mirror")[:, :, ::2, ::2]
        spread = np.zeros_like(images)
        spread[:, :, ::2, ::2] = smaller
        bands.append(images - ndimage.convolve(spread, 4 * BINOMIAL, mode="mirror"))
        images = smaller
    return [*bands, images]


def swd_by_numpy(fakes: Tensor, reals: Tensor, normalise: Normalise) -> list[float]:
    """By level, in float64; only the random places and directions are taken from progan."""
    levels = []
    pairs = zip(*(bands_by_numpy(x.double().numpy(), 3) for x in (fakes, reals)), strict=True)
    for bands in pairs:
        side = bands[0].shape[-1]
        places = patch_places(side, len(fakes)).numpy()
        sets = []
        for band in bands:
            patches = [
                band[picture, :, y : y + PATCH, x : x + PATCH]
                for picture, corners in enumerate(places)
                for y, x in corners
            ]
            sets.append(normalise(np.array(patches)).reshape(len(patches), -1))
        directions = random_directions(side, sets[0].shape[1]).double().numpy()
        distances = []
        for direction in directions:
            assert np.linalg.norm(direction) == pytest.approx(1, abs=1e-6)
            a, b = (np.sort(x @ direction) for x in sets)
            distances.append(np.abs(a - b).mean())
        levels.append(1000 * float(np.mean(distances)))
    return levels


def test_it_is_the_papers_distance_by_level(pictures: Tensor, others: Tensor, ranks: Ranks) -> None:
    found = swd(pictures[:12], others[:12], ranks)
    expected = swd_by_numpy(pictures[:12], others[:12], per_channel)
    assert list(found) == ["swd_64", "swd_32", "swd_16", "swd_mean"]
    assert list(found.values()) == pytest.approx([*expected, np.mean(expected)], rel=1e-4)


def test_the_comparison_would_see_patches_normalised_one_by_one(
    pictures: Tensor, others: Tensor, ranks: Ranks
) -> None:
    found = list(swd(pictures[:12], others[:12], ranks).values())[:3]
    wrong = swd_by_numpy(pictures[:12], others[:12], per_patch)
    assert [abs(a / b - 1) > 0.01 for a, b in zip(found, wrong, strict=True)] == [True] * 3


def test_a_set_is_no_distance_from_itself(pictures: Tensor, ranks: Ranks) -> None:
    assert set(swd(pictures, pictures, ranks).values()) == {0.0}


def test_it_is_symmetric(pictures: Tensor, others: Tensor, ranks: Ranks) -> None:
    there, back = swd(pictures, others, ranks), swd(others, pictures, ranks)
    assert there == pytest.approx(back, rel=1e-6)


def test_it_grows_with_blur_at_the_fine_levels_first(pictures: Tensor, ranks: Ranks) -> None:
    distances = []
    for sigma in (0.5, 1.0, 2.0):
        blurred = ndimage.gaussian_filter(pictures.float().numpy(), (0, 0, sigma, sigma))
        distances.append(swd(torch.from_numpy(blurred).round().byte(), pictures, ranks))
    for level in distances[0]:
        assert distances[0][level] < distances[1][level] < distances[2][level]
    assert all(d["swd_64"] > d["swd_32"] > d["swd_16"] for d in distances)


def test_the_levels_of_a_pyramid_add_up_to_the_picture(pictures: Tensor) -> None:
    fine, middle, coarse = pyramid(pictures.double(), 3)
    assert [x.shape[-1] for x in (fine, middle, coarse)] == [64, 32, 16]
    rebuilt = double(double(coarse) + middle) + fine
    assert torch.allclose(rebuilt, pictures.double())


def test_halving_keeps_a_constant_picture(pictures: Tensor) -> None:
    constant = torch.full((1, 3, 16, 16), 7.0)
    assert torch.allclose(halve(constant), constant[:, :, :8, :8])
    assert torch.allclose(double(constant)[:, :, 2:-2, 2:-2], torch.tensor(7.0))
