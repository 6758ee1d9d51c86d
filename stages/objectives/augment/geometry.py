"""ADA's geometry: scale, rotation, fractional translation (Karras et al. 2020, appendix B).

Pictures are enlarged by an orthogonal lowpass filter, sampled bilinearly, and reduced by the same
filter, which without a transformation would give them back.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from progan.stages.objectives.augment.bilinear import sample
from progan.stages.objectives.augment.pixels import normals, power_of_two, reflected

DRAWS = 11
SCALE, SHIFT = 0.2, 0.125
"""Standard deviations: of binary logarithms of factors, and of translations, of a picture's side"""
SYM6 = (
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633,
    0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252,
    -0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148,
)  # fmt: skip
"""Lowpass filter of the wavelet sym6 (Daubechies 1992, table 6.3)"""
CENTER = sum(place * weight for place, weight in enumerate(SYM6)) / sum(SYM6)
"""Where the filter puts a pixel, in pixels of the enlarged picture"""
MARGIN = len(SYM6) // 2
"""Pixels around a picture that its filtering takes into account"""


def warp(images: Tensor, numbers: Tensor, p: Tensor) -> Tensor:
    """Move the pixels of pictures; those of which nothing is chosen are returned as they are.

    images: (N, C, H, H), numbers: (N, DRAWS) in (0, 1), p: ().
    """
    gates, inverse = transformation(numbers.to(images.dtype), p, images.shape[-1])
    chosen = gates.any(dim=1)[:, None, None, None]
    return torch.where(chosen, resampled(images, inverse), images)


def transformation(numbers: Tensor, p: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Which of the five take place, bool (N, 5), and the inverse of their product, (N, 3, 3).

    In this order: isotropic scale, rotation, anisotropic scale, rotation, translation. Both
    rotations together have probability p. The matrix takes the place of a pixel to where its value
    comes from: (x, y, 1) in pixels from the center, y downwards.
    """
    gates, values = numbers[:, 0:10:2], numbers[:, 1:10:2]
    of_rotation = 1 - (1 - p).sqrt()
    limits = torch.stack([p, of_rotation, p, of_rotation, p])
    gates = gates < limits
    zoom, stretch = (power_of_two(SCALE * each) for each in normals(values[:, 0], values[:, 2]))
    first, second = (math.pi * (2 * values[:, column] - 1) for column in (1, 3))
    right, down = (SHIFT * size * each for each in normals(values[:, 4], numbers[:, 10]))
    inverses = [
        scaled(1 / zoom, 1 / zoom),
        turned(-first),
        scaled(1 / stretch, stretch),
        turned(-second),
        moved(-right, -down),
    ]
    unchanged = torch.eye(3, dtype=values.dtype, device=values.device)
    matrix = unchanged.expand(len(values), 3, 3)
    for chosen, inverse in zip(gates.unbind(1), inverses, strict=True):
        matrix = matrix @ torch.where(chosen[:, None, None], inverse, unchanged)
    return gates, matrix


def scaled(x: Tensor, y: Tensor) -> Tensor:
    """Scale by (N,) each: (N, 3, 3)."""
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], dim=1))


def turned(angles: Tensor) -> Tensor:
    """Rotate by (N,) radians, from x to y: (N, 3, 3)."""
    cosine, sine, zero, one = angles.cos(), angles.sin(), angles * 0, torch.ones_like(angles)
    rows = [cosine, -sine, zero, sine, cosine, zero, zero, zero, one]
    return torch.stack(rows, dim=1).reshape(-1, 3, 3)


def moved(x: Tensor, y: Tensor) -> Tensor:
    """Translate by (N,) each: (N, 3, 3)."""
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return torch.stack([one, zero, x, zero, one, y, zero, zero, one], dim=1).reshape(-1, 3, 3)


def resampled(images: Tensor, inverse: Tensor) -> Tensor:
    """Pictures (N, C, H, H), each of whose pixels comes from where (N, 3, 3) takes its place.

    Beyond its edges a picture is reflected.
    """
    size = images.shape[-1]
    enlarged = enlarge(with_margin(images))
    # Places in the target, which is twice as large as the picture, and its margin.
    ticks = torch.arange(2 * size + len(SYM6) - 2, dtype=images.dtype, device=images.device)
    center = (size - 1) / 2
    places = (ticks - CENTER) / 2 - center
    y, x = torch.meshgrid(places, places, indexing="ij")
    target = torch.stack([x, y, torch.ones_like(x)], dim=-1)  # (2 H + 10, 2 H + 10, 3)
    source = torch.einsum("nij,hwj->nhwi", inverse[:, :2], target) + center
    margin = MARGIN / 2  # within which the filtered picture is used as it is
    outside = (source < -margin) | (source > size - 1 + margin)
    source = torch.where(outside, reflected(source, size), source)
    grid = (2 * (source + MARGIN) + CENTER) * (2 / (enlarged.shape[-1] - 1)) - 1
    return reduce(sample(enlarged, grid))


def with_margin(images: Tensor) -> Tensor:
    """Pictures, reflected at their edges: MARGIN pixels more on each side."""
    size = images.shape[-1]
    places = torch.arange(-MARGIN, size + MARGIN, device=images.device)
    index = reflected(places, size)
    return images.index_select(2, index).index_select(3, index)


def enlarge(images: Tensor) -> Tensor:
    """Twice as large, by the filter: (N, C, H, H) -> (N, C, 2 H + 10, 2 H + 10)."""
    weights, channels = filters(images), images.shape[1]
    images = F.conv_transpose2d(images, weights, stride=(2, 1), groups=channels)
    return F.conv_transpose2d(images, weights.transpose(2, 3), stride=(1, 2), groups=channels) * 2


def reduce(images: Tensor) -> Tensor:
    """Its inverse, on what it can give: (N, C, 2 H + 10, 2 H + 10) -> (N, C, H, H)."""
    weights, channels = filters(images), images.shape[1]
    images = F.conv2d(images, weights, stride=(2, 1), groups=channels)
    return F.conv2d(images, weights.transpose(2, 3), stride=(1, 2), groups=channels) / 2


def filters(like: Tensor) -> Tensor:
    """The filter, downwards, for each channel: (C, 1, 12, 1)."""
    # Filled in one by one: a copy from the host would make it wait for the device.
    taps = [torch.full((1,), weight, dtype=like.dtype, device=like.device) for weight in SYM6]
    return torch.cat(taps).reshape(1, 1, -1, 1).repeat(like.shape[1], 1, 1, 1)
