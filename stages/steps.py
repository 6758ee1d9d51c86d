"""The two objectives of a step. Networks and a batch in, a loss out; nothing is updated here."""

from typing import NamedTuple

import torch
from torch import Tensor

from progan.stages.losses import loss as adversarial
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.networks.layers import at_least_float32
from progan.stages.penalties import Comparison, penalty
from progan.stages.spec import ObjectiveSpec


class Objective(NamedTuple):
    """A scalar to minimise and what it was made of, by name (scalars, detached)."""

    loss: Tensor
    scalars: dict[str, Tensor]


def discriminator_objective(
    generator: Generator,
    discriminator: Discriminator,
    reals: Tensor,
    latents: Tensor,
    mix: Tensor,
    alpha: float,
    spec: ObjectiveSpec,
    update: int = 0,
) -> Objective:
    """Tell real from fake: the adversarial loss and the weighted penalties, averaged.

    reals: (N, C, H, W), already faded; latents: (N, latent); mix: (N,) in [0, 1); update: how many
    the discriminator has had, for penalties that are not in every one.
    """
    with torch.no_grad():
        fakes = generator(latents, alpha)
    real_logits, fake_logits = logits_of_both(discriminator, reals, fakes, alpha)
    loss = adversarial(spec.loss).discriminator(real_logits, fake_logits).mean()
    scalars = {"real_logits": real_logits.mean(), "fake_logits": fake_logits.mean()}

    seen = Comparison(lambda x: discriminator(x, alpha), reals, fakes, real_logits, mix)
    for each in spec.penalties:
        if update % each.interval == 0:
            term = penalty(seen, each).mean()
            loss = loss + each.weight * each.interval * term
            scalars[f"{each.kind}_penalty"] = term

    scalars["discriminator_loss"] = loss
    return Objective(loss, {name: value.detach() for name, value in scalars.items()})


def logits_of_both(
    discriminator: Discriminator, reals: Tensor, fakes: Tensor, alpha: float
) -> tuple[Tensor, Tensor]:
    """Logits of (N, C, H, W) reals and of as many fakes, (N,) each, in one pass.

    Samples are compared within groups of consecutive ones, which N is a multiple of, so that reals
    and fakes do not see each other; one pass reads, scales and reorders all weights once.
    """
    logits = at_least_float32(discriminator(torch.cat([reals, fakes]), alpha))
    real_logits, fake_logits = logits.chunk(2)
    return real_logits, fake_logits


def generator_objective(
    generator: Generator,
    discriminator: Discriminator,
    latents: Tensor,
    alpha: float,
    spec: ObjectiveSpec,
    reals: Tensor | None = None,
) -> Objective:
    """Be taken for real: the adversarial loss of fresh fakes, averaged. latents: (N, latent).

    reals: as for the discriminator, for a loss whose generator sees them.
    """
    chosen = adversarial(spec.loss)
    fake_logits = at_least_float32(discriminator(generator(latents, alpha), alpha))
    real_logits = fake_logits[:0]
    if chosen.generator_sees_reals:
        assert reals is not None
        real_logits = at_least_float32(discriminator(reals, alpha))
    loss = chosen.generator(real_logits, fake_logits).mean()
    return Objective(loss, {"generator_loss": loss.detach()})
