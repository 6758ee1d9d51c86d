"""The sliced Wasserstein distance: against NumPy, and its properties."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from progan.stages.metrics.laplacian import double, halve, pyramid
from progan.stages.metrics.safe_collectives import SafeCollectives
from progan.stages.metrics.sizes import PATCH
from progan.stages.metrics.swd import SlicedWasserstein, patch_places, random_directions

Normalise = Callable[[np.ndarray], np.ndarray]
BINOMIAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1])[None, None] / 256


def swd(fakes: Tensor, reals: Tensor, ranks: SafeCollectives) -> dict[str, float]:
    metric = SlicedWasserstein(fakes.shape[-1], fakes.shape[1], len(fakes), ranks)
    for start in range(0, len(fakes), 10):
        metric.add(fakes[start : start + 10], reals[start : start + 10], start)
    return metric.values(lambda: None)


def per_channel(patches: np.ndarray) -> np.ndarray:
    """As in the paper."""
    mean = patches.mean(axis=(0, 2, 3), keepdims=True)
    return np.asarray((patches - mean) / patches.std(axis=(0, 2, 3), keepdims=True))


def per_patch(patches: np.ndarray) -> np.ndarray:
    """A common mistake."""
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
    """By level, in float64; only the random places and directions come from progan."""
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


def test_swd_agrees_with_numpy_by_level(
    pictures: Tensor, others: Tensor, ranks: SafeCollectives
) -> None:
    found = swd(pictures[:12], others[:12], ranks)
    expected = swd_by_numpy(pictures[:12], others[:12], per_channel)
    assert list(found) == ["swd_64", "swd_32", "swd_16", "swd_mean"]
    assert list(found.values()) == pytest.approx([*expected, np.mean(expected)], rel=1e-4)


def test_comparison_with_numpy_detects_normalisation_per_patch(
    pictures: Tensor, others: Tensor, ranks: SafeCollectives
) -> None:
    found = list(swd(pictures[:12], others[:12], ranks).values())[:3]
    wrong = swd_by_numpy(pictures[:12], others[:12], per_patch)
    assert [abs(a / b - 1) > 0.01 for a, b in zip(found, wrong, strict=True)] == [True] * 3


def test_distance_of_a_set_to_itself_is_zero(pictures: Tensor, ranks: SafeCollectives) -> None:
    assert set(swd(pictures, pictures, ranks).values()) == {0.0}


def test_alpha_of_opaque_pictures_adds_no_distance(
    pictures: Tensor, others: Tensor, ranks: SafeCollectives
) -> None:
    """A channel without variation cannot be scaled to a deviation of 1."""
    opaque = [torch.cat([x, torch.full_like(x[:, :1], 255)], dim=1) for x in (pictures, others)]
    found = swd(opaque[0], opaque[1], ranks)
    assert found["swd_mean"] > 0 and swd(opaque[0], opaque[0], ranks)["swd_mean"] == 0


def test_swd_of_grey_agrees_with_numpy(
    pictures: Tensor, others: Tensor, ranks: SafeCollectives
) -> None:
    grey, other = pictures[:12, :1], others[:12, :1]
    found = list(swd(grey, other, ranks).values())[:3]
    assert found == pytest.approx(swd_by_numpy(grey, other, per_channel), rel=1e-4)


def test_swd_is_symmetric(pictures: Tensor, others: Tensor, ranks: SafeCollectives) -> None:
    forward, backward = swd(pictures, others, ranks), swd(others, pictures, ranks)
    assert forward == pytest.approx(backward, rel=1e-6)


def test_swd_grows_with_blur_most_at_fine_levels(pictures: Tensor, ranks: SafeCollectives) -> None:
    distances = []
    for sigma in (0.5, 1.0, 2.0):
        blurred = ndimage.gaussian_filter(pictures.float().numpy(), (0, 0, sigma, sigma))
        distances.append(swd(torch.from_numpy(blurred).round().byte(), pictures, ranks))
    for level in distances[0]:
        assert distances[0][level] < distances[1][level] < distances[2][level]
    assert all(d["swd_64"] > d["swd_32"] > d["swd_16"] for d in distances)


def test_levels_of_a_pyramid_sum_to_the_picture(pictures: Tensor) -> None:
    fine, middle, coarse = pyramid(pictures.double(), 3)
    assert [x.shape[-1] for x in (fine, middle, coarse)] == [64, 32, 16]
    rebuilt = double(double(coarse) + middle) + fine
    assert torch.allclose(rebuilt, pictures.double())


def test_halve_and_double_keep_a_constant_picture(pictures: Tensor) -> None:
    constant = torch.full((1, 3, 16, 16), 7.0)
    assert torch.allclose(halve(constant), constant[:, :, :8, :8])
    assert torch.allclose(double(constant)[:, :, 2:-2, 2:-2], torch.tensor(7.0))
