"""A GAN that trains in seconds on one core, and in which plain minimax drops modes.

Reals are drawn from a mixture of Gaussians in the plane, on a ring (Metz et al. 2017, section 3.1)
or a grid; the networks are perceptrons made of the project's layers. Step, random numbers,
optimisers, objective and everything else are those of a real stage. A point is a picture of one
pixel, whose third channel is always 0.
"""

import copy
import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from measuring.real_step import unchecked_update
from progan.stages.distributed.world import World
from progan.stages.engine.optimizers import Moments, make_optimizer
from progan.stages.engine.update import Objective, StepId, Update
from progan.stages.networks.conditioning import with_conditions
from progan.stages.networks.encoder import generator_module
from progan.stages.objectives import constraints
from progan.stages.objectives.objective import make_terms
from progan.stages.objectives.replay_buffer import make_replay
from progan.stages.rng import RngStreams, grid_latents, weight_seed
from progan.stages.specs.penalties import has_encoder
from progan.stages.specs.stage import StageSpec
from progan.stages.training.loop import step
from progan.stages.training.stage import Stage
from toy_gan.perceptrons import ToyCritics, ToyDiscriminator, ToyEncoder, ToyGenerator, as_pictures

BATCH, RATE = 128, 0.01
SPREAD = 0.05
"""Standard deviation of every Gaussian; the ring has radius 1 and the grid reaches from -1 to 1"""
NUM_SAMPLES = 2500
"""Samples of the generator for one score"""
NUM_SCORES = 5
"""Scores taken in the second half of training: one would miss hopping from mode to mode"""

Fields = dict[str, Any]
"""Fields of a stage's specification"""

DEFAULTS: Fields = {
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
    """The quality of a generator's samples."""

    modes: float
    """Gaussians with at least a tenth of their share of good samples"""
    good: float
    """Share of good samples: within three standard deviations of a Gaussian's centre"""


class Points(NamedTuple):
    """A batch as the loader gives them (datasets/reals.py), but of points."""

    points: Tensor
    labels: Tensor

    def images(self) -> Tensor:
        """Pictures of one pixel."""
        return as_pictures(self.points)


class Gaussians(Iterator[Points]):
    """Batches of reals, all with label 0."""

    def __init__(self, shape: str, seed: int) -> None:
        self.modes = centres(shape)
        self.rng = np.random.default_rng(seed)

    def __next__(self) -> Points:
        means = self.modes[torch.from_numpy(self.rng.integers(len(self.modes), size=BATCH))]
        noise = torch.from_numpy(self.rng.standard_normal((BATCH, 2), dtype=np.float32))
        return Points(means + SPREAD * noise, torch.zeros(BATCH, dtype=torch.long))


class ToyEngine:
    """A stage's engine without DeepSpeed, which would take twice as long as such a step."""

    loss_factor = 1.0

    def __init__(self, module: nn.Module, lr: float, spec: StageSpec, world: World) -> None:
        self.world = world
        self.module, self.moments = module, spec.optimizer.moments
        self.optimizer = make_optimizer(module.parameters(), lr, spec.optimizer)

    def update(
        self, objectives: Iterable[Objective], step_id: StepId, piggybacked: object = None
    ) -> Update:
        """One optimiser step on the only objective."""
        (objective,) = objectives
        self.optimizer.zero_grad()
        torch.autograd.backward(objective.loss)
        self.optimizer.step()
        return unchecked_update("", step_id, self.world, objective.scalars)

    def flat_moments(self) -> Moments:
        """The optimiser's moments and step, concatenated over parameters."""
        states = [self.optimizer.state[each] for each in self.module.parameters()]
        flat = {name: torch.cat([each[name].flatten() for each in states]) for name in self.moments}
        return Moments(states[0]["step"].double(), flat)

    @torch.no_grad()
    def clip(self, bounds: dict[str, float]) -> None:
        """Clip each parameter's values to its bound."""
        for name, parameter in self.module.named_parameters():
            parameter.clamp_(-bounds[name], bounds[name])


def centres(shape: str) -> Tensor:
    """The means of the Gaussians, (modes, 2)."""
    if shape == "ring":
        angles = torch.arange(8) * (2 * math.pi / 8)
        return torch.stack([angles.cos(), angles.sin()], dim=1)
    return torch.cartesian_prod(torch.linspace(-1, 1, 5), torch.linspace(-1, 1, 5))


def score(points: Tensor, modes: Tensor) -> Score:
    """Score samples (N, 2) by their distances to the modes."""
    distances, nearest = torch.cdist(points, modes).min(dim=1)
    good = distances < 3 * SPREAD
    counts = torch.bincount(nearest[good], minlength=len(modes))
    covered = counts >= len(points) / len(modes) / 10
    return Score(int(covered.sum()), float(good.float().mean()))


def score_reals(shape: str, seed: int) -> Score:
    """The score of fresh reals, as many as a generator's samples: the upper bound."""
    reals = Gaussians(shape, seed)
    points = torch.cat([next(reals).points for _ in range(-(-NUM_SAMPLES // BATCH))])
    return score(points[:NUM_SAMPLES], reals.modes)


def toy_stage(fields: Fields, shape: str, seed: int, world: World) -> Stage:
    """A stage of toy networks and data."""
    spec = StageSpec.model_validate(DEFAULTS | fields | {"seed": seed})
    torch.manual_seed(weight_seed(seed, 1))
    generator: Any = ToyGenerator(spec.model)
    has_critics = spec.model.discriminator.critics > 1
    discriminator = ToyCritics(spec.model) if has_critics else ToyDiscriminator(spec.model)
    encoder: Any = ToyEncoder(spec.model) if has_encoder(spec.objective.penalties) else None
    constraints.install("generator", generator, spec.objective.penalties)
    constraints.install("discriminator", discriminator, spec.objective.penalties)
    engine: Any = ToyEngine
    batches: Any = Gaussians(shape, seed)
    rng = RngStreams(seed, 1, BATCH, 0, 1)
    return Stage(
        spec=spec,
        world=world,
        generator=generator,
        discriminator=discriminator,
        ema=copy.deepcopy(generator).requires_grad_(False),
        encoder=encoder,
        generator_engine=engine(
            generator_module(generator, encoder), spec.rates["generator"], spec, world
        ),
        discriminator_engine=engine(discriminator, spec.rates["discriminator"], spec, world),
        batches=batches,
        rng=rng,
        images_seen=0,
        position=0,
        terms=make_terms(spec.objective, {"generator": generator, "discriminator": discriminator}),
        replay=make_replay(spec, rng, world.device),
    )


def train_toy(fields: Fields, shape: str, steps: int, seed: int, world: World) -> Score:
    """Train; the mean of the generator's scores in the second half."""
    stage, modes = toy_stage(fields, shape, seed, world), centres(shape)
    latents = grid_latents(seed, NUM_SAMPLES, stage.spec.model.noise)
    inputs = with_conditions(latents, torch.zeros(NUM_SAMPLES, dtype=torch.long), stage.spec.model)
    scores = []
    for number in range(1, steps + 1):
        step(stage, dict)
        stage.images_seen += stage.spec.images_per_step
        stage.position += stage.spec.images_per_step
        if number > steps / 2 and number % (steps // (2 * NUM_SCORES)) == 0:
            with torch.no_grad():
                scores.append(score(stage.generator(inputs)[:, :2, 0, 0], modes))
    return Score(*(sum(values) / len(scores) for values in zip(*scores, strict=True)))
