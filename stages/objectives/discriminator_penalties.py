"""Penalties of the discriminator's loss, unweighted: one value per sample."""

import torch
from torch import Tensor

from progan.stages.networks.functions.conv2d_gradfix import no_weight_gradients
from progan.stages.networks.layers import at_least_float32
from progan.stages.objectives.passes import DiscriminatorPass
from progan.stages.objectives.term import Penalty
from progan.stages.specs import penalties as specs


class GradientPenalty(Penalty):
    """(|grad D(x)| - target)^2 / target^2 at points between reals and fakes, (N,).

    One epsilon per sample. One-sided, norms below the target cost nothing. Source: Gulrajani et al.
    2017, eq. 3 and section 4; the division by target^2 is PGGAN's (appendix A.1, with target 1).
    """

    spec: specs.Gradient

    def of_discriminator(self, p: DiscriminatorPass) -> Tensor:
        """WGAN-GP."""
        points = torch.lerp(p.reals, p.fakes, p.epsilon)
        excess = gradient_norms(p, points) - self.spec.target
        if self.spec.one_sided:
            excess = excess.clamp(min=0)
        return excess.square() / self.spec.target**2


class Dragan(Penalty):
    """(|grad D(x + delta)| - target)^2 around reals, delta ~ N(0, c I), (N,).

    Source: Kodali et al. 2017 (arXiv 1705.07215), section 2. As in the authors' code c goes with
    the spread of the reals. There it is a batch's, which would depend on how the batch was cut over
    ranks; here sqrt(c) is `noise` times the standard deviation of the one image's values.
    """

    spec: specs.Dragan

    def of_discriminator(self, p: DiscriminatorPass) -> Tensor:
        """(N,)."""
        spread = p.reals.flatten(1).std(dim=1, correction=0).reshape(-1, 1, 1, 1)
        points = p.reals + self.spec.noise * spread * p.noise
        return (gradient_norms(p, points) - self.spec.target).square()


class Drift(Penalty):
    """D(real)^2 keeps the logits from drifting away, (N,). Source: PGGAN, appendix A.1."""

    def of_discriminator(self, p: DiscriminatorPass) -> Tensor:
        """(N,)."""
        return p.real_logits.square()


class R1(Penalty):
    """|grad D(x)|^2 / 2 at reals, (N,); the weight is gamma (Mescheder et al. 2018, eq. 9)."""

    def of_discriminator(self, p: DiscriminatorPass) -> Tensor:
        """(N,)."""
        return gradients(p, p.reals)[1].square().sum(dim=1) / 2


class R2(Penalty):
    """|grad D(x)|^2 / 2 at fakes, (N,); the weight is gamma (Mescheder et al. 2018, eq. 10)."""

    def of_discriminator(self, p: DiscriminatorPass) -> Tensor:
        """(N,)."""
        return gradients(p, p.fakes)[1].square().sum(dim=1) / 2


class JensenShannonRegularizer(Penalty):
    """((1 - p)^2 |grad D(x)|^2 + p'^2 |grad D(G(z))|^2) / 2 with p = sigmoid(logit), (N,).

    What noise added to reals and fakes does to a discriminator, to first order; for losses whose
    logit's sigmoid is a probability. The weight is the paper's gamma. Source: Roth et al. 2017
    (arXiv 1705.09367), eq. 21.
    """

    def of_discriminator(self, p: DiscriminatorPass) -> Tensor:
        """(N,)."""
        real_logits, at_reals = gradients(p, p.reals)
        fake_logits, at_fakes = gradients(p, p.fakes)
        wrong_of_reals = torch.sigmoid(-real_logits).square()
        wrong_of_fakes = torch.sigmoid(fake_logits).square()
        return (
            wrong_of_reals * at_reals.square().sum(dim=1)
            + wrong_of_fakes * at_fakes.square().sum(dim=1)
        ) / 2


def gradients(p: DiscriminatorPass, points: Tensor) -> tuple[Tensor, Tensor]:
    """Logits at some images (N, C, H, W), and their gradients there: (N,), (N, C H W).

    The gradients are in float32 or better and can be differentiated, also by what the images were
    made from if these require gradients.
    """
    points = points if points.requires_grad else points.detach().requires_grad_()
    logits = p.discriminate(points)
    with no_weight_gradients():
        (found,) = torch.autograd.grad(logits.sum(), points, create_graph=True)
    return at_least_float32(logits), at_least_float32(found).flatten(1)


def gradient_norms(p: DiscriminatorPass, points: Tensor) -> Tensor:
    """|grad D| at some images, (N,)."""
    norms: Tensor = torch.linalg.vector_norm(gradients(p, points)[1], dim=1)
    return norms
