"""Multi-scale structural similarity: against torchmetrics, and SciPy for small pictures."""

import numpy as np
import pytest
import torch
from scipy import signal
from torch import Tensor

from measured import scenes
from progan.stages.metrics.ms_ssim import WEIGHTS, SimilarPairs, ms_ssim, scale_weights, ssim
from progan.stages.metrics.safe_collectives import SafeCollectives


def test_large_pictures_agree_with_torchmetrics() -> None:
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    a, b = scenes(3, 192, seed=1).double(), scenes(3, 192, seed=2).double()
    expected = multiscale_structural_similarity_index_measure(
        a, 0.7 * a + 0.3 * b, data_range=255.0, normalize="relu", reduction="none"
    )
    # The tolerance is for torchmetrics' coarsest scale, whose windows cross a mirrored border.
    assert ms_ssim(a, 0.7 * a + 0.3 * b).numpy() == pytest.approx(expected.numpy(), rel=5e-3)


def by_scipy(a: np.ndarray, b: np.ndarray, weights: list[float]) -> float:
    """One pair, (3, R, R); the window is at most as large as the picture at each scale."""
    product = 1.0
    for scale, weight in enumerate(weights):
        size = min(11, a.shape[-1])
        axis = signal.windows.gaussian(size, std=1.5 * size / 11)
        window = np.outer(axis, axis)[None] / axis.sum() ** 2

        def local(x: np.ndarray, window: np.ndarray = window) -> np.ndarray:
            return np.asarray(signal.convolve(x, window, mode="valid", method="direct"))

        mean_a, mean_b = local(a), local(b)
        spread = local(a * a) - mean_a**2 + local(b * b) - mean_b**2
        contrast = (2 * (local(a * b) - mean_a * mean_b) + 7.65**2) / (spread + 7.65**2)
        both = (2 * mean_a * mean_b + 2.55**2) / (mean_a**2 + mean_b**2 + 2.55**2) * contrast
        factor = both if scale == len(weights) - 1 else contrast
        product *= max(float(factor.mean()), 0.0) ** weight
        a, b = (x.reshape(3, len(x[0]) // 2 or 1, -1, len(x[0]) // 2 or 1, min(2, len(x[0])))
                .mean((2, 4)) for x in (a, b))  # fmt: skip
    return product


@pytest.mark.parametrize(("side", "scales"), [(4, 3), (8, 4), (16, 5), (64, 5)])
def test_small_pictures_have_smaller_windows_and_fewer_scales(side: int, scales: int) -> None:
    weights = scale_weights(side)
    assert len(weights) == scales and sum(weights) == pytest.approx(sum(WEIGHTS))
    a, b = scenes(2, side, seed=1), scenes(2, side, seed=2)
    mixed = ((3 * a.float() + b.float()) / 4).round()
    expected = [by_scipy(x.double().numpy(), y.double().numpy(), weights)
                for x, y in zip(a, mixed, strict=True)]  # fmt: skip
    assert ms_ssim(a, mixed).numpy() == pytest.approx(np.array(expected), rel=2e-3)


def test_neighbouring_fakes_are_pairs(pictures: Tensor, ranks: SafeCollectives) -> None:
    twins = SimilarPairs("ms_ssim", ranks)
    twins.add(pictures.repeat_interleave(2, 0), pictures, 0)
    assert twins.values(lambda: None) == {"ms_ssim": pytest.approx(1.0, abs=1e-5)}
    varied = SimilarPairs("ms_ssim", ranks)
    for start in range(0, len(pictures), 6):
        varied.add(pictures[start : start + 6], pictures, start)
    expected = torch.cat([ms_ssim(pictures[i : i + 1], pictures[i + 1 : i + 2])
                          for i in range(0, len(pictures), 2)]).mean()  # fmt: skip
    assert varied.values(lambda: None)["ms_ssim"] == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("side", [4, 64])
def test_ssim_is_the_finest_scale_with_its_luminance(side: int) -> None:
    a, b = scenes(2, side, seed=1), scenes(2, side, seed=2)
    mixed = ((3 * a.float() + b.float()) / 4).round()
    expected = [by_scipy(x.double().numpy(), y.double().numpy(), [1.0])
                for x, y in zip(a, mixed, strict=True)]  # fmt: skip
    assert ssim(a, mixed).numpy() == pytest.approx(np.array(expected), rel=2e-3)


def test_ssim_agrees_with_torchmetrics() -> None:
    from torchmetrics.functional.image import structural_similarity_index_measure

    a, b = scenes(3, 96, seed=1).double(), scenes(3, 96, seed=2).double()
    _, similarities = structural_similarity_index_measure(
        a, b, data_range=255.0, reduction="none", return_full_image=True
    )
    # Without the windows that cross torchmetrics' mirrored border.
    expected = similarities[..., 5:-5, 5:-5].flatten(1).mean(1)
    assert ssim(a, b).numpy() == pytest.approx(expected.numpy(), rel=1e-4)


def test_ssim_has_its_own_name(pictures: Tensor, ranks: SafeCollectives) -> None:
    twins = SimilarPairs("ssim", ranks)
    twins.add(pictures.repeat_interleave(2, 0), pictures, 0)
    assert twins.values(lambda: None) == {"ssim": pytest.approx(1.0, abs=1e-5)}
