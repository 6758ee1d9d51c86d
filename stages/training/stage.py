"""One resolution in the making: networks, engines, data and the count that all else follows from.

Built anew, grown from the previous resolution, or restored from a checkpoint.
"""

import copy
from dataclasses import dataclass, field

import torch
from torch import nn

from progan.datasets.loader import Batches
from progan.stages.distributed.world import World
from progan.stages.engine.compile import compile_passes
from progan.stages.engine.engine import Engine
from progan.stages.engine.precision import memory_format
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.encoder import Encoder, make_encoder, together
from progan.stages.networks.generator import Generator
from progan.stages.networks.multi_discriminator import MultiDiscriminator, make_discriminator
from progan.stages.objectives import constraints
from progan.stages.objectives.replay_buffer import Replay, make_replay
from progan.stages.objectives.state import Pieces, first, restore
from progan.stages.rng import RngStreams, weight_seed
from progan.stages.specs.penalties import NetworkName
from progan.stages.specs.stage import StageSpec
from progan.stages.storage import handoff
from progan.stages.storage.checkpoint import Checkpoint
from progan.stages.storage.final import Final
from progan.stages.storage.pretrained import Network
from progan.stages.storage.rollback import Rollback, past
from progan.stages.storage.tensors import parameters
from progan.stages.training.usage import Stopwatch


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
    generator_engine: Engine
    discriminator_engine: Engine
    batches: Batches
    rng: RngStreams
    images_seen: int
    position: int
    """In the stream of reals and random numbers: `images_seen` and what was passed over"""
    pieces: Pieces
    """What the objective remembers"""
    replay: Replay | None
    waiting: Stopwatch = field(default_factory=Stopwatch)
    """Runs while the step waits for its pictures"""

    def networks(self) -> dict[str, nn.Module]:
        """All that have weights, by the names of their files."""
        found: dict[str, nn.Module] = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "ema": self.ema,
        }
        return found if self.encoder is None else found | {"encoder": self.encoder}

    def checkpoint(self, tally: dict[str, object]) -> Checkpoint:
        """The stage's state in memory. All ranks must call it."""
        engines = {"generator": self.generator_engine, "discriminator": self.discriminator_engine}
        moments = {
            f"{name}.{key}": value
            for name, engine in engines.items()
            for key, value in engine.moments().items()
        }
        tensors = {name: parameters(network) for name, network in self.networks().items()}
        tensors["optimizer"] = moments
        if self.pieces:
            tensors["pieces"] = {k: v.detach().cpu().clone() for k, v in self.pieces.items()}
        if self.replay:
            tensors["replay"] = self.replay.state(self.world)
        return Checkpoint(self.images_seen, self.position, tensors, tally)

    def final(self) -> Final:
        """What the finished stage says of itself."""
        return Final(
            resolution=self.spec.resolution,
            images_seen=self.images_seen,
            model=self.spec.model,
            seed=self.spec.seed,
            data_fingerprint=self.spec.data_fingerprint,
            classes=tuple(self.batches.manifest.classes or ()) if self.spec.model.classes else (),
        )


def build(
    spec: StageSpec, world: World, checkpoint: Checkpoint | None, rollbacks: list[Rollback]
) -> Stage:
    """Put a stage together on this rank, where the checkpoint left it if there is one."""
    position = past(checkpoint.position if checkpoint else 0, rollbacks)
    generator, discriminator, average, encoder = _networks(spec, checkpoint)
    for network in (generator, discriminator, average, encoder):
        if network is not None:
            network.to(world.device)
            network.memory_format = memory_format(spec.engine)
    average.requires_grad_(False).eval()

    generator_engine = Engine("generator", together(generator, encoder), spec, world)
    discriminator_engine = Engine("discriminator", discriminator, spec, world)
    if checkpoint:
        for engine in (generator_engine, discriminator_engine):
            prefix = f"{engine.name}."
            state = checkpoint.tensors["optimizer"].items()
            engine.load_moments(
                {k.removeprefix(prefix): v for k, v in state if k.startswith(prefix)}
            )

    if spec.compile != "off":
        compile_passes(generator, discriminator, encoder)
    networks: dict[NetworkName, nn.Module] = {
        "generator": generator,
        "discriminator": discriminator,
    }
    pieces = first(spec.objective, networks, world.device)
    if checkpoint and pieces:
        restore(pieces, checkpoint.tensors["pieces"])
    batches = Batches(
        spec.data,
        spec.resolution,
        seed=spec.seed,
        batch=spec.batch,
        rank=world.rank,
        world_size=world.size,
        position=position,
    )
    rng = RngStreams(spec.seed, spec.resolution, spec.batch, world.rank, world.size)
    replay = make_replay(spec, rng, world.device)
    if replay and checkpoint:
        replay.load(checkpoint.tensors["replay"])
    return Stage(
        spec=spec,
        world=world,
        generator=generator,
        discriminator=discriminator,
        ema=average,
        encoder=encoder,
        generator_engine=generator_engine,
        discriminator_engine=discriminator_engine,
        batches=batches,
        rng=rng,
        images_seen=checkpoint.images_seen if checkpoint else 0,
        position=position,
        pieces=pieces,
        replay=replay,
    )


def _networks(
    spec: StageSpec, checkpoint: Checkpoint | None
) -> tuple[Generator, Discriminator | MultiDiscriminator, Generator, Encoder | None]:
    """Generator, discriminator, average and encoder, with the weights they begin or go on with.

    New weights are the same on every rank, and whatever the ranks: all draw from one seed.
    """
    torch.manual_seed(weight_seed(spec.seed, spec.resolution))
    fading = spec.grown_from is not None
    recompute_from = spec.engine.activation_checkpointing
    shape = spec.model, spec.resolution
    generator = Generator(*shape, fading=fading, recompute_from=recompute_from)
    discriminator = make_discriminator(*shape, fading=fading, recompute_from=recompute_from)
    constraints.install("generator", generator, spec.objective.penalties)
    constraints.install("discriminator", discriminator, spec.objective.penalties)
    average = copy.deepcopy(generator)
    networks: dict[Network, Generator | Discriminator | MultiDiscriminator | Encoder] = {
        "generator": generator,
        "discriminator": discriminator,
        "ema": average,
    }
    encoder = make_encoder(
        spec.objective.penalties, *shape, fading=fading, recompute_from=recompute_from
    )
    if encoder is not None:
        networks["encoder"] = encoder
    if spec.init and not checkpoint:
        handoff.start_from(networks, spec.init)
    for name, network in networks.items():
        if checkpoint:
            network.load_state_dict(checkpoint.tensors[name])
        elif spec.grown_from:
            handoff.grow_from(spec.grown_from, name, network, spec.resolution)
    return generator, discriminator, average, encoder
