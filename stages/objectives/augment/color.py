"""ADA's color transformations, as one affine map of colors (Karras et al. 2020, appendix B)."""

import math

import torch
from torch import Tensor

from progan.stages.objectives.augment.pixels import colored, normals, power_of_two, whole_number

DRAWS = 11
BRIGHTNESS, CONTRAST, SATURATION = 0.2, 0.5, 1.0
"""Standard deviations: of an offset, and of binary logarithms of factors"""


def recolor(images: Tensor, numbers: Tensor, p: Tensor) -> Tensor:
    """Transform colors; pictures of which nothing is chosen are returned as they are.

    images: (N, C, H, W); numbers: (N, DRAWS) in (0, 1); p: (). Grey pictures take the mean of what
    would become of their three equal colors; an alpha channel stays.
    """
    rgb, alpha = colored(images)
    gates, matrix = transformation(numbers.to(images.dtype), p)
    linear, offset = matrix[:, :3, :3], matrix[:, :3, 3]
    if rgb.shape[1] == 1:
        linear = linear.mean(dim=1, keepdim=True).sum(dim=2, keepdim=True)
        offset = offset.mean(dim=1, keepdim=True)
    found = torch.einsum("nij,njhw->nihw", linear, rgb) + offset[:, :, None, None]
    found = torch.where(gates.any(dim=1)[:, None, None, None], found, rgb)
    return torch.cat([found, alpha], dim=1)


def transformation(numbers: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    """Which of the five take place, bool (N, 5), and their product, (N, 4, 4).

    In this order: brightness, contrast, luma flip, hue, saturation.
    """
    gates, values = numbers[:, 0:10:2] < p, numbers[:, 1:10:2]
    of_contrast, of_saturation = normals(values[:, 1], values[:, 4])
    of_brightness, _ = normals(values[:, 0], numbers[:, 10])
    each = [
        brightness(BRIGHTNESS * of_brightness),
        contrast(power_of_two(CONTRAST * of_contrast)),
        luma_flip(whole_number(values[:, 2], 2).to(values.dtype)),
        hue(math.pi * (2 * values[:, 3] - 1)),
        saturation(power_of_two(SATURATION * of_saturation)),
    ]
    unchanged = torch.eye(4, dtype=values.dtype, device=values.device)
    matrix = unchanged.expand(len(values), 4, 4)
    for chosen, one_matrix in zip(gates.unbind(1), each, strict=True):
        matrix = torch.where(chosen[:, None, None], one_matrix, unchanged) @ matrix
    return gates, matrix


def brightness(offsets: Tensor) -> Tensor:
    """Add (N,) to all colors: (N, 4, 4)."""
    matrix = torch.eye(4, dtype=offsets.dtype, device=offsets.device).repeat(len(offsets), 1, 1)
    matrix[:, :3, 3] = offsets[:, None]
    return matrix


def contrast(factors: Tensor) -> Tensor:
    """Multiply colors by (N,): (N, 4, 4)."""
    along, across = luma_axis(factors)
    return _affine((along + across) * factors[:, None, None])


def luma_flip(flips: Tensor) -> Tensor:
    """Reflect colors at the plane of luma 0, where (N,) is 1 and not 0: (N, 4, 4)."""
    along, across = luma_axis(flips)
    return _affine(across + along * (1 - 2 * flips[:, None, None]))


def hue(angles: Tensor) -> Tensor:
    """Rotate colors around the luma axis by (N,) radians (Rodrigues' formula): (N, 4, 4)."""
    along, across = luma_axis(angles)
    cycle = (along + across).roll(1, dims=0)
    cross = (cycle - cycle.T) / math.sqrt(3)
    return _affine(
        along + across * angles.cos()[:, None, None] + cross * angles.sin()[:, None, None]
    )


def saturation(factors: Tensor) -> Tensor:
    """Multiply the distance from the luma axis by (N,): (N, 4, 4)."""
    along, across = luma_axis(factors)
    return _affine(along + across * factors[:, None, None])


def luma_axis(like: Tensor) -> tuple[Tensor, Tensor]:
    """The projections onto the luma axis (1, 1, 1), and onto the plane at right angles to it."""
    along = torch.full((3, 3), 1 / 3, dtype=like.dtype, device=like.device)
    return along, torch.eye(3, dtype=like.dtype, device=like.device) - along


def _affine(linear: Tensor) -> Tensor:
    """(N, 3, 3) -> (N, 4, 4), without an offset."""
    padded: Tensor = torch.nn.functional.pad(linear, (0, 1, 0, 1))
    padded[:, 3, 3] = 1
    return padded
