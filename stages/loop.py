"""The training loop of one resolution, and its step."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from progan.stages import constraints, ema, growth
from progan.stages.before_update import before_update
from progan.stages.engine import frozen
from progan.stages.losses import after_step
from progan.stages.precision import autocast
from progan.stages.randomness import Purpose
from progan.stages.reals import fade
from progan.stages.spec_penalties import noise_shape
from progan.stages.stage import Stage
from progan.stages.steps import (
    Objective,
    discriminator_objective,
    generator_objective,
    generator_sees_reals,
)


class Keeper(Protocol):
    """Looks after everything that outlives a step: figures, pictures, checkpoints."""

    def signals(self) -> dict[str, float]:
        """What this rank has to say; the mean over all ranks comes back with the step's scalars."""
        ...

    def after_step(self, stage: Stage, scalars: dict[str, float]) -> bool:
        """Look at what a step did; whether to go on. All ranks call it after every step."""
        ...


def train(stage: Stage, keeper: Keeper) -> bool:
    """Train one resolution until its images are spent; False if the keeper wants to stop before."""
    while growth.phase(stage.images_seen, stage.spec.growth) != "done":
        scalars = step(stage, keeper.signals)
        stage.images_seen += stage.spec.images_per_step
        stage.position += stage.spec.images_per_step
        if not keeper.after_step(stage, scalars):
            return False
    return True


def step(stage: Stage, signals: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Update discriminator, generator and average once.

    Returns the step's scalars and the signals, each the mean over all ranks.
    """
    spec, seen, position = stage.spec, stage.images_seen, stage.position
    alpha = growth.alpha(seen, spec.growth)
    where = f"{spec.resolution}x{spec.resolution} after {seen} images"

    # A resolution that is fully in is a new problem for Adam.
    if spec.optimizer.reset_on_growth and growth.becomes_steady(
        seen, spec.images_per_step, spec.growth
    ):
        stage.generator_engine.reset_moments()
        stage.discriminator_engine.reset_moments()

    # Discriminator: tell real from fake at the present blend.
    scalars: dict[str, float] = {}
    for _ in range(spec.objective.critic_steps):
        with stage.waiting:
            reals = next(stage.batches).images
        latents = stage.draws.latents(Purpose.CRITIC_LATENTS, position, spec.model.latent)
        noise = stage.draws.noise(position, noise_shape(spec.objective.penalties, reals.shape[1:]))
        parts = in_parts(stage, reals, latents, stage.draws.mix(position), noise)
        number = position // spec.batch
        pairs = ((part[0], part[1]) for part in parts)
        field = before_update(stage, "discriminator", number, alpha, pairs)
        objectives = (tell_apart(stage, alpha, number, field, *part) for part in parts)
        scalars |= stage.discriminator_engine.update(objectives, where)
        constraints.after_update(stage.discriminator_engine, spec.objective.penalties)
        position += spec.batch

    # Generator: be taken for real.
    latents = stage.draws.latents(Purpose.GENERATOR_LATENTS, position, spec.model.latent)
    with frozen(stage.discriminator):
        seen_too = (reals,) if generator_sees_reals(spec.objective) else ()
        parts = in_parts(stage, latents, *seen_too)
        number = stage.position // spec.images_per_step
        pairs = ((part[1], part[0]) for part in parts)
        field = before_update(stage, "generator", number, alpha, pairs)
        objectives = (deceive(stage, alpha, number, field, *part) for part in parts)
        scalars |= stage.generator_engine.update(objectives, where, riders=signals())

    scalars |= after_step(spec.objective.loss, stage.pieces, scalars)

    # Average: what will be exported.
    ema.update(stage.average, stage.generator, spec.ema.per_step(spec.images_per_step))
    return scalars


def in_parts(stage: Stage, *batch: Tensor) -> list[tuple[Tensor, ...]]:
    """This rank's share of a batch, on its device, in parts that fit its memory."""
    part = stage.spec.part(stage.world.size)
    on_device = [tensor.to(stage.world.device, non_blocking=True) for tensor in batch]
    return list(zip(*(torch.split(tensor, part) for tensor in on_device), strict=True))


def tell_apart(
    stage: Stage,
    alpha: float,
    update: int,
    field: list[Tensor],
    reals: Tensor,
    latents: Tensor,
    mix: Tensor,
    noise: Tensor,
) -> Objective:
    """The discriminator's objective on one part of a batch, in the stage's precision."""
    networks = stage.generator, stage.discriminator
    with autocast(stage.spec.engine, stage.world.device.type):
        return discriminator_objective(
            *networks,
            fade(reals, alpha),
            latents,
            mix,
            alpha,
            stage.spec.objective,
            update,
            noise,
            stage.pieces,
            field,
        )


def deceive(
    stage: Stage,
    alpha: float,
    update: int,
    field: list[Tensor],
    latents: Tensor,
    reals: Tensor | None = None,
) -> Objective:
    """The generator's objective on one part of a batch, in the stage's precision."""
    networks = stage.generator, stage.discriminator
    seen = None if reals is None else fade(reals, alpha)
    with autocast(stage.spec.engine, stage.world.device.type):
        return generator_objective(
            *networks, latents, alpha, stage.spec.objective, seen, update, stage.pieces, field
        )
