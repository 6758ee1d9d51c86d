"""The training loop of one resolution, and its step."""

from typing import Protocol

import torch

from progan.stages import ema, growth
from progan.stages.engine import frozen
from progan.stages.randomness import Purpose
from progan.stages.reals import fade
from progan.stages.stage import Stage
from progan.stages.steps import Objective, discriminator_objective, generator_objective


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
        scalars = step(stage, keeper.signals())
        stage.images_seen += stage.spec.images_per_step
        if not keeper.after_step(stage, scalars):
            return False
    return True


def step(stage: Stage, signals: dict[str, float]) -> dict[str, float]:
    """Update discriminator, generator and average once.

    Returns the step's scalars and the signals, each the mean over all ranks.
    """
    spec, seen, device = stage.spec, stage.images_seen, stage.world.device
    alpha = growth.alpha(seen, spec.growth)
    where = f"{spec.resolution}x{spec.resolution} after {seen} images"
    autocast = torch.autocast(
        device.type, torch.bfloat16, enabled=spec.engine.precision == "bf16", cache_enabled=False
    )

    # A resolution that is fully in is a new problem for Adam.
    if spec.optimizer.reset_on_growth and growth.becomes_steady(
        seen, spec.images_per_step, spec.growth
    ):
        stage.generator_engine.reset_moments()
        stage.discriminator_engine.reset_moments()

    # Discriminator: tell real from fake at the present blend.
    scalars: dict[str, float] = {}
    for _ in range(spec.objective.critic_steps):
        reals = fade(next(stage.batches).images.to(device, non_blocking=True), alpha)
        latents = stage.draws.latents(Purpose.CRITIC_LATENTS, seen, spec.model.latent)
        mix = stage.draws.mix(seen)
        with autocast:
            objective = discriminator_objective(
                stage.generator,
                stage.discriminator,
                reals,
                latents.to(device),
                mix.to(device),
                alpha,
                spec.objective,
            )
        scalars |= stage.discriminator_engine.update(objective, where)
        seen += spec.batch

    # Generator: be taken for real.
    latents = stage.draws.latents(Purpose.GENERATOR_LATENTS, seen, spec.model.latent)
    with frozen(stage.discriminator):
        with autocast:
            objective = generator_objective(
                stage.generator, stage.discriminator, latents.to(device), alpha, spec.objective
            )
        objective = with_signals(objective, signals)
        scalars |= stage.generator_engine.update(objective, where)

    # Average: what will be exported.
    ema.update(stage.average, stage.generator, spec.ema.per_step(spec.images_per_step))
    return scalars


def with_signals(objective: Objective, signals: dict[str, float]) -> Objective:
    """Let the ranks' signals ride on the all-reduce of the objective's scalars."""
    riders = {name: objective.loss.new_tensor(value) for name, value in signals.items()}
    return objective._replace(scalars=objective.scalars | riders)
