"""ADA's pixel blits: pixels are copied, none is computed (Karras et al. 2020, appendix B)."""

import torch
from torch import Tensor

from progan.stages.objectives.augment.pixels import reflected, whole_number

DRAWS = 7
SHIFT = 0.125
"""Largest integer translation, of a picture's side"""


def blit(images: Tensor, numbers: Tensor, p: Tensor) -> Tensor:
    """Flip, rotation by 90 degrees, integer translation, each of probability p.

    images: (N, C, H, W); numbers: (N, DRAWS) in (0, 1); p: (). As in the paper a transformation
    that takes place may turn out to be the identity: half of the flips, a quarter of the rotations.
    """
    flips, flip, turns, turn, shifts, down, right = numbers.unbind(1)
    images = flipped(images, (flips < p) & (flip < 0.5))
    images = rotated(images, whole_number(turn, 4) * (turns < p))
    most = SHIFT * images.shape[-1]
    offsets = ((2 * torch.stack([down, right], dim=1) - 1) * most).round().long()
    return translated(images, offsets * (shifts < p)[:, None])


def flipped(images: Tensor, flips: Tensor) -> Tensor:
    """Left to right, where (N,) says so."""
    return torch.where(_each(flips), images.flip(3), images)


def rotated(images: Tensor, turns: Tensor) -> Tensor:
    """By so many times 90 degrees, counterclockwise; turns: (N,), 0 to 3."""
    images = torch.where(_each(turns % 2 == 1), images.rot90(1, (2, 3)), images)
    return torch.where(_each(turns >= 2), images.flip((2, 3)), images)


def translated(images: Tensor, offsets: Tensor) -> Tensor:
    """By whole pixels down and to the right, int64 (N, 2), filled by reflection."""
    size = images.shape[-1]
    places = torch.arange(size, device=images.device)
    for dim, offset in zip((2, 3), offsets.unbind(1), strict=True):
        shape = [len(images), 1, 1, 1]
        shape[dim] = size
        index = reflected(places - offset[:, None], size).reshape(shape)
        images = images.gather(dim, index.expand_as(images))
    return images


def _each(chosen: Tensor) -> Tensor:
    return chosen[:, None, None, None]
