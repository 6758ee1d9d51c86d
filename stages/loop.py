"""The training loop of one resolution, and its step."""

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from progan.stages import ema, growth
from progan.stages.engine import frozen
from progan.stages.losses import loss as adversarial
from progan.stages.precision import autocast
from progan.stages.randomness import Purpose
from progan.stages.reals import fade
from progan.stages.stage import Stage
from progan.stages.steps import Objective, discriminator_objective, generator_objective
from progan.stages.unrolled import Ahead, look_ahead


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
    for turn in range(spec.objective.critic_steps):
        with stage.waiting:
            reals = next(stage.batches).images
        latents = stage.draws.latents(Purpose.CRITIC_LATENTS, position, spec.model.latent)
        again = (stage.replay.draw(position, seen // spec.batch + turn),) if stage.replay else ()
        parts = in_parts(stage, reals, latents, stage.draws.mix(position), *again)
        number = position // spec.batch
        objectives = (tell_apart(stage, alpha, number, None, *part) for part in parts)
        scalars |= stage.discriminator_engine.update(objectives, where)
        position += spec.batch

    # Generator: be taken for real.
    latents = stage.draws.latents(Purpose.GENERATOR_LATENTS, position, spec.model.latent)
    with frozen(stage.discriminator):
        judge = ahead(stage, alpha, position, reals) if spec.objective.unrolled else None
        sees_reals = judge is not None or adversarial(spec.objective.loss).generator_sees_reals
        seen_too = (reals,) if sees_reals else ()
        parts = in_parts(stage, latents, *seen_too)
        objectives = (deceive(stage, alpha, judge, *part) for part in parts)
        scalars |= stage.generator_engine.update(objectives, where, riders=signals())

    # Average: what will be exported.
    ema.update(stage.average, stage.generator, spec.ema.per_step(spec.images_per_step))
    return scalars


def in_parts(stage: Stage, *batch: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """This rank's share of a batch, on its device, in parts that fit its memory."""
    part = stage.spec.part(stage.world.size)
    on_device = [tensor.to(stage.world.device, non_blocking=True) for tensor in batch]
    return zip(*(torch.split(tensor, part) for tensor in on_device), strict=True)


def tell_apart(
    stage: Stage,
    alpha: float,
    update: int,
    network: Ahead | None,
    reals: Tensor,
    latents: Tensor,
    mix: Tensor,
    again: Tensor | None = None,
) -> Objective:
    """The discriminator's objective on one part of a batch, in the stage's precision.

    network: the discriminator some steps ahead, if that is meant, whose loss the generator's update
    goes through; again: which past fakes to show, if any are kept.
    """
    networks = stage.generator, network or stage.discriminator
    batch = fade(reals, alpha), latents, mix

    def mingle(fakes: Tensor) -> Tensor:
        return stage.replay.mingle(fakes, again) if stage.replay and again is not None else fakes

    with autocast(stage.spec.engine, stage.world.device.type):
        return discriminator_objective(
            *networks, *batch, alpha, stage.spec.objective, update,
            mingle=mingle, through_fakes=network is not None,
        )  # fmt: skip


def ahead(stage: Stage, alpha: float, position: int, reals: Tensor) -> Ahead:
    """The discriminator some steps on, each on these reals and on fakes and factors of its own.

    Every rank takes the same steps, down the gradients that they share; nothing of the
    discriminator or its engine is changed. A rank's share of the batch is taken as a whole.
    """
    spec, draws, steps = stage.spec, stage.draws, stage.spec.objective.unrolled

    def step_down(turn: int) -> Callable[[Ahead], Tensor]:
        key = position * steps + turn
        latents = draws.latents(Purpose.UNROLLED_LATENTS, key, spec.model.latent)
        (batch,) = in_parts(stage, reals, latents, draws.mix(key, Purpose.UNROLLED_MIX))
        number = position // spec.batch + turn
        return lambda network: tell_apart(stage, alpha, number, network, *batch).loss

    engine = stage.discriminator_engine
    return look_ahead(
        stage.discriminator,
        engine.flat_moments(),
        spec.optimizer,
        spec.rates["discriminator"],
        map(step_down, range(steps)),
        stage.world.average,
        engine.loss_factor,
    )


def deceive(
    stage: Stage,
    alpha: float,
    judge: Ahead | None,
    latents: Tensor,
    reals: Tensor | None = None,
) -> Objective:
    """The generator's objective on one part of a batch, in the stage's precision.

    judge: who is to be deceived, if not the discriminator as it is.
    """
    networks = stage.generator, judge or stage.discriminator
    seen = None if reals is None else fade(reals, alpha)
    with autocast(stage.spec.engine, stage.world.device.type):
        return generator_objective(*networks, latents, alpha, stage.spec.objective, seen)
