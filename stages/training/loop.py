"""The training loop of one resolution, and its step."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from typing import Protocol

from torch import Tensor

from progan.stages import schedule
from progan.stages.distributed.scalars import AsyncScalars, stack_scalars
from progan.stages.engine import ema
from progan.stages.engine.compile import begin_micro_batch
from progan.stages.engine.frozen import frozen
from progan.stages.engine.precision import autocast, memory_format
from progan.stages.engine.update import (
    NOTHING_PIGGYBACKED,
    Objective,
    StepId,
    StepReport,
    Update,
)
from progan.stages.networks.conditioning import with_conditions
from progan.stages.networks.weights.weighted_layer import prepared_kernels
from progan.stages.objectives.objective import objective
from progan.stages.objectives.passes import (
    PASSES,
    Batch,
    DiscriminatorPass,
    GeneratorPass,
    Players,
    Side,
)
from progan.stages.objectives.unrolled import UnrolledDiscriminator, unroll
from progan.stages.rng import Purpose
from progan.stages.specs.penalties import noise_shape
from progan.stages.training.stage import Stage


class Callback(Protocol):
    """Takes care of everything that outlives a step: scalars, sample grids, checkpoints."""

    def local_metrics(self) -> dict[str, float]:
        """Numbers of this rank; their means over all ranks come back with the step's scalars."""
        ...

    def after_step(self, stage: Stage, report: StepReport) -> bool:
        """Do what is due; returns whether to go on. All ranks call it after every step.

        On a GPU the step is only queued yet: reading its report waits for it.
        """
        ...


def train(stage: Stage, recorder: Callback) -> bool:
    """Train one resolution until all its images are shown; False if the recorder stops it first."""
    while schedule.phase(stage.images_seen, stage.spec.growth) != "done":
        report = step(stage, recorder.local_metrics)
        stage.images_seen += stage.spec.images_per_step
        stage.position += stage.spec.images_per_step
        if not recorder.after_step(stage, report):
            return False
    return True


def step(stage: Stage, local_metrics: Callable[[], dict[str, float]]) -> StepReport:
    """Update discriminator, generator and average once. Nothing here waits for the device.

    Returns the step's scalars and the local metrics, each averaged over all ranks.
    """
    spec, seen, position = stage.spec, stage.images_seen, stage.position
    step_id = StepId(spec.resolution, seen, position + spec.images_per_step)
    players = Players(
        stage.generator, stage.discriminator, stage.encoder, stage.replay, stage.augmentation
    )

    # A resolution that is fully in is a new problem for Adam.
    if spec.optimizer.reset_on_growth and schedule.becomes_steady(
        seen, spec.images_per_step, spec.growth
    ):
        stage.generator_engine.reset_moments()
        stage.discriminator_engine.reset_moments()

    # Discriminator: tell real from fake at the present blend.
    updates: list[Update] = []
    for number in range(spec.objective.critic_steps):
        with stage.waiting:
            loaded = next(stage.batches)
        reals, labels = loaded.images(), loaded.labels
        batch = discriminator_batch(stage, position, reals, labels, seen // spec.batch + number)
        updates.append(
            update(stage, players, "discriminator", batch, position // spec.batch, step_id)
        )
        position += spec.batch

    # Generator: fakes that the discriminator calls real, of the classes it saw last. In a separate
    # phase only the new layers learn.
    previous = schedule.phase(seen, spec.growth) == "separate"
    with frozen(stage.discriminator, *(stage.generator.previous_layers() if previous else ())):
        if spec.objective.unrolled:
            players = unrolled(stage, players, position, reals, labels)
        latents = draw_latents(stage, Purpose.GENERATOR_LATENTS, position, labels)
        needs_reals = any(term.generator_needs_reals for term in stage.terms)
        augmentation = augmentation_draws(stage, Purpose.GENERATOR_AUGMENTATION, position)
        batch = Batch(latents, reals if needs_reals else None, augmentation=augmentation)
        number = stage.position // spec.images_per_step
        updates.append(update(stage, players, "generator", batch, number, step_id, local_metrics()))

    # Average: what will be exported.
    ema.update(stage.ema, stage.generator, spec.ema.per_step(spec.images_per_step, seen))

    # What terms remember of this step.
    means = {name: mean for each in updates for name, mean in each.means.on_device.items()}
    logged = {name: x for term in stage.terms for name, x in term.after_step(means).items()}
    return StepReport(updates, AsyncScalars(logged, stack_scalars(logged)))


def update(
    stage: Stage,
    players: Players,
    side: Side,
    batch: Batch,
    number: int,
    step_id: StepId,
    piggybacked: Mapping[str, float] = NOTHING_PIGGYBACKED,
) -> Update:
    """Update one network on a batch, micro-batch by micro-batch, in the stage's precision.

    number: updates that the network has had in this stage.
    """
    spec, device = stage.spec, stage.world.device
    alpha = schedule.alpha(stage.images_seen, spec.growth)
    engine = {"generator": stage.generator_engine, "discriminator": stage.discriminator_engine}[
        side
    ]
    micro_batches = batch.to_device(stage.world).split(spec.rank_micro_batch(stage.world.size))

    def passes() -> Iterator[DiscriminatorPass | GeneratorPass]:
        return (PASSES[side](players, micro_batch, alpha) for micro_batch in micro_batches)

    def objectives() -> Iterator[Objective]:
        for p in passes():
            begin_micro_batch(spec.compile)
            with ExitStack() as until_backward:
                with autocast(spec.engine, device.type):
                    until_backward.enter_context(kernels(stage))
                    found = objective(stage.terms, p, number)
                del p  # its activations
                yield found  # to its backward pass, which recomputes blocks with the same kernels

    for term in stage.terms:
        term.before_update(side, players.networks[side])
    for term in stage.terms:
        if number % term.interval == 0:
            with autocast(spec.engine, device.type):
                term.prepare(side, passes, stage.world)
    done = engine.update(objectives(), step_id, piggybacked)
    for term in stage.terms:
        term.after_update(side, engine)
    return done


def kernels(stage: Stage) -> AbstractContextManager[None]:
    """Inside, every weight is scaled, cast and laid out once; compiled passes do it themselves."""
    if stage.spec.compile != "off":
        return nullcontext()
    networks = stage.generator, stage.discriminator, stage.encoder
    return prepared_kernels(filter(None, networks), memory_format(stage.spec.engine))


def discriminator_batch(
    stage: Stage, position: int, reals: Tensor, labels: Tensor, updates: int
) -> Batch:
    """This rank's slice of a batch for the discriminator. updates: those before it, for replay."""
    latents = draw_latents(stage, Purpose.CRITIC_LATENTS, position, labels)
    epsilon, noise = penalty_draws(stage, Purpose.PENALTY_EPSILON, position)
    rows = stage.replay.draw(position, updates) if stage.replay else None
    augmentation = augmentation_draws(stage, Purpose.CRITIC_AUGMENTATION, position)
    return Batch(latents, reals, epsilon, noise, rows, augmentation)


def draw_latents(stage: Stage, purpose: Purpose, position: int, labels: Tensor) -> Tensor:
    """The generator's inputs for this rank's slice, classes and codes among them."""
    latents = stage.rng.latents(purpose, position, stage.spec.model.noise)
    return with_conditions(latents, labels, stage.spec.model)


def penalty_draws(stage: Stage, purpose: Purpose, position: int) -> tuple[Tensor, Tensor]:
    """Epsilon and noise for this rank's slice (see Batch)."""
    spec = stage.spec
    size = spec.model.channels, spec.resolution, spec.resolution
    noise = stage.rng.noise(position, noise_shape(spec.objective.penalties, size))
    return stage.rng.epsilon(position, purpose), noise


def augmentation_draws(stage: Stage, purpose: Purpose, position: int) -> Tensor | None:
    """How to augment this rank's slice of a batch (see Batch); None if nothing is augmented."""
    if stage.augmentation is None:
        return None
    return stage.rng.uniforms(purpose, position, 2 * stage.augmentation.draws)


def unrolled(
    stage: Stage, players: Players, position: int, reals: Tensor, labels: Tensor
) -> Players:
    """The same players, but the discriminator some steps ahead; each step draws its own fakes.

    All steps see these reals. Every rank takes the same steps, by gradients averaged over the
    ranks; neither the discriminator nor its engine changes. A rank's slice is not split.
    """
    spec, steps = stage.spec, stage.spec.objective.unrolled
    alpha = schedule.alpha(stage.images_seen, spec.growth)

    def loss_at(index: int) -> Callable[[UnrolledDiscriminator], Tensor]:
        key = position * steps + index
        latents = draw_latents(stage, Purpose.UNROLLED_LATENTS, key, labels)
        draws = penalty_draws(stage, Purpose.UNROLLED_EPSILON, key)
        augmentation = augmentation_draws(stage, Purpose.UNROLLED_AUGMENTATION, key)
        batch = Batch(latents, reals, *draws, augmentation=augmentation).to_device(stage.world)

        def loss(ahead: UnrolledDiscriminator) -> Tensor:
            against = replace(players, discriminator=ahead, replay=None)
            p = DiscriminatorPass(against, batch, alpha)
            with autocast(spec.engine, stage.world.device.type):
                return objective(stage.terms, p, position // spec.batch + index).loss

        return loss

    engine = stage.discriminator_engine
    ahead = unroll(
        stage.discriminator,
        engine.flat_moments(),
        spec.optimizer,
        spec.rates["discriminator"],
        map(loss_at, range(steps)),
        stage.world.all_reduce_mean_grad,
        engine.loss_factor,
    )
    return replace(players, discriminator=ahead)
