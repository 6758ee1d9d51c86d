"""What several augmentations do with pixels and random numbers."""

import math

from torch import Tensor


def colored(images: Tensor) -> tuple[Tensor, Tensor]:
    """The channels that have color, or grey, and those that have not: an alpha channel, or none."""
    channels = images.shape[1]
    return images[:, : channels - (channels == 4)], images[:, channels - (channels == 4) :]


def whole_number(numbers: Tensor, count: int) -> Tensor:
    """Numbers in (0, 1) -> 0 to count - 1, each as often, int64."""
    return (numbers * count).long().clamp(max=count - 1)


def reflected(places: Tensor, size: int) -> Tensor:
    """Where a line of pixels that is reflected at its ends has these places: in [0, size - 1].

    The first and the last pixel are not repeated.
    """
    most = size - 1
    return most - (places.remainder(2 * most) - most).abs()


def normals(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Two numbers in (0, 1) -> two from N(0, 1), by Box and Muller's transform."""
    radius, angle = (-2 * first.log()).sqrt(), 2 * math.pi * second
    return radius * angle.cos(), radius * angle.sin()


def power_of_two(exponents: Tensor) -> Tensor:
    """2^x. torch's exp2 would be compiled at its first call on a GPU."""
    return (math.log(2) * exponents).exp()
