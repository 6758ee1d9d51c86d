"""The device memory that training a stage takes, before anything is trained."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

from progan.stages import schedule
from progan.stages.engine import ema
from progan.stages.engine.optimizers import MOMENTS, Moments
from progan.stages.engine.precision import autocast
from progan.stages.memory.deepspeed_model import DeepSpeedModel
from progan.stages.memory.live_bytes import LiveBytes
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.encoder import make_encoder, together
from progan.stages.networks.generator import Generator
from progan.stages.networks.layers import fade
from progan.stages.networks.multi_discriminator import MultiDiscriminator, make_discriminator
from progan.stages.objectives import constraints
from progan.stages.objectives.objective import (
    Turn,
    discriminator_objective,
    generator_objective,
    generator_sees_reals,
)
from progan.stages.objectives.replay_buffer import make_replay
from progan.stages.objectives.state import first
from progan.stages.objectives.unrolled import UnrolledDiscriminator, flat_weights, unroll
from progan.stages.rng import RngStreams
from progan.stages.specs.penalties import Consensus, NetworkName, noise_shape
from progan.stages.specs.stage import StageSpec

DEVICE = "cpu"
"""Of the fake tensors: the backward pass of fake CUDA tensors would need a GPU"""


def footprint(spec: StageSpec, ranks: int) -> dict[str, int]:
    """Estimate the bytes that tensors take on each of so many ranks when they take the most.

    Returns them by what they are for at that moment: weights, average, moments, master_weights
    (ZeRO's copy, which is stepped), replay, gradients with the buffers they are averaged in, reals,
    and activations with all else that a pass keeps.

    The objectives of a step, backward passes and all, are run on tensors without storage, so that
    every layer, loss and penalty is counted without a formula of its own. Left out is what is no
    tensor: CUDA's context and NCCL's buffers, the workspaces of cuDNN and the scratch of oneDNN,
    what the allocator loses to fragments. Drawing samples and writing checkpoints take less than a
    step does.
    """
    with FakeTensorMode(), LiveBytes() as live:
        step = _Step(spec, ranks, live)
        step.update_discriminator()
        step.update_generator()
    return {kind: size for kind, size in live.at_peak.items() if size}


class _Step:
    """One step of a stage's training (loop.py) with nothing but sizes in it."""

    def __init__(self, spec: StageSpec, ranks: int, live: LiveBytes) -> None:
        self.spec = spec
        self.live = live
        self.share, self.part = spec.batch // ranks, spec.part(ranks)
        self.size = spec.model.channels, spec.resolution, spec.resolution
        self.alpha = schedule.alpha(0, spec.growth)  # a fade keeps the most, whatever its alpha
        fading = spec.grown_from is not None
        shape = spec.model, spec.resolution
        options: dict[str, Any]
        options = {"fading": fading, "recompute_from": spec.engine.activation_checkpointing}
        with live.making("weights"):
            self.generator = Generator(*shape, **options)
            self.discriminator = make_discriminator(*shape, **options)
            self.encoder = make_encoder(spec.objective.penalties, *shape, **options)
            constraints.install("generator", self.generator, spec.objective.penalties)
            constraints.install("discriminator", self.discriminator, spec.objective.penalties)
        with live.making("average"):
            self.ema = Generator(*shape, fading=fading)
            constraints.install("generator", self.ema, spec.objective.penalties)
        networks: dict[NetworkName, nn.Module]
        networks = {"generator": self.generator, "discriminator": self.discriminator}
        with live.making("objective"):
            needed = any(isinstance(each, Consensus) for each in spec.objective.penalties)
            field = [
                torch.empty(parameter.shape)
                for network in networks.values()
                for parameter in network.parameters()
                if needed
            ]
            self.turn = Turn(0, first(spec.objective, networks), field)
        held = spec.optimizer, spec.engine.sharding(ranks), ranks, live
        self.generator_holdings = DeepSpeedModel(together(self.generator, self.encoder), *held)
        self.discriminator_holdings = DeepSpeedModel(self.discriminator, *held)
        with live.making("replay"):
            rng = RngStreams(spec.seed, spec.resolution, spec.batch, 0, ranks)
            self.replay = make_replay(spec, rng, torch.device(DEVICE))

    def update_discriminator(self) -> None:
        """One update; this rank's whole share of the reals is on the device all the while."""
        with self.live.making("reals"):
            reals = torch.empty(self.share, *self.size)
        for part, last in self._parts(reals):
            loss = self._told_apart(self.discriminator, part, self._mingle)
            self.discriminator_holdings.backward(loss, last=last)
        self.discriminator_holdings.step()

    def _told_apart(
        self,
        discriminator: Discriminator | MultiDiscriminator | UnrolledDiscriminator,
        reals: Tensor,
        mingle: Callable[[Tensor], Tensor],
    ) -> Tensor:
        spec, number = self.spec, len(reals)
        latents, mix = torch.empty(number, spec.model.inputs), torch.empty(number)
        noise = torch.empty(number, *noise_shape(spec.objective.penalties, self.size))
        with autocast(spec.engine, DEVICE):
            return discriminator_objective(
                self.generator, discriminator, fade(reals, self.alpha), latents, mix, self.alpha,
                spec.objective, self.turn, noise=noise, mingle=mingle,
                through_fakes=isinstance(discriminator, UnrolledDiscriminator),
            ).loss  # fmt: skip

    def _mingle(self, fakes: Tensor) -> Tensor:
        """What a replay makes of fresh fakes."""
        rows = torch.zeros(len(fakes), 3, dtype=torch.int64)
        return self.replay.mingle(fakes, rows) if self.replay else fakes

    def _ahead(self) -> UnrolledDiscriminator:
        """The discriminator after the steps that the generator's update looks ahead."""
        weights = flat_weights(self.discriminator)
        flat = {name: torch.empty_like(weights) for name in MOMENTS[self.spec.optimizer.kind]}
        reals = torch.empty(self.share, *self.size)

        def told_apart(network: UnrolledDiscriminator) -> Tensor:
            return self._told_apart(network, reals, lambda fakes: fakes)

        losses = [told_apart] * self.spec.objective.unrolled
        lr = self.spec.rates["discriminator"]
        return unroll(
            self.discriminator, Moments(0, flat), self.spec.optimizer, lr, losses, torch.clone
        )

    def update_generator(self) -> None:
        """One update of the generator, and of the average after it."""
        self.discriminator.requires_grad_(False)
        sees_reals = generator_sees_reals(self.spec.objective)
        judge = self._ahead() if self.spec.objective.unrolled else self.discriminator
        for part, last in self._parts(torch.empty(self.share, self.spec.model.inputs)):
            reals = torch.empty(len(part), *self.size) if sees_reals else None
            with autocast(self.spec.engine, DEVICE):
                objective = generator_objective(
                    self.generator,
                    judge,
                    part,
                    self.alpha,
                    self.spec.objective,
                    reals,
                    self.turn,
                    self.encoder,
                )
            self.generator_holdings.backward(objective.loss, last=last)
        self.generator_holdings.step()
        ema.update(self.ema, self.generator, 0.5)

    def _parts(self, batch: Tensor) -> Iterator[tuple[Tensor, bool]]:
        """The first part of a share and the last: those between are like the first."""
        parts = torch.split(batch, self.part)
        if len(parts) > 1:
            yield parts[0], False
        yield parts[-1], True
