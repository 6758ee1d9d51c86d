"""Penalties on the discriminator by name: one term per sample, unweighted."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from progan.stages.networks.layers import at_least_float32
from progan.stages.spec_penalties import AnyPenalty, Gradient


class Comparison(NamedTuple):
    """What a discriminator step has at hand."""

    discriminate: Callable[[Tensor], Tensor]
    """(N, C, H, W) images -> (N,) logits, differentiable twice"""
    reals: Tensor
    fakes: Tensor
    real_logits: Tensor
    mix: Tensor
    """(N,) factors in [0, 1): how far each penalty point lies from real to fake"""


def gradients(seen: Comparison, points: Tensor) -> tuple[Tensor, Tensor]:
    """Logits at some images (N, C, H, W), and their gradients there: (N,), (N, C H W).

    The gradients are in float32 or better and can be differentiated, also to what the images were
    made from if that is asked for.
    """
    points = points if points.requires_grad else points.detach().requires_grad_()
    logits = seen.discriminate(points)
    (found,) = torch.autograd.grad(logits.sum(), points, create_graph=True)
    return at_least_float32(logits), at_least_float32(found).flatten(1)


def gradient_penalty(seen: Comparison, spec: Gradient) -> Tensor:
    """(|grad D(x)| - target)^2 / target^2 at points between reals and fakes, (N,).

    One factor per sample. One-sided, norms below the target cost nothing. Source: Gulrajani et al.
    2017, eq. 3 and section 4; the division by target^2 is PGGAN's (appendix A.1, with target 1).
    """
    points = torch.lerp(seen.reals, seen.fakes, seen.mix.reshape(-1, 1, 1, 1))
    norms: Tensor = torch.linalg.vector_norm(gradients(seen, points)[1], dim=1)
    excess = norms - spec.target
    if spec.one_sided:
        excess = excess.clamp(min=0)
    return excess.square() / spec.target**2


def drift_penalty(seen: Comparison) -> Tensor:
    """D(real)^2, which keeps the logits from drifting away, (N,). Source: PGGAN, appendix A.1."""
    return seen.real_logits.square()


def zero_centred(seen: Comparison, points: Tensor) -> Tensor:
    """|grad D(x)|^2 / 2, (N,): R1 at reals, R2 at fakes (Mescheder et al. 2018, eqs. 9 and 10).

    The weight is the paper's gamma.
    """
    return gradients(seen, points)[1].square().sum(dim=1) / 2


def js_regularizer(seen: Comparison) -> Tensor:
    """((1 - p)^2 |grad D(x)|^2 + p'^2 |grad D(G(z))|^2) / 2 with p = sigmoid(logit), (N,).

    What noise added to both kinds of pictures does to a discriminator, to first order; for losses
    whose logit's sigmoid is a probability. The weight is the paper's gamma. Source: Roth et al.
    2017, eq. 21 (arXiv 1705.09367).
    """
    real_logits, at_reals = gradients(seen, seen.reals)
    fake_logits, at_fakes = gradients(seen, seen.fakes)
    wrong_of_reals = torch.sigmoid(-real_logits).square()
    wrong_of_fakes = torch.sigmoid(fake_logits).square()
    return (
        wrong_of_reals * at_reals.square().sum(dim=1)
        + wrong_of_fakes * at_fakes.square().sum(dim=1)
    ) / 2


PENALTIES: dict[str, Callable[[Comparison, Any], Tensor]] = {
    "gradient": gradient_penalty,
    "drift": lambda seen, spec: drift_penalty(seen),
    "r1": lambda seen, spec: zero_centred(seen, seen.reals),
    "r2": lambda seen, spec: zero_centred(seen, seen.fakes),
    "js_regularizer": lambda seen, spec: js_regularizer(seen),
}


def penalty(seen: Comparison, spec: AnyPenalty) -> Tensor:
    """The term that a configuration asks for, (N,), unweighted."""
    return PENALTIES[spec.kind](seen, spec)
