"""The training loop of one resolution, and its step."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from progan.stages import schedule
from progan.stages.distributed.scalars import AsyncScalars, stack_scalars
from progan.stages.engine import ema
from progan.stages.engine.engine import frozen
from progan.stages.engine.precision import autocast
from progan.stages.engine.update import Objective, StepId, StepReport, Update
from progan.stages.networks.conditioning import with_conditions
from progan.stages.networks.layers import fade
from progan.stages.objectives import constraints
from progan.stages.objectives.adversarial import after_step
from progan.stages.objectives.objective import (
    Turn,
    discriminator_objective,
    generator_objective,
    generator_sees_reals,
)
from progan.stages.objectives.unrolled import UnrolledDiscriminator, unroll
from progan.stages.rng import Purpose
from progan.stages.specs.penalties import noise_shape
from progan.stages.training.stage import Stage
from progan.stages.training.update_hooks import before_update


class Callback(Protocol):
    """Looks after everything that outlives a step: figures, pictures, checkpoints."""

    def signals(self) -> dict[str, float]:
        """What this rank has to say; the mean over all ranks comes back with the step's scalars."""
        ...

    def after_step(self, stage: Stage, report: StepReport) -> bool:
        """See to what is due; whether to go on. All ranks call it after every step.

        On a GPU the step is only queued yet: what reads its report waits for it.
        """
        ...


def train(stage: Stage, recorder: Callback) -> bool:
    """Train one resolution until its images are spent; False if the recorder stops it before."""
    while schedule.phase(stage.images_seen, stage.spec.growth) != "done":
        report = step(stage, recorder.signals)
        stage.images_seen += stage.spec.images_per_step
        stage.position += stage.spec.images_per_step
        if not recorder.after_step(stage, report):
            return False
    return True


def step(stage: Stage, signals: Callable[[], dict[str, float]]) -> StepReport:
    """Update discriminator, generator and average once. Nothing here waits for the device.

    What comes back has the step's scalars and the signals, each the mean over all ranks.
    """
    spec, seen, position = stage.spec, stage.images_seen, stage.position
    alpha = schedule.alpha(seen, spec.growth)
    moment = StepId(spec.resolution, seen, position + spec.images_per_step)

    # A resolution that is fully in is a new problem for Adam.
    if spec.optimizer.reset_on_growth and schedule.becomes_steady(
        seen, spec.images_per_step, spec.growth
    ):
        stage.generator_engine.reset_moments()
        stage.discriminator_engine.reset_moments()

    # Discriminator: tell real from fake at the present blend.
    updates: list[Update] = []
    for kept in range(spec.objective.critic_steps):
        with stage.waiting:
            reals, labels, _ = next(stage.batches)
        latents = stage.rng.latents(Purpose.CRITIC_LATENTS, position, spec.model.noise)
        latents = with_conditions(latents, labels, spec.model)
        again = (stage.replay.draw(position, seen // spec.batch + kept),) if stage.replay else ()
        parts = in_parts(stage, reals, latents, *besides(stage, position), *again)
        number = position // spec.batch
        pairs = ((part[0], part[1]) for part in parts)
        field = before_update(stage, "discriminator", number, alpha, pairs)
        turn = Turn(number, stage.pieces, field)
        objectives = (tell_apart(stage, alpha, turn, None, *part) for part in parts)
        updates.append(stage.discriminator_engine.update(objectives, moment))
        constraints.after_update(stage.discriminator_engine, spec.objective.penalties)
        position += spec.batch

    # Generator: be taken for real, of the classes that were just seen. In a separate phase only the
    # layers that are new learn to.
    latents = stage.rng.latents(Purpose.GENERATOR_LATENTS, position, spec.model.noise)
    latents = with_conditions(latents, labels, spec.model)
    older = (
        stage.generator.previous_layers() if schedule.phase(seen, spec.growth) == "separate" else []
    )
    with frozen(stage.discriminator, *older):
        judge = ahead(stage, alpha, position, reals, labels) if spec.objective.unrolled else None
        seen_too = (reals,) if generator_sees_reals(spec.objective) else ()
        parts = in_parts(stage, latents, *seen_too)
        number = stage.position // spec.images_per_step
        pairs = ((part[1], part[0]) for part in parts)
        field = before_update(stage, "generator", number, alpha, pairs)
        turn = Turn(number, stage.pieces, field)
        objectives = (deceive(stage, alpha, turn, judge, *part) for part in parts)
        updates.append(stage.generator_engine.update(objectives, moment, piggybacked=signals()))

    # Average: what will be exported.
    ema.update(stage.ema, stage.generator, spec.ema.per_step(spec.images_per_step))

    # Remember: what the next step's objective needs of this one.
    means = {name: mean for each in updates for name, mean in each.means.on_device.items()}
    said = after_step(spec.objective.loss, stage.pieces, means)
    return StepReport(updates, AsyncScalars(said, stack_scalars(said)))


def in_parts(stage: Stage, *batch: Tensor) -> list[tuple[Tensor, ...]]:
    """This rank's share of a batch, on its device, in parts that fit its memory."""
    part = stage.spec.part(stage.world.size)
    on_device = [stage.world.to_device(tensor) for tensor in batch]
    return list(zip(*(torch.split(tensor, part) for tensor in on_device), strict=True))


def besides(
    stage: Stage, position: int, purpose: Purpose = Purpose.PENALTY_EPSILON
) -> tuple[Tensor, Tensor]:
    """What penalties draw for this rank's share: factors between real and fake, and noise."""
    spec = stage.spec
    size = spec.model.channels, spec.resolution, spec.resolution
    shape = noise_shape(spec.objective.penalties, size)
    return stage.rng.epsilon(position, purpose), stage.rng.noise(position, shape)


def tell_apart(
    stage: Stage,
    alpha: float,
    turn: Turn,
    judge: UnrolledDiscriminator | None,
    reals: Tensor,
    latents: Tensor,
    mix: Tensor,
    noise: Tensor,
    again: Tensor | None = None,
) -> Objective:
    """The discriminator's objective on one part of a batch, in the stage's precision.

    judge: the discriminator some steps ahead, if that is meant, whose loss the generator's update
    goes through; again: which past fakes to show, if any are kept.
    """
    networks = stage.generator, judge or stage.discriminator
    batch = fade(reals, alpha), latents, mix

    def mingle(fakes: Tensor) -> Tensor:
        return stage.replay.mingle(fakes, again) if stage.replay and again is not None else fakes

    with autocast(stage.spec.engine, stage.world.device.type):
        return discriminator_objective(
            *networks, *batch, alpha, stage.spec.objective, turn,
            noise=noise, mingle=mingle, through_fakes=judge is not None,
        )  # fmt: skip


def ahead(
    stage: Stage, alpha: float, position: int, reals: Tensor, labels: Tensor
) -> UnrolledDiscriminator:
    """The discriminator some steps on, each on these reals and on fakes and factors of its own.

    Every rank takes the same steps, down the gradients that they share; nothing of the
    discriminator or its engine is changed. A rank's share of the batch is taken as a whole.
    """
    spec, draws, steps = stage.spec, stage.rng, stage.spec.objective.unrolled

    def step_down(index: int) -> Callable[[UnrolledDiscriminator], Tensor]:
        key = position * steps + index
        latents = draws.latents(Purpose.UNROLLED_LATENTS, key, spec.model.noise)
        latents = with_conditions(latents, labels, spec.model)
        (batch,) = in_parts(stage, reals, latents, *besides(stage, key, Purpose.UNROLLED_EPSILON))
        number = position // spec.batch + index
        turn = Turn(number, stage.pieces)
        return lambda network: tell_apart(stage, alpha, turn, network, *batch).loss

    engine = stage.discriminator_engine
    return unroll(
        stage.discriminator,
        engine.flat_moments(),
        spec.optimizer,
        spec.rates["discriminator"],
        map(step_down, range(steps)),
        stage.world.all_reduce_mean_grad,
        engine.loss_factor,
    )


def deceive(
    stage: Stage,
    alpha: float,
    turn: Turn,
    judge: UnrolledDiscriminator | None,
    latents: Tensor,
    reals: Tensor | None = None,
) -> Objective:
    """The generator's objective on one part of a batch, in the stage's precision.

    judge: who is to be deceived, if not the discriminator as it is.
    """
    networks = stage.generator, judge or stage.discriminator
    seen = None if reals is None else fade(reals, alpha)
    with autocast(stage.spec.engine, stage.world.device.type):
        return generator_objective(
            *networks, latents, alpha, stage.spec.objective, seen, turn, stage.encoder
        )
