"""Terms of the discriminator's loss by name, unweighted: one per sample, or one number."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from progan.stages.networks.conv2d_gradfix import no_weight_gradients
from progan.stages.networks.layers import at_least_float32
from progan.stages.objectives.adversarial import NOTHING
from progan.stages.objectives.historical_average import distance
from progan.stages.objectives.orthogonality import orthogonality
from progan.stages.specs.penalties import Dragan, Gradient, Term

NONE = torch.empty(0)


class Comparison(NamedTuple):
    """What a discriminator step has at hand."""

    discriminate: Callable[[Tensor], Tensor]
    """(N, C, H, W) images -> (N,) logits, differentiable twice"""
    reals: Tensor
    fakes: Tensor
    real_logits: Tensor
    mix: Tensor
    """(N,) factors in [0, 1): how far each penalty point lies from real to fake"""
    noise: Tensor = NONE
    """Like the reals, N(0, 1), where a penalty needs it"""
    network: nn.Module = nn.Identity()
    """The discriminator itself, for what is a matter of its weights"""
    pieces: Mapping[str, Tensor] = NOTHING
    """What penalties remember (pieces.py)"""
    disagreement: Callable[[], Tensor] = NONE.sum
    """() -> (), half the square of both losses' gradients (consensus.py)"""


def gradients(seen: Comparison, points: Tensor) -> tuple[Tensor, Tensor]:
    """Logits at some images (N, C, H, W), and their gradients there: (N,), (N, C H W).

    The gradients are in float32 or better and can be differentiated, also to what the images were
    made from if that is asked for.
    """
    points = points if points.requires_grad else points.detach().requires_grad_()
    logits = seen.discriminate(points)
    with no_weight_gradients():
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


def dragan(seen: Comparison, spec: Dragan) -> Tensor:
    """(|grad D(x + delta)| - target)^2 around reals, delta ~ N(0, c I), (N,).

    Source: Kodali et al. 2017 (arXiv 1705.07215), section 2. As in the authors' code c goes with
    the spread of the reals. There it is a batch's, which would depend on how the batch was cut over
    ranks; here sqrt(c) is `noise` times the standard deviation of the one picture's values.
    """
    spread = seen.reals.flatten(1).std(dim=1, correction=0).reshape(-1, 1, 1, 1)
    points = seen.reals + spec.noise * spread * seen.noise
    norms: Tensor = torch.linalg.vector_norm(gradients(seen, points)[1], dim=1)
    return (norms - spec.target).square()


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
    "dragan": dragan,
    "orthogonal": lambda seen, spec: orthogonality(seen.network, spec),
    "historical_average": lambda seen, spec: distance("discriminator", seen.network, seen.pieces),
    "consensus": lambda seen, spec: seen.disagreement(),
}


def penalty(seen: Comparison, spec: Term) -> Tensor:
    """The term that a configuration asks for, (N,) or (), unweighted."""
    return PENALTIES[spec.kind](seen, spec)
