"""Objectives of networks and tensors at hand, and penalties of what a pass would give them."""

from types import SimpleNamespace
from typing import Any

from torch import Tensor

from progan.stages.engine.update import Objective, StepId
from progan.stages.objectives.objective import TERMS, make_terms, objective
from progan.stages.objectives.passes import Batch, DiscriminatorPass, GeneratorPass, Players
from progan.stages.specs.objective import ObjectiveSpec

HERE = StepId(resolution=8, images_seen=0, end=16)
"""Of updates that are not part of a run"""


def discriminator_objective(
    generator: Any,
    discriminator: Any,
    reals: Tensor,
    latents: Tensor,
    epsilon: Tensor,
    alpha: float,
    spec: ObjectiveSpec,
    *,
    update: int = 0,
) -> Objective:
    """The discriminator's, on one micro-batch."""
    players = Players(generator, discriminator)
    p = DiscriminatorPass(players, Batch(latents, reals, epsilon), alpha)
    return objective(make_terms(spec, players.networks), p, update)


def generator_objective(
    generator: Any,
    discriminator: Any,
    latents: Tensor,
    alpha: float,
    spec: ObjectiveSpec,
    reals: Tensor | None = None,
    encoder: Any = None,
) -> Objective:
    """The generator's, on one micro-batch."""
    players = Players(generator, discriminator, encoder)
    p = GeneratorPass(players, Batch(latents, reals), alpha)
    return objective(make_terms(spec, players.networks), p, 0)


def discriminator_penalty(spec: Any, **seen: Any) -> Tensor:
    """A penalty's values, of what it looks at in a DiscriminatorPass."""
    term: Any = TERMS[spec.kind](spec, SimpleNamespace(loss=None), {})  # type: ignore[arg-type]
    values: Tensor = term.of_discriminator(SimpleNamespace(**seen))
    return values


def generator_penalty(spec: Any, adversarial: Any = None, **seen: Any) -> Tensor:
    """A penalty's values, of what it looks at in a GeneratorPass."""
    term: Any = TERMS[spec.kind](spec, adversarial, {})
    values: Tensor = term.of_generator(SimpleNamespace(**seen))
    return values
