"""The device memory that training a stage takes, before anything is trained."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode

from progan.stages import ema
from progan.stages.holdings import Holdings
from progan.stages.livebytes import LiveBytes
from progan.stages.losses import loss as adversarial
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.precision import autocast
from progan.stages.reals import fade
from progan.stages.spec import StageSpec
from progan.stages.steps import discriminator_objective, generator_objective

DEVICE = "cpu"
"""Of the fake tensors: the backward pass of fake CUDA tensors would need a GPU"""


def footprint(spec: StageSpec, ranks: int) -> dict[str, int]:
    """Estimate the bytes that tensors take on each of so many ranks when they take the most.

    Returns them by what they are for at that moment: weights, average, moments, master_weights
    (ZeRO's copy, which Adam steps), gradients with the buffers they are averaged in, reals, and
    activations with all else that a pass keeps.

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
        self.alpha = 0.5 if spec.growth.fade_images else 1.0
        fading = spec.grown_from is not None
        shape = spec.model, spec.resolution
        recompute_from = spec.engine.activation_checkpointing
        with live.making("weights"):
            self.generator = Generator(*shape, fading=fading, recompute_from=recompute_from)
            self.discriminator = Discriminator(*shape, fading=fading, recompute_from=recompute_from)
        with live.making("average"):
            self.average = Generator(*shape, fading=fading)
        held = spec.engine.sharding(ranks), ranks, live
        self.generator_holdings = Holdings(self.generator, *held)
        self.discriminator_holdings = Holdings(self.discriminator, *held)

    def update_discriminator(self) -> None:
        """One update; this rank's whole share of the reals is on the device all the while."""
        size = self.spec.model.channels, self.spec.resolution, self.spec.resolution
        with self.live.making("reals"):
            reals = torch.empty(self.share, *size)
        for part, last in self._parts(reals):
            latents = torch.empty(self.part, self.spec.model.latent)
            with autocast(self.spec.engine, DEVICE):
                objective = discriminator_objective(
                    self.generator,
                    self.discriminator,
                    fade(part, self.alpha),
                    latents,
                    torch.empty(self.part),
                    self.alpha,
                    self.spec.objective,
                )
            self.discriminator_holdings.backward(objective.loss, last=last)
        self.discriminator_holdings.step()

    def update_generator(self) -> None:
        """One update of the generator, and of the average after it."""
        self.discriminator.requires_grad_(False)
        sees_reals = adversarial(self.spec.objective.loss).generator_sees_reals
        size = self.spec.model.channels, self.spec.resolution, self.spec.resolution
        for part, last in self._parts(torch.empty(self.share, self.spec.model.latent)):
            reals = torch.empty(len(part), *size) if sees_reals else None
            with autocast(self.spec.engine, DEVICE):
                objective = generator_objective(
                    self.generator, self.discriminator, part, self.alpha, self.spec.objective, reals
                )
            self.generator_holdings.backward(objective.loss, last=last)
        self.generator_holdings.step()
        ema.update(self.average, self.generator, 0.5)

    def _parts(self, batch: Tensor) -> Iterator[tuple[Tensor, bool]]:
        """The first part of a share and the last: those between are like the first."""
        parts = torch.split(batch, self.part)
        if len(parts) > 1:
            yield parts[0], False
        yield parts[-1], True
