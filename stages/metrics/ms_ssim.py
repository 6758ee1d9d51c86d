"""Structural similarity between pairs of fakes, at one scale or several.

MS-SSIM (Wang, Simoncelli and Bovik, 2003), used as PGGAN's table 1 does: the mean over random pairs
of fakes. SSIM (Wang et al., 2004, IEEE TIP 13, eq. 13) is used in the same way; it is MS-SSIM's
finest scale with its luminance term. Both measure variation only, and detect mode collapse; lower
is more varied.

The window shrinks with the picture, as in the paper's code, so five scales need 16x16 pixels; 8x8
and 4x4 have four and three scales, whose weights are scaled up to the sum of all five.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from progan.stages.metrics.safe_collectives import SafeCollectives

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW, SIGMA = 11, 1.5
K1, K2, LARGEST = 0.01, 0.03, 255.0


class SimilarPairs:
    """Adds up the similarities of this rank's pairs of fakes; see `measure.Metric`."""

    wants_reals = False

    def __init__(self, name: str, ranks: SafeCollectives) -> None:
        """`name` is a key of PAIR_METRICS."""
        self._name, self._ranks = name, ranks
        self._sums = torch.zeros(2, dtype=torch.float64)

    def add(self, fakes: Tensor, reals: Tensor | None, start: int) -> None:
        """Add an even number of fakes, uint8 (N, C, R, R): neighbours are a pair."""
        similarities = PAIR_METRICS[self._name](fakes[0::2], fakes[1::2]).double()
        self._sums[0] += similarities.sum().cpu()
        self._sums[1] += len(similarities)

    def values(self, heartbeat: Callable[[], None]) -> dict[str, float]:
        """The mean, by the metric's name. All ranks must call it."""
        total, pairs = self._ranks.sum(self._sums).tolist()
        return {self._name: total / pairs}


def scale_weights(resolution: int) -> list[float]:
    """Exponents of a picture's scales."""
    scales = min(len(WEIGHTS), resolution.bit_length())
    factor = sum(WEIGHTS) / sum(WEIGHTS[:scales])
    return [weight * factor for weight in WEIGHTS[:scales]]


def ms_ssim(a: Tensor, b: Tensor) -> Tensor:
    """Similarity of each pair: (N, C, R, R) twice, in [0, 255] -> (N,), 1 for the same picture."""
    a, b = a.float(), b.float()
    weights = scale_weights(a.shape[-1])
    product = torch.ones(len(a), device=a.device)
    for scale, weight in enumerate(weights):
        similarity, contrast = _ssim(a, b)
        factor = similarity if scale == len(weights) - 1 else contrast
        product *= factor.clamp(min=0) ** weight
        a, b = (F.avg_pool2d(x, 2) if x.shape[-1] > 1 else x for x in (a, b))
    return product


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Similarity of each pair, as `ms_ssim`, but at the pictures' own scale alone.

    A mean over the colour channels; the paper's is of grey pictures.
    """
    similarity, _ = _ssim(a.float(), b.float())
    return similarity


PAIR_METRICS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"ms_ssim": ms_ssim, "ssim": ssim}
"""By metric: pairs of pictures (N, C, R, R) in [0, 255] -> their similarities, (N,)"""


def _ssim(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Structural similarity and its contrast term, a mean for each picture."""
    window = _window(a)
    mean_a, mean_b = _smooth(a, window), _smooth(b, window)
    variance_a = _smooth(a * a, window) - mean_a**2
    variance_b = _smooth(b * b, window) - mean_b**2
    covariance = _smooth(a * b, window) - mean_a * mean_b
    c1, c2 = (K1 * LARGEST) ** 2, (K2 * LARGEST) ** 2
    contrast = (2 * covariance + c2) / (variance_a + variance_b + c2)
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return (luminance * contrast).flatten(1).mean(1), contrast.flatten(1).mean(1)


def _window(images: Tensor) -> Tensor:
    """One axis of the Gaussian window, no wider than the picture."""
    size = min(WINDOW, images.shape[-1])
    sigma = SIGMA * size / WINDOW
    x = torch.arange(size, device=images.device) - (size - 1) / 2
    weights = torch.exp(-(x**2) / (2 * sigma**2))
    return weights / weights.sum()


def _smooth(images: Tensor, window: Tensor) -> Tensor:
    """Weighted local means, without padding."""
    channels = images.shape[1]
    taps = window.expand(channels, 1, 1, -1)
    along_rows = F.conv2d(images, taps, groups=channels)
    return F.conv2d(along_rows, taps.transpose(2, 3), groups=channels)
