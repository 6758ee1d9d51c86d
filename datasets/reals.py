"""Real pictures of one batch, as bytes until the device that shows them mirrors and scales them.

That takes a quarter of the memory and of the copying to a GPU that float32 would take.
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor


class Reals(NamedTuple):
    """One rank's part of a global batch."""

    pixels: Tensor
    """uint8 [n, C, R, R], as stored; on the CPU pinned if CUDA is available"""
    flips: Tensor
    """bool [n], on the same device: which pictures to mirror"""
    labels: Tensor
    """int64 [n], on the CPU; -1 without labels"""
    position: int
    """Of the first picture of the *global* batch in this stage's order"""

    def images(self) -> Tensor:
        """What networks see: float32 [n, C, R, R] in [-1, 1], on the device of `pixels`.

        The same bits on every device. CUDA would multiply by the reciprocal of a divisor that is a
        number of the host's; this one is a tensor.
        """
        pixels = torch.where(self.flips[:, None, None, None], self.pixels.flip(-1), self.pixels)
        return pixels.div(torch.full((), 127.5, device=pixels.device)).sub_(1)

    def to(self, device: torch.device) -> Self:
        """With pixels and flips on a device, without waiting for the copies of pinned ones."""
        pixels, flips = (x.to(device, non_blocking=True) for x in (self.pixels, self.flips))
        return self._replace(pixels=pixels, flips=flips)
