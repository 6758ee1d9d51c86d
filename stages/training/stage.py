"""One resolution in training: networks, engines, data and the count that all else follows from.

New, grown from the previous resolution, or restored from a checkpoint.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import nn

from progan.datasets.loader import Batches
from progan.stages.distributed.world import World
from progan.stages.engine.compile import compile_passes
from progan.stages.engine.precision import set_memory_format
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.encoder import Encoder, generator_module
from progan.stages.networks.generator import Generator
from progan.stages.networks.multi_discriminator import MultiDiscriminator
from progan.stages.objectives import objective
from progan.stages.objectives.augment.adaptation import adaptations
from progan.stages.objectives.augment.augmentation import Augmentation, make_augmentation
from progan.stages.objectives.passes import Side
from progan.stages.objectives.replay_buffer import Replay, make_replay
from progan.stages.objectives.term import Term
from progan.stages.rng import RngStreams
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.checkpoint import Checkpoint
from progan.stages.storage.final import Final, read_final
from progan.stages.storage.rollback import Rollback, resume_position
from progan.stages.storage.tensors import parameters
from progan.stages.training.networks import Networks, load_weights
from progan.stages.training.usage import Stopwatch

if TYPE_CHECKING:
    from progan.stages.engine.engine import Engine


@dataclass
class Stage:
    """What a step works on. `images_seen` and `position` are all that says how far it is."""

    spec: StageSpec
    world: World
    generator: Generator
    discriminator: Discriminator | MultiDiscriminator
    ema: Generator
    """The generator's moving average, whole on every rank"""
    encoder: Encoder | None
    """Trained by the generator's engine, where a penalty needs one"""
    generator_engine: "Engine"
    discriminator_engine: "Engine"
    batches: Batches
    rng: RngStreams
    images_seen: int
    position: int
    """In the stream of reals and random numbers: `images_seen` and what was passed over"""
    terms: list[Term]
    """The terms of both objectives; some have state (BEGAN, historical averages)"""
    replay: Replay | None
    augmentation: Augmentation | None = None
    waiting: Stopwatch = field(default_factory=Stopwatch)
    """Runs while the step waits for its pictures"""

    def networks(self) -> dict[str, nn.Module]:
        """All that have weights, by the names of their files."""
        found = Networks(self.generator, self.discriminator, self.ema, self.encoder).by_name()
        return {str(name): network for name, network in found.items()}

    def checkpoint(self, running_means: dict[str, object]) -> Checkpoint:
        """The stage's state in memory. All ranks must call it."""
        engines = {"generator": self.generator_engine, "discriminator": self.discriminator_engine}
        moments = {
            f"{name}.{key}": value
            for name, engine in engines.items()
            for key, value in engine.moments().items()
        }
        tensors = {name: parameters(network) for name, network in self.networks().items()}
        tensors["optimizer"] = moments
        if remembered := objective.state(self.terms):
            tensors["pieces"] = {k: v.detach().cpu().clone() for k, v in remembered.items()}
        if self.replay:
            tensors["replay"] = self.replay.state(self.world)
        return Checkpoint(self.images_seen, self.position, tensors, running_means)

    def final(self) -> Final:
        """What the finished stage says of itself."""
        return Final(
            resolution=self.spec.resolution,
            images_seen=self.images_seen,
            model=self.spec.model,
            seed=self.spec.seed,
            data_fingerprint=self.spec.data_fingerprint,
            classes=tuple(self.batches.manifest.classes or ()) if self.spec.model.classes else (),
            augment_p=self.augmentation.p if self.augmentation else None,
        )


def build(
    spec: StageSpec, world: World, checkpoint: Checkpoint | None, rollbacks: list[Rollback]
) -> Stage:
    """Put a stage together on this rank, where the checkpoint left it if there is one."""
    position = resume_position(checkpoint.position if checkpoint else 0, rollbacks)
    networks = Networks.drawn(spec)
    load_weights(networks, spec, checkpoint)
    batches = Batches(
        spec.data,
        spec.resolution,
        seed=spec.seed,
        batch=spec.batch,
        rank=world.rank,
        world_size=world.size,
        position=position,
        device=world.device,
        holdout=spec.metrics.holdout,
    )
    stage = assemble(spec, world, networks, batches, position)
    if checkpoint:
        stage.images_seen = checkpoint.images_seen
        _restore(stage, checkpoint)
    elif spec.grown_from and stage.augmentation:
        stage.augmentation.begin_with(read_final(spec.grown_from).augment_p or 0.0)
    return stage


def assemble(
    spec: StageSpec, world: World, networks: Networks, batches: Batches, position: int
) -> Stage:
    """A stage that has seen no images yet, of these networks, which are moved to the device."""
    # DeepSpeed takes seconds to load and prints; the memory estimate needs a Stage without it.
    from progan.stages.engine.engine import Engine

    for network in networks.by_name().values():
        network.to(world.device)
        set_memory_format(network, spec.engine)

    generator, discriminator, encoder = (
        networks.generator,
        networks.discriminator,
        networks.encoder,
    )
    generator_engine = Engine("generator", generator_module(generator, encoder), spec, world)
    discriminator_engine = Engine("discriminator", discriminator, spec, world)
    if spec.compile != "off":
        compile_passes(generator, discriminator, encoder, spec.compile)
    trained: dict[Side, nn.Module] = {"generator": generator, "discriminator": discriminator}
    rng = RngStreams(spec.seed, spec.resolution, spec.batch, world.rank, world.size)
    augmentation = make_augmentation(spec.augment, world.device)
    terms = objective.make_terms(spec.objective, trained, world.device)
    return Stage(
        spec=spec,
        world=world,
        generator=generator,
        discriminator=discriminator,
        ema=networks.ema,
        encoder=encoder,
        generator_engine=generator_engine,
        discriminator_engine=discriminator_engine,
        batches=batches,
        rng=rng,
        images_seen=0,
        position=position,
        terms=terms + adaptations(spec, augmentation),
        replay=make_replay(spec, rng, world.device),
        augmentation=augmentation,
    )


def _restore(stage: Stage, checkpoint: Checkpoint) -> None:
    """Set what a checkpoint holds besides the weights."""
    for engine in (stage.generator_engine, stage.discriminator_engine):
        prefix = f"{engine.name}."
        state = checkpoint.tensors["optimizer"].items()
        engine.load_moments({k.removeprefix(prefix): v for k, v in state if k.startswith(prefix)})
    objective.restore(stage.terms, checkpoint.tensors.get("pieces", {}))
    if stage.replay:
        stage.replay.load(checkpoint.tensors["replay"])
