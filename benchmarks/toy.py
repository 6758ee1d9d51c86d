"""A game small enough for seconds on one core, in which plain minimax drops modes.

Reals come from Gaussians in the plane, on a ring (Metz et al. 2017, section 3.1) or a grid; both
networks are perceptrons. Losses, penalties, steps ahead and replay are those that stages train
with: a point is a picture of two channels and one pixel. All seeds are played at once, each by
networks of its own, whose weights lie side by side.
"""

import math
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from progan.stages.networks.discriminator import Verdict
from progan.stages.optimizers import MOMENTS, Moments, make_optimizer
from progan.stages.randomness import Draws
from progan.stages.replay import Replay
from progan.stages.spec import ModelSpec, ObjectiveSpec
from progan.stages.spec_optimizers import AnyOptimizer
from progan.stages.spec_penalties import has_encoder
from progan.stages.steps import Turn, discriminator_objective, generator_objective
from progan.stages.unrolled import Ahead, look_ahead

LATENT, WIDTH, BATCH = 16, 64, 128
SPREAD = 0.05
"""Standard deviation of every Gaussian; the ring has radius 1 and the grid reaches from -1 to 1"""
SHOWN = 2500
"""Samples that are judged"""


class Score(NamedTuple):
    """What a trained generator makes."""

    modes: int
    """Gaussians that at least a tenth of their share of the samples is good for"""
    good: float
    """Share of samples within three standard deviations of a Gaussian's centre"""


class Perceptrons(nn.Module):
    """One for each seed, of two hidden layers, for samples in as many equal parts."""

    def __init__(self, seeds: int, inputs: int, outputs: int) -> None:
        super().__init__()
        sizes = list(pairwise([inputs, WIDTH, WIDTH, outputs]))
        self.weights = nn.ParameterList(
            torch.randn(seeds, before, after) * math.sqrt(2 / before) for before, after in sizes
        )
        self.biases = nn.ParameterList(torch.zeros(seeds, 1, after) for _, after in sizes)

    def layers(self, x: Tensor) -> Tensor:
        """(N, inputs) -> (N, outputs)."""
        x = x.reshape(len(self.weights[0]), -1, x.shape[-1])
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = F.leaky_relu(x, 0.2) if number else x
            x = torch.baddbmm(bias, x, weight)
        return x.flatten(0, 1)


class ToyGenerator(Perceptrons):
    """Latents -> points as pictures."""

    model = ModelSpec(latent=LATENT)

    def forward(self, latents: Tensor, alpha: float = 1.0) -> Tensor:
        """(N, LATENT) -> (N, 2, 1, 1)."""
        return self.layers(latents)[..., None, None]


class ToyEncoder(Perceptrons):
    """Points as pictures -> latents."""

    def forward(self, images: Tensor, alpha: float) -> Tensor:
        """(N, 2, 1, 1) -> (N, LATENT)."""
        return self.layers(images.flatten(1))


class ToyDiscriminator(Perceptrons):
    """Points as pictures -> logits."""

    def forward(self, images: Tensor, alpha: float, conditions: Tensor) -> Tensor:
        """(N, 2, 1, 1) -> (N,)."""
        return self.judge(images, alpha, conditions).logits

    def judge(
        self, images: Tensor, alpha: float, conditions: Tensor, *, fakes: bool = False
    ) -> Verdict:
        """The logits, which are its only features."""
        logits = self.layers(images.flatten(1))
        return Verdict(logits.flatten(), logits, {})

    def judge_both(
        self, reals: Tensor, fakes: Tensor, alpha: float, conditions: Tensor
    ) -> tuple[Verdict, Verdict]:
        """Both, one after the other."""
        return self.judge(reals, alpha, conditions), self.judge(fakes, alpha, conditions)


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


class Game:
    """Both networks, their optimisers and random numbers; `play` trains them."""

    def __init__(
        self, shape: str, objective: ObjectiveSpec, optimizer: AnyOptimizer, lr: float,
        discriminator_lr: float, seeds: int,
    ) -> None:  # fmt: skip
        torch.manual_seed(0)
        self.random = np.random.default_rng(0)
        self.modes, self.objective, self.optimizer = centres(shape), objective, optimizer
        self.seeds, self.batch = seeds, seeds * BATCH
        self.generator = ToyGenerator(seeds, LATENT, 2)
        self.discriminator = ToyDiscriminator(seeds, 2, 1)
        encoded = has_encoder(objective.penalties)
        self.encoder = ToyEncoder(seeds, 2, LATENT) if encoded else None
        self.forgers = [*self.generator.parameters()]
        self.forgers += self.encoder.parameters() if self.encoder else []
        self.discriminator_lr = discriminator_lr
        self.steps_g = make_optimizer(self.forgers, lr, optimizer)
        self.steps_d = make_optimizer(self.discriminator.parameters(), discriminator_lr, optimizer)
        draws = Draws(0, 1, self.batch, 0, 1)
        again = objective.replay
        self.replay = (
            Replay(again.share, again.depth(BATCH), (2, 1, 1), draws, 1, torch.device("cpu"))
            if again else None
        )  # fmt: skip
        self.updates = 0

    def play(self, steps: int) -> list[Score]:
        """Train, and judge what came of each seed."""
        for _ in range(steps):
            self._step()
        with torch.no_grad():
            points = self.generator(self._latents(self.seeds * SHOWN)).flatten(1)
        return [score(own, self.modes) for own in points.chunk(self.seeds)]

    def _step(self) -> None:
        for _ in range(self.objective.critic_steps):
            reals = self._reals()
            self.steps_d.zero_grad()
            torch.autograd.backward(self._told_apart(self.discriminator, reals, self.updates))
            self.steps_d.step()
            self.updates += 1
        judge: Any = self._ahead(reals) if self.objective.unrolled else self.discriminator
        self.steps_g.zero_grad()
        generator: Any = self.generator
        encoder: Any = self.encoder
        batch = self._latents(self.batch), 1.0, self.objective, reals
        loss = generator_objective(generator, judge, *batch, encoder=encoder).loss
        for each, slope in zip(self.forgers, torch.autograd.grad(loss, self.forgers), strict=True):
            each.grad = slope
        self.steps_g.step()

    def _told_apart(self, discriminator: Any, reals: Tensor, update: int) -> Tensor:
        generator: Any = self.generator
        looks_ahead = isinstance(discriminator, Ahead)

        def mingle(fakes: Tensor) -> Tensor:
            if looks_ahead or not self.replay:
                return fakes
            return self.replay.mingle(fakes, self.replay.draw(update * self.batch, update))

        mix = torch.from_numpy(self.random.random(self.batch, dtype=np.float32))
        return discriminator_objective(
            generator, discriminator, reals, self._latents(self.batch), mix, 1.0, self.objective,
            Turn(update, {}), mingle=mingle, through_fakes=looks_ahead,
        ).loss  # fmt: skip

    def _ahead(self, reals: Tensor) -> Ahead:
        own = self.steps_d.state
        parameters = list(self.discriminator.parameters())
        flat = {
            name: torch.cat([own[each][name].flatten() for each in parameters])
            for name in MOMENTS[self.optimizer.kind]
        }
        moments = Moments(int(own[parameters[0]]["step"]), flat)
        losses = [
            lambda net, update=self.updates + turn: self._told_apart(net, reals, update)
            for turn in range(self.objective.unrolled)
        ]
        return look_ahead(
            self.discriminator, moments, self.optimizer, self.discriminator_lr, losses
        )

    def _latents(self, count: int) -> Tensor:
        return torch.from_numpy(self.random.standard_normal((count, LATENT), dtype=np.float32))

    def _reals(self) -> Tensor:
        around = self.modes[
            torch.from_numpy(self.random.integers(len(self.modes), size=self.batch))
        ]
        noise = torch.from_numpy(self.random.standard_normal((self.batch, 2), dtype=np.float32))
        return (around + SPREAD * noise)[..., None, None]
