"""Penalties on the discriminator by name: one term per sample, unweighted."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from progan.stages.networks.layers import at_least_float32


class Comparison(NamedTuple):
    """What a discriminator step has at hand."""

    discriminate: Callable[[Tensor], Tensor]
    """(N, C, H, W) images -> (N,) logits, differentiable twice"""
    reals: Tensor
    fakes: Tensor
    real_logits: Tensor
    mix: Tensor
    """(N,) factors in [0, 1): how far each penalty point lies from real to fake"""


def gradient_penalty(seen: Comparison, target: float = 1.0) -> Tensor:
    """(|grad D(x)| - target)^2 / target^2 at points between reals and fakes, (N,).

    One factor per sample; the norm is taken in float32 or better. Source: Gulrajani et al. 2017,
    eq. 3; the division by target^2 is PGGAN's (appendix A.1 of PGGAN, with target 1).
    """
    points = torch.lerp(seen.reals, seen.fakes, seen.mix.reshape(-1, 1, 1, 1)).requires_grad_()
    logits = seen.discriminate(points)
    (gradients,) = torch.autograd.grad(logits.sum(), points, create_graph=True)
    norms: Tensor = torch.linalg.vector_norm(at_least_float32(gradients).flatten(1), dim=1)
    return (norms - target).square() / target**2


def drift_penalty(seen: Comparison) -> Tensor:
    """D(real)^2, which keeps the logits from drifting away, (N,). Source: PGGAN, appendix A.1."""
    return seen.real_logits.square()


PENALTIES: dict[str, Callable[[Comparison], Tensor]] = {
    "gradient": gradient_penalty,
    "drift": drift_penalty,
}
