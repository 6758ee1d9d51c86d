"""Adversarial losses by name: logits in, one loss per sample out."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class Loss(NamedTuple):
    """Both sides of one adversarial loss; all tensors are (N,)."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    """(real_logits, fake_logits) -> loss per sample"""
    generator: Callable[[Tensor], Tensor]
    """(fake_logits) -> loss per sample"""


def wgan_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The negative estimate of the earth mover's distance (Arjovsky et al. 2017, eq. 2)."""
    return fake_logits - real_logits


def wgan_generator(fake_logits: Tensor) -> Tensor:
    """Its part that the generator can move (Arjovsky et al. 2017, eq. 3)."""
    return -fake_logits


LOSSES = {"wgan": Loss(wgan_discriminator, wgan_generator)}
