"""A game small enough for seconds on one core, in which plain minimax drops modes.

Reals come from Gaussians in the plane, on a ring (Metz et al. 2017, section 3.1) or a grid; both
networks are perceptrons of the project's layers. All else is a stage's: its step, its random
numbers, its optimisers, and whatever its configuration asks for. A point is a picture of one pixel,
whose third channel is always 0.
"""

import copy
import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from perceptrons import ToyCritics, ToyDiscriminator, ToyEncoder, ToyGenerator, as_pictures
from progan.stages.distributed.world import World
from progan.stages.engine.optimizers import MOMENTS, Moments, make_optimizer
from progan.stages.engine.update import Objective, StepId, Update
from progan.stages.networks.encoder import together
from progan.stages.objectives import constraints
from progan.stages.objectives.objective import make_terms
from progan.stages.objectives.replay_buffer import make_replay
from progan.stages.rng import RngStreams, grid_latents, weight_seed
from progan.stages.specs.penalties import has_encoder
from progan.stages.specs.stage import StageSpec
from progan.stages.training.loop import step
from progan.stages.training.stage import Stage
from realstep import silent

BATCH, RATE = 128, 0.01
SPREAD = 0.05
"""Standard deviation of every Gaussian; the ring has radius 1 and the grid reaches from -1 to 1"""
SHOWN = 2500
"""Samples that are judged"""
JUDGED = 5
"""Moments of a game's last half when it is judged: one would not show hopping from mode to mode"""

Says = dict[str, Any]
"""What a configuration would say, in a stage's words"""

PLAIN: Says = {
    "resolution": 1,
    "grown_from": None,
    "data": {"path": ""},
    "data_fingerprint": "",
    "batch": BATCH,
    "lr": RATE,
    "growth": {"fade_images": 0, "steady_images": 2**60},
    "model": {"latent": 16, "discriminator": {"minibatch": "none"}},
    "objective": {"loss": "minimax", "penalties": ()},
    "optimizer": {"beta1": 0.5, "beta2": 0.999},
    "ema": {},
    "engine": {"precision": "fp32"},
    "checkpoint": {},
    "tick": {"images": 1, "samples_every": 1, "grid": 1},
}


class Score(NamedTuple):
    """What a generator makes, on average over the moments."""

    modes: float
    """Gaussians that at least a tenth of their share of the samples is good for"""
    good: float
    """Share of samples within three standard deviations of a Gaussian's centre"""


class Gaussians(Iterator[tuple[Tensor, Tensor, Any]]):
    """Batches of reals, none of which has a label."""

    def __init__(self, shape: str, seed: int) -> None:
        self.modes = centres(shape)
        self.random = np.random.default_rng(seed)

    def __next__(self) -> tuple[Tensor, Tensor, Any]:
        around = self.modes[torch.from_numpy(self.random.integers(len(self.modes), size=BATCH))]
        noise = torch.from_numpy(self.random.standard_normal((BATCH, 2), dtype=np.float32))
        return as_pictures(around + SPREAD * noise), torch.zeros(BATCH, dtype=torch.long), None


class ToyEngine:
    """What a stage's engine does, without DeepSpeed, which takes twice as long as such a step."""

    loss_factor = 1.0

    def __init__(self, module: nn.Module, lr: float, spec: StageSpec, world: World) -> None:
        self.world = world
        self.module, self.kind = module, spec.optimizer.kind
        self.optimizer = make_optimizer(module.parameters(), lr, spec.optimizer)

    def update(
        self, objectives: Iterable[Objective], moment: StepId, piggybacked: object = None
    ) -> Update:
        """One step down the gradient of the only objective."""
        (objective,) = objectives
        self.optimizer.zero_grad()
        torch.autograd.backward(objective.loss)
        self.optimizer.step()
        return silent("", moment, self.world, objective.scalars)

    def flat_moments(self) -> Moments:
        """What the optimiser remembers."""
        own = [self.optimizer.state[each] for each in self.module.parameters()]
        names = MOMENTS[self.kind]
        flat = {name: torch.cat([each[name].flatten() for each in own]) for name in names}
        return Moments(int(own[0]["step"]), flat)

    @torch.no_grad()
    def clip(self, bounds: dict[str, float]) -> None:
        """Cut each parameter's values off at its bound."""
        for name, parameter in self.module.named_parameters():
            parameter.clamp_(-bounds[name], bounds[name])


def centres(shape: str) -> Tensor:
    """Of the Gaussians: (modes, 2)."""
    if shape == "ring":
        angles = torch.arange(8) * (2 * math.pi / 8)
        return torch.stack([angles.cos(), angles.sin()], dim=1)
    return torch.cartesian_prod(torch.linspace(-1, 1, 5), torch.linspace(-1, 1, 5))


def score(points: Tensor, modes: Tensor) -> Score:
    """Judge samples (N, 2) by how near they are to the modes."""
    nearest, mode = torch.cdist(points, modes).min(dim=1)
    good = nearest < 3 * SPREAD
    found = torch.bincount(mode[good], minlength=len(modes))
    covered = found >= len(points) / len(modes) / 10
    return Score(int(covered.sum()), float(good.float().mean()))


def stage(says: Says, shape: str, seed: int, world: World) -> Stage:
    """A stage of toy networks and data."""
    spec = StageSpec.model_validate(PLAIN | says | {"seed": seed})
    torch.manual_seed(weight_seed(seed, 1))
    generator: Any = ToyGenerator(spec.model, spec.model.inputs)
    several = spec.model.discriminator.critics > 1
    discriminator = ToyCritics(spec.model) if several else ToyDiscriminator(spec.model)
    encoder: Any = ToyEncoder(spec.model) if has_encoder(spec.objective.penalties) else None
    constraints.install("generator", generator, spec.objective.penalties)
    constraints.install("discriminator", discriminator, spec.objective.penalties)
    engine: Any = ToyEngine
    batches: Any = Gaussians(shape, seed)
    draws = RngStreams(seed, 1, BATCH, 0, 1)
    return Stage(
        spec=spec,
        world=world,
        generator=generator,
        discriminator=discriminator,
        ema=copy.deepcopy(generator).requires_grad_(False),
        encoder=encoder,
        generator_engine=engine(together(generator, encoder), spec.rates["generator"], spec, world),
        discriminator_engine=engine(discriminator, spec.rates["discriminator"], spec, world),
        batches=batches,
        rng=draws,
        images_seen=0,
        position=0,
        terms=make_terms(spec.objective, {"generator": generator, "discriminator": discriminator}),
        replay=make_replay(spec, draws, world.device),
    )


def play(says: Says, shape: str, steps: int, seed: int, world: World) -> Score:
    """Train, and judge the generator at some moments of the last half."""
    game, modes = stage(says, shape, seed, world), centres(shape)
    latents = grid_latents(seed, SHOWN, game.spec.model.noise)
    found = []
    for number in range(1, steps + 1):
        step(game, dict)
        game.images_seen += game.spec.images_per_step
        game.position += game.spec.images_per_step
        if number > steps / 2 and number % (steps // (2 * JUDGED)) == 0:
            with torch.no_grad():
                found.append(score(game.generator(latents)[:, :2, 0, 0], modes))
    return Score(*(sum(values) / len(found) for values in zip(*found, strict=True)))
