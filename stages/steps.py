"""The two objectives of a step. Networks and a batch in, a loss out; nothing is updated here."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from progan.stages.losses import loss as adversarial
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.networks.layers import at_least_float32
from progan.stages.penalties import Comparison, penalty
from progan.stages.spec import ObjectiveSpec
from progan.stages.unrolled import Ahead


class Objective(NamedTuple):
    """A scalar to minimise and what it was made of, by name (scalars, detached)."""

    loss: Tensor
    scalars: dict[str, Tensor]


def discriminator_objective(
    generator: Generator,
    discriminator: Discriminator | Ahead,
    reals: Tensor,
    latents: Tensor,
    mix: Tensor,
    alpha: float,
    spec: ObjectiveSpec,
    update: int = 0,
    *,
    mingle: Callable[[Tensor], Tensor] = lambda fakes: fakes,
    through_fakes: bool = False,
) -> Objective:
    """Tell real from fake: the adversarial loss and the weighted penalties, averaged.

    reals: (N, C, H, W), already faded; latents: (N, latent); mix: (N,) in [0, 1); update: how many
    the discriminator has had, for penalties that are not in every one; mingle: what to show in
    place of fresh fakes; through_fakes: whether gradients flow to the generator.
    """
    with torch.set_grad_enabled(through_fakes):
        fakes = mingle(generator(latents, alpha))
    real_logits = at_least_float32(discriminator(reals, alpha))
    fake_logits = at_least_float32(discriminator(fakes, alpha))
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


def generator_objective(
    generator: Generator,
    discriminator: Discriminator | Ahead,
    latents: Tensor,
    alpha: float,
    spec: ObjectiveSpec,
    reals: Tensor | None = None,
) -> Objective:
    """Be taken for real: the adversarial loss of fresh fakes, averaged. latents: (N, latent).

    reals: as for the discriminator, for a loss whose generator sees them, or a discriminator some
    steps ahead. What that one says of reals depends on the generator, and counts against it as in
    the game's whole value (Metz et al. 2017, eq. 7).
    """
    chosen = adversarial(spec.loss)
    fake_logits = at_least_float32(discriminator(generator(latents, alpha), alpha))
    real_logits = fake_logits[:0]
    if reals is not None:
        real_logits = at_least_float32(discriminator(reals, alpha))
    loss = chosen.generator(real_logits, fake_logits).mean()
    scalars = {"generator_loss": loss.detach()}
    if isinstance(discriminator, Ahead) and not chosen.generator_sees_reals:
        loss = loss - chosen.discriminator(real_logits, fake_logits.detach()).mean()
    return Objective(loss, scalars)
