"""Adversarial losses by name: logits in, one loss per sample out.

A logit is high for an image classified as real. The energies of EBGAN and BEGAN are negative
logits. All tensors are (N,).
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from progan.stages.specs.losses import (
    AnyLoss,
    Ebgan,
    FGan,
    Lsgan,
    Minimax,
    NonSaturating,
    Relativistic,
)


class Divergence(NamedTuple):
    """Output activation and Fenchel conjugate of an f-divergence (f-GAN).

    The conjugate is written as a function of the logit v, f*(g_f(v)), which does not overflow.
    Source: Nowozin et al. 2016 (arXiv 1606.00709), tables 2 and 6.
    """

    activation: Callable[[Tensor], Tensor]
    """g_f: logits -> the domain of f*"""
    conjugate: Callable[[Tensor], Tensor]
    """f*(g_f(v)) of logits v"""


LOG2 = math.log(2)

DIVERGENCES = {
    "kl": Divergence(lambda v: v, lambda v: torch.exp(v - 1)),
    "reverse_kl": Divergence(lambda v: -torch.exp(-v), lambda v: v - 1),
    "pearson": Divergence(lambda v: v, lambda v: v.square() / 4 + v),
    "neyman": Divergence(lambda v: 1 - torch.exp(-v), lambda v: 2 - 2 * torch.exp(-v / 2)),
    "squared_hellinger": Divergence(lambda v: 1 - torch.exp(-v), lambda v: torch.exp(v) - 1),
    "jensen_shannon": Divergence(lambda v: LOG2 - F.softplus(-v), lambda v: F.softplus(v) - LOG2),
    "total_variation": Divergence(lambda v: torch.tanh(v) / 2, lambda v: torch.tanh(v) / 2),
}


Side = Callable[[Tensor, Tensor], Tensor]
"""(real_logits, fake_logits) -> loss per sample"""


class Loss(NamedTuple):
    """Both sides of one adversarial loss."""

    discriminator: Side
    generator: Side
    generator_sees_reals: bool = False
    """If not, the generator's side is given an empty tensor for its real_logits"""
    of_reconstructions: Side | None = None
    """The generator's side for reconstructions of reals (mode_regularizer), if it differs"""


def wgan() -> Loss:
    """The earth mover's distance (Arjovsky et al. 2017, eqs. 2 and 3)."""
    return Loss(lambda real, fake: fake - real, lambda _, fake: -fake)


def real_or_fake(real: Tensor, fake: Tensor, smoothing: float) -> Tensor:
    """Binary cross-entropy with real's label 1 - smoothing and fake's 0.

    Goodfellow et al. 2014, eq. 1; one-sided label smoothing: Salimans et al. 2016, section 3.4.
    """
    return F.softplus(-real) + smoothing * real + F.softplus(fake)


def minimax(spec: Minimax) -> Loss:
    """-log D(x) - log(1 - D(G(z))), and for the generator log(1 - D(G(z)))."""
    discriminator = partial(real_or_fake, smoothing=spec.smoothing)
    return Loss(
        discriminator,
        lambda _, fake: -F.softplus(fake),
        of_reconstructions=lambda _, fake: F.softplus(-fake),
    )


def nonsaturating(spec: NonSaturating) -> Loss:
    """The same, but for the generator -log D(G(z)) (Goodfellow et al. 2014, section 3)."""
    discriminator = partial(real_or_fake, smoothing=spec.smoothing)
    return Loss(discriminator, lambda _, fake: F.softplus(-fake))


def lsgan(spec: Lsgan) -> Loss:
    """((D(x) - b)^2 + (D(G(z)) - a)^2) / 2 and (D(G(z)) - c)^2 / 2 (Mao et al. 2017, eq. 2)."""
    return Loss(
        lambda real, fake: ((real - spec.b).square() + (fake - spec.a).square()) / 2,
        lambda _, fake: (fake - spec.c).square() / 2,
    )


def hinge() -> Loss:
    """max(0, 1 - D(x)) + max(0, 1 + D(G(z))) and -D(G(z)) (Miyato et al. 2018, eqs. 16 and 17)."""
    return Loss(lambda real, fake: F.relu(1 - real) + F.relu(1 + fake), lambda _, fake: -fake)


REAL_TERMS: dict[str, Callable[[Tensor], Tensor]] = {
    "wgan": lambda logit: -logit,
    "nonsaturating": lambda logit: F.softplus(-logit),
    "lsgan": lambda logit: (logit - 1).square(),
    "hinge": lambda logit: F.relu(1 - logit),
}
"""f1 of the relativistic losses, low for real; the term of fakes is f2(y) = f1(-y)."""


def relativistic(spec: Relativistic) -> Loss:
    """Reals are more realistic than fakes: in pairs (rgan), or than the others' average (ragan).

    rgan: f1(C(x_r) - C(x_f)); ragan: f1(C(x_r) - E C(x_f)) + f1(E C(x_r) - C(x_f)); for the
    generator the same with real and fake exchanged. Source: Jolicoeur-Martineau 2018, eqs. 7 to 14.
    The paper's averages are over the batch; ours over groups of consecutive samples, since a
    batch's average would depend on how it was cut over ranks.
    """
    real_term = REAL_TERMS[spec.base]

    def in_pairs(real: Tensor, fake: Tensor) -> Tensor:
        return real_term(real - fake)

    def on_average(real: Tensor, fake: Tensor) -> Tensor:
        above = real - group_means(fake, spec.group)
        below = group_means(real, spec.group) - fake
        return real_term(above) + real_term(below)

    side = in_pairs if spec.kind == "rgan" else on_average
    return Loss(side, lambda real, fake: side(fake, real), generator_sees_reals=True)


def group_means(logits: Tensor, group: int) -> Tensor:
    """For every sample the mean of its group of consecutive ones."""
    return logits.reshape(-1, group).mean(dim=1).repeat_interleave(group)


def fgan(spec: FGan) -> Loss:
    """-g_f(D(x)) + f*(g_f(D(G(z)))) (Nowozin et al. 2016, eq. 6).

    The generator minimises -f*(g_f(D(G(z)))), or, not saturating, -g_f(D(G(z)))
    (section 3.2).
    """
    chosen = DIVERGENCES[spec.divergence]
    return Loss(
        lambda real, fake: chosen.conjugate(fake) - chosen.activation(real),
        lambda _, fake: -(chosen.conjugate if spec.saturating else chosen.activation)(fake),
    )


def ebgan(spec: Ebgan) -> Loss:
    """E(x) + max(0, m - E(G(z))) and E(G(z)) (Zhao et al. 2017, eqs. 1 and 2); E = -logit."""
    return Loss(lambda real, fake: F.relu(spec.margin + fake) - real, lambda _, fake: -fake)


LOSSES: dict[str, Callable[[Any], Loss]] = {
    "wgan": lambda spec: wgan(),
    "minimax": minimax,
    "nonsaturating": nonsaturating,
    "lsgan": lsgan,
    "hinge": lambda spec: hinge(),
    "rgan": relativistic,
    "ragan": relativistic,
    "fgan": fgan,
    "ebgan": ebgan,
}


def loss(spec: AnyLoss) -> Loss:
    """The loss that a configuration asks for; BEGAN's changes with time (adversarial_term.py)."""
    return LOSSES[spec.kind](spec)
