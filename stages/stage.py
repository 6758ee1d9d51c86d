"""One resolution in the making: networks, engines, data and the count that all else follows from.

Built anew, grown from the previous resolution, or restored from a checkpoint.
"""

import copy
from dataclasses import dataclass, field

import torch

from progan.datasets.loader import Batches
from progan.stages import handoff
from progan.stages.checkpoint import Checkpoint
from progan.stages.engine import Engine
from progan.stages.final import Final
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.precision import memory_format
from progan.stages.published import Network
from progan.stages.randomness import Draws, weight_seed
from progan.stages.rollback import Rollback, past
from progan.stages.spec import StageSpec
from progan.stages.tensors import parameters
from progan.stages.usage import Stopwatch
from progan.stages.world import World


@dataclass
class Stage:
    """What a step works on. `images_seen` and `position` are all that says how far it is."""

    spec: StageSpec
    world: World
    generator: Generator
    discriminator: Discriminator
    average: Generator
    """The generator's moving average, whole on every rank"""
    generator_engine: Engine
    discriminator_engine: Engine
    batches: Batches
    draws: Draws
    images_seen: int
    position: int
    """In the stream of reals and random numbers: `images_seen` and what was passed over"""
    waiting: Stopwatch = field(default_factory=Stopwatch)
    """Runs while the step waits for its pictures"""

    def checkpoint(self, tally: dict[str, object]) -> Checkpoint:
        """The stage's state in memory. All ranks must call it."""
        engines = {"generator": self.generator_engine, "discriminator": self.discriminator_engine}
        moments = {
            f"{name}.{key}": value
            for name, engine in engines.items()
            for key, value in engine.moments().items()
        }
        tensors = {
            "generator": parameters(self.generator),
            "discriminator": parameters(self.discriminator),
            "ema": parameters(self.average),
            "optimizer": moments,
        }
        return Checkpoint(self.images_seen, self.position, tensors, tally)

    def final(self) -> Final:
        """What the finished stage says of itself."""
        return Final(
            resolution=self.spec.resolution,
            images_seen=self.images_seen,
            model=self.spec.model,
            seed=self.spec.seed,
            data_fingerprint=self.spec.data_fingerprint,
        )


def build(
    spec: StageSpec, world: World, checkpoint: Checkpoint | None, rollbacks: list[Rollback]
) -> Stage:
    """Put a stage together on this rank, where the checkpoint left it if there is one."""
    position = past(checkpoint.position if checkpoint else 0, rollbacks)
    generator, discriminator, average = _networks(spec, checkpoint)
    for network in (generator, discriminator, average):
        network.to(world.device)
        network.memory_format = memory_format(spec.engine)
    average.requires_grad_(False)

    generator_engine = Engine("generator", generator, spec, world)
    discriminator_engine = Engine("discriminator", discriminator, spec, world)
    if checkpoint:
        for engine in (generator_engine, discriminator_engine):
            prefix = f"{engine.name}."
            state = checkpoint.tensors["optimizer"].items()
            engine.load_moments(
                {k.removeprefix(prefix): v for k, v in state if k.startswith(prefix)}
            )

    batches = Batches(
        spec.data,
        spec.resolution,
        seed=spec.seed,
        batch=spec.batch,
        rank=world.rank,
        world_size=world.size,
        position=position,
    )
    draws = Draws(spec.seed, spec.resolution, spec.batch, world.rank, world.size)
    return Stage(
        spec=spec,
        world=world,
        generator=generator,
        discriminator=discriminator,
        average=average,
        generator_engine=generator_engine,
        discriminator_engine=discriminator_engine,
        batches=batches,
        draws=draws,
        images_seen=checkpoint.images_seen if checkpoint else 0,
        position=position,
    )


def _networks(
    spec: StageSpec, checkpoint: Checkpoint | None
) -> tuple[Generator, Discriminator, Generator]:
    """Generator, discriminator and average with the weights the stage begins or goes on with.

    New weights are the same on every rank, and whatever the ranks: all draw from one seed.
    """
    torch.manual_seed(weight_seed(spec.seed, spec.resolution))
    fading = spec.grown_from is not None
    recompute_from = spec.engine.activation_checkpointing
    shape = spec.model, spec.resolution
    generator = Generator(*shape, fading=fading, recompute_from=recompute_from)
    discriminator = Discriminator(*shape, fading=fading, recompute_from=recompute_from)
    average = copy.deepcopy(generator)
    networks: dict[Network, Generator | Discriminator] = {
        "generator": generator,
        "discriminator": discriminator,
        "ema": average,
    }
    if spec.init and not checkpoint:
        handoff.start_from(networks, spec.init)
    for name, network in networks.items():
        if checkpoint:
            network.load_state_dict(checkpoint.tensors[name])
        elif spec.grown_from:
            handoff.grow(network, handoff.load(spec.grown_from, name), spec.resolution)
    return generator, discriminator, average
