"""The two objectives of a step. Networks and a batch in, a loss out; nothing is updated here."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from progan.stages.engine.update import Objective
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.encoder import Encoder, reconstruct
from progan.stages.networks.generator import Generator
from progan.stages.networks.layers import at_least_float32
from progan.stages.networks.multi_discriminator import (
    MultiDiscriminator,
    reduce_discriminators,
    repeat_batch,
)
from progan.stages.objectives.adversarial import loss as adversarial
from progan.stages.objectives.consensus import Networks, field, half_square
from progan.stages.objectives.discriminator_penalties import NONE, Comparison, penalty
from progan.stages.objectives.generator_penalties import Deception, generator_penalty
from progan.stages.objectives.unrolled import UnrolledDiscriminator
from progan.stages.specs.objective import ObjectiveSpec
from progan.stages.specs.penalties import Penalty, terms


class Turn(NamedTuple):
    """One update of a network, of the many that it has."""

    number: int
    """Updates that it has had, for penalties that are not in every one"""
    pieces: Mapping[str, Tensor]
    """What the objective remembers (pieces.py)"""
    field: Sequence[Tensor] = ()
    """Both networks' gradients over the whole batch, where a penalty needs them (consensus.py)"""


FIRST = Turn(0, {})


def discriminator_objective(
    generator: Generator,
    discriminator: Discriminator | MultiDiscriminator | UnrolledDiscriminator,
    reals: Tensor,
    latents: Tensor,
    mix: Tensor,
    alpha: float,
    spec: ObjectiveSpec,
    turn: Turn = FIRST,
    *,
    noise: Tensor = NONE,
    mingle: Callable[[Tensor], Tensor] = lambda fakes: fakes,
    through_fakes: bool = False,
) -> Objective:
    """Tell real from fake: the adversarial loss and the weighted penalties, averaged.

    reals: (N, C, H, W), already faded; latents: (N, inputs), the classes among them those of the
    reals; mix: (N,) in [0, 1); noise: like the reals, for penalties that need it; mingle: what to
    show in place of fresh fakes; through_fakes: whether gradients flow to the generator.
    """
    conditions = latents[:, generator.model.latent :]
    with torch.set_grad_enabled(through_fakes):
        fakes = mingle(generator(latents, alpha))
    critics = generator.model.discriminator.critics
    reals, fakes, conditions, mix, noise = repeat_batch(
        critics, reals, fakes, conditions, mix, noise
    )
    real, fake = discriminator.forward_both(reals, fakes, alpha, conditions)
    real_logits, fake_logits = at_least_float32(real.logits), at_least_float32(fake.logits)
    loss = adversarial(spec.loss, turn.pieces).discriminator(real_logits, fake_logits).mean()
    scalars = {"real_logits": real_logits.mean(), "fake_logits": fake_logits.mean()}

    for kind, verdict in {"real": real, "fake": fake}.items():
        for name, cost in verdict.auxiliary_losses.items():
            loss = loss + cost.mean()
            scalars[f"{kind}_{name}"] = cost.mean()

    def discriminate(images: Tensor) -> Tensor:
        logits: Tensor = discriminator(images, alpha, conditions)
        return logits

    network = (
        discriminator.network if isinstance(discriminator, UnrolledDiscriminator) else discriminator
    )

    def disagreement() -> Tensor:
        networks: Networks = {"generator": generator, "discriminator": network}
        batch = reals, latents, alpha
        own = field(networks, *batch, spec.loss, turn.pieces, "discriminator")
        return half_square(own, turn.field)

    seen = Comparison(
        discriminate, reals, fakes, real_logits, mix, noise, network, turn.pieces, disagreement
    )
    for each in terms(spec.penalties, "discriminator", turn.number):
        term = penalty(seen, each).mean()
        loss = loss + each.weight * each.interval * term
        scalars[f"{each.kind}_penalty"] = term

    scalars["discriminator_loss"] = loss
    return Objective(loss, {name: value.detach() for name, value in scalars.items()})


def generator_sees_reals(spec: ObjectiveSpec) -> bool:
    """Whether the generator's objective is to be given reals."""
    penalties = any(isinstance(each, Penalty) and each.needs_reals for each in spec.penalties)
    return adversarial(spec.loss).generator_sees_reals or penalties or spec.unrolled > 0


def generator_objective(
    generator: Generator,
    discriminator: Discriminator | MultiDiscriminator | UnrolledDiscriminator,
    latents: Tensor,
    alpha: float,
    spec: ObjectiveSpec,
    reals: Tensor | None = None,
    turn: Turn = FIRST,
    encoder: Encoder | None = None,
) -> Objective:
    """Be taken for real: the adversarial loss of fresh fakes, and the weighted penalties, averaged.

    latents: (N, inputs); reals: as for the discriminator, for what sees them; encoder: what is
    trained with the generator, if a penalty needs it.

    What a discriminator some steps ahead says of reals depends on the generator, and counts against
    it as in the game's whole value (Metz et al. 2017, eq. 7).
    """
    chosen = adversarial(spec.loss, turn.pieces)
    fakes = generator(latents, alpha)
    critics = generator.model.discriminator.critics
    seen_fakes, conditions = repeat_batch(critics, fakes, latents[:, generator.model.latent :])
    fake = discriminator.forward_features(seen_fakes, alpha, conditions, fakes=True)
    fake_logits = at_least_float32(fake.logits)
    real_logits = fake_logits[:0]
    is_ahead = isinstance(discriminator, UnrolledDiscriminator)
    if chosen.generator_sees_reals or is_ahead:
        assert reals is not None
        seen_reals = repeat_batch(critics, reals)[0]
        real_logits = at_least_float32(discriminator(seen_reals, alpha, conditions))
    loss = reduce_discriminators(
        chosen.generator(real_logits, fake_logits), critics, spec.critics
    ).mean()
    scalars = {"generator_logits": fake_logits.mean()}
    for name, cost in fake.auxiliary_losses.items():
        loss = loss + cost.mean()
        scalars[f"generator_{name}"] = cost.mean()

    seen = at_hand(
        generator, discriminator, encoder, latents, fakes, reals, real_logits, alpha, spec, turn
    )
    for each in terms(spec.penalties, "generator", turn.number):
        term = generator_penalty(seen, each).mean()
        loss = loss + each.weight * each.interval * term
        scalars[f"generator_{each.kind}_penalty"] = term

    scalars["generator_loss"] = loss
    if is_ahead and not chosen.generator_sees_reals:
        loss = loss - chosen.discriminator(real_logits, fake_logits.detach()).mean()
    return Objective(loss, {name: value.detach() for name, value in scalars.items()})


def at_hand(
    generator: Generator,
    discriminator: Discriminator | MultiDiscriminator | UnrolledDiscriminator,
    encoder: Encoder | None,
    latents: Tensor,
    fakes: Tensor,
    reals: Tensor | None,
    real_logits: Tensor,
    alpha: float,
    spec: ObjectiveSpec,
    turn: Turn,
) -> Deception:
    """What the generator's penalties can look at, nothing of it computed before one does."""
    chosen = adversarial(spec.loss, turn.pieces)
    told = latents[:, generator.model.latent :]
    critics = generator.model.discriminator.critics
    conditions = repeat_batch(critics, told)[0]

    def features(images: Tensor) -> Tensor:
        copies = repeat_batch(critics, images)[0]
        return at_least_float32(discriminator.forward_features(copies, alpha, conditions).features)

    def disagreement() -> Tensor:
        assert reals is not None
        network = (
            discriminator.network
            if isinstance(discriminator, UnrolledDiscriminator)
            else discriminator
        )
        networks: Networks = {"generator": generator, "discriminator": network}
        batch = reals, latents, alpha
        own = field(networks, *batch, spec.loss, turn.pieces, "generator")
        return half_square(own, turn.field)

    def again() -> Tensor:
        assert encoder is not None and reals is not None
        return reconstruct(generator, encoder, reals, told, alpha)

    def unmasking(images: Tensor) -> Tensor:
        side = chosen.of_reconstructions or chosen.generator
        copies = repeat_batch(critics, images)[0]
        logits = at_least_float32(discriminator(copies, alpha, conditions))
        return reduce_discriminators(side(real_logits, logits), critics, spec.critics)

    return Deception(features, fakes, reals, generator, turn.pieces, disagreement, again, unmasking)
