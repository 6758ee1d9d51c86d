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

    reals: (N, C, H, W), already faded; latents: (N, inputs), the classes among them those of the
    reals; mix: (N,) in [0, 1); update: how many the discriminator has had,
    for penalties that are not in every one.
    """
    conditions = latents[:, generator.model.latent :]
    with torch.no_grad():
        fakes = generator(latents, alpha)
    real = discriminator.judge(reals, alpha, conditions)
    fake = discriminator.judge(fakes, alpha, conditions, fakes=True)
    real_logits, fake_logits = at_least_float32(real.logits), at_least_float32(fake.logits)
    loss = adversarial(spec.loss).discriminator(real_logits, fake_logits).mean()
    scalars = {"real_logits": real_logits.mean(), "fake_logits": fake_logits.mean()}

    for kind, verdict in {"real": real, "fake": fake}.items():
        for name, cost in verdict.costs.items():
            loss = loss + cost.mean()
            scalars[f"{kind}_{name}"] = cost.mean()

    seen = Comparison(lambda x: discriminator(x, alpha, conditions), reals, fakes, real_logits, mix)
    for each in spec.penalties:
        if update % each.interval == 0:
            term = penalty(seen, each).mean()
            loss = loss + each.weight * each.interval * term
            scalars[f"{each.kind}_penalty"] = term

    scalars["discriminator_loss"] = loss
    return Objective(loss, {name: value.detach() for name, value in scalars.items()})


def generator_objective(
    generator: Generator,
    discriminator: Discriminator,
    latents: Tensor,
    alpha: float,
    spec: ObjectiveSpec,
    reals: Tensor | None = None,
) -> Objective:
    """Be taken for real: the adversarial loss of fresh fakes, averaged.

    latents: (N, inputs); reals: as for the discriminator,
    for a loss whose generator sees them.
    """
    chosen = adversarial(spec.loss)
    conditions = latents[:, generator.model.latent :]
    fake = discriminator.judge(generator(latents, alpha), alpha, conditions, fakes=True)
    fake_logits = at_least_float32(fake.logits)
    real_logits = fake_logits[:0]
    if chosen.generator_sees_reals:
        assert reals is not None
        real_logits = at_least_float32(discriminator(reals, alpha, conditions))
    loss = chosen.generator(real_logits, fake_logits).mean()
    scalars = {f"generator_{name}": cost.mean() for name, cost in fake.costs.items()}
    loss = loss + sum(scalars.values())
    scalars["generator_loss"] = loss
    return Objective(loss, {name: value.detach() for name, value in scalars.items()})
