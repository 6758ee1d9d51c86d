"""The Laplacian pyramid whose levels the sliced Wasserstein distance compares.

Burt and Adelson, "The Laplacian Pyramid as a Compact Image Code", 1983, with the borders mirrored
about the outermost pixels, as in PGGAN's measurements.
"""

import torch.nn.functional as F
from torch import Tensor

BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def blur(images: Tensor, gain: float = 1.0) -> Tensor:
    """Smooth (N, C, H, W) with the separable 5x5 binomial filter."""
    channels = images.shape[1]
    taps = images.new_tensor(BINOMIAL).expand(channels, 1, 1, -1)
    padded = F.pad(images, (2, 2, 2, 2), mode="reflect")
    along_rows = F.conv2d(padded, taps, groups=channels)
    return F.conv2d(along_rows, gain * taps.transpose(2, 3), groups=channels)


def halve(images: Tensor) -> Tensor:
    """Smooth and keep every other pixel: (N, C, H, W) -> (N, C, H/2, W/2)."""
    return blur(images)[:, :, ::2, ::2]


def double(images: Tensor) -> Tensor:
    """Insert zeros between the pixels and smooth: (N, C, H, W) -> (N, C, 2H, 2W)."""
    count, channels, height, width = images.shape
    upsampled = images.new_zeros((count, channels, 2 * height, 2 * width))
    upsampled[:, :, ::2, ::2] = images
    return blur(upsampled, gain=4.0)


def pyramid(images: Tensor, levels: int) -> list[Tensor]:
    """Split pictures into frequency bands, the finest first; their upscaled sum is the picture.

    images: float (N, C, R, R). Returns `levels` tensors of sides R, R/2, ...; the last one is the
    low-pass residual.
    """
    bands = []
    for _ in range(levels - 1):
        smaller = halve(images)
        bands.append(images - double(smaller))
        images = smaller
    return [*bands, images]
