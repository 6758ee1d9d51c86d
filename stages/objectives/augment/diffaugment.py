"""DiffAugment: color, translation, cutout. Source: Zhao et al. 2020 (arXiv 2006.10738).

Pictures are (N, C, H, W) in [-1, 1]; random numbers, in (0, 1), are (N,) or (N, 2). Parameters and
the value of what is left out, 0 (grey), are those of the authors' code.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from progan.stages.objectives.augment.pixels import colored, whole_number
from progan.stages.specs.augment import DiffAugmentSpec, Policy

DRAWS = 7
"""Random numbers for each picture, whatever the policy"""
SHIFT, CUTOUT = 0.125, 0.5
"""Of a picture's side: the largest translation, and the side of the square"""


class DiffAugment:
    """The transformations of a policy, in its order."""

    draws = DRAWS

    def __init__(self, spec: DiffAugmentSpec) -> None:
        self.policy = spec.policy

    def transform(self, images: Tensor, numbers: Tensor) -> Tensor:
        """numbers: (N, DRAWS)."""
        for name in self.policy:
            function, columns = FUNCTIONS[name]
            images = function(images, numbers[:, columns])
        return images


def color(images: Tensor, numbers: Tensor) -> Tensor:
    """Brightness x + b, b in +-0.5; saturation in [0, 2]; contrast in [0.5, 1.5]; numbers (N, 3).

    Saturation scales the distance to a pixel's mean over the colors, contrast to the mean of all
    values of the picture.
    """
    brightness, saturation, contrast = numbers.reshape(-1, 3, 1, 1, 1).unbind(1)
    rgb, alpha = colored(images)
    rgb = rgb + (brightness - 0.5)
    grey = rgb.mean(dim=1, keepdim=True)
    rgb = grey + (rgb - grey) * (2 * saturation)
    mean = rgb.mean(dim=(1, 2, 3), keepdim=True)
    rgb = mean + (rgb - mean) * (contrast + 0.5)
    return torch.cat([rgb, alpha], dim=1)


def translation(images: Tensor, numbers: Tensor) -> Tensor:
    """By whole pixels, up to an eighth of the side in each direction; numbers (N, 2)."""
    size = images.shape[-1]
    most = int(size * SHIFT + 0.5)
    places = torch.arange(size, device=images.device)
    for dim, number in zip((2, 3), numbers.unbind(1), strict=True):
        shift = whole_number(number, 2 * most + 1) - most
        source = places + shift[:, None]  # (N, size)
        shape = [len(images), 1, 1, 1]
        shape[dim] = size
        inside = ((source >= 0) & (source < size)).reshape(shape)
        index = source.clamp(0, size - 1).reshape(shape).expand_as(images)
        images = images.gather(dim, index) * inside
    return images


def cutout(images: Tensor, numbers: Tensor) -> Tensor:
    """A square of half the side, whose center may be anywhere; numbers (N, 2)."""
    size = images.shape[-1]
    side = int(size * CUTOUT + 0.5)
    places = torch.arange(size, device=images.device)
    first = whole_number(numbers, size + 1 - side % 2) - side // 2  # (N, 2)
    within = (places >= first[:, :, None]) & (places < first[:, :, None] + side)  # (N, 2, size)
    square = within[:, 0, :, None] & within[:, 1, None, :]
    return images * ~square[:, None]


FUNCTIONS: dict[Policy, tuple[Callable[[Tensor, Tensor], Tensor], slice]] = {
    "color": (color, slice(0, 3)),
    "translation": (translation, slice(3, 5)),
    "cutout": (cutout, slice(5, 7)),
}
"""Each with the columns of random numbers that are its own"""
