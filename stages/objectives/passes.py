"""One micro-batch through both networks: what terms look at, each computed when first asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor, nn

from progan.stages.distributed.world import World
from progan.stages.networks.discriminator import Discriminator, DiscriminatorOutput
from progan.stages.networks.encoder import Encoder, reconstruct
from progan.stages.networks.generator import Generator
from progan.stages.networks.layers import at_least_float32, fade
from progan.stages.networks.multi_discriminator import MultiDiscriminator, repeat_batch
from progan.stages.objectives.replay_buffer import Replay
from progan.stages.objectives.unrolled import UnrolledDiscriminator

Side = Literal["discriminator", "generator"]
Augment = Callable[[Tensor, Tensor], Tensor]
"""Pictures (N, C, H, W), and (N, draws) random numbers -> pictures, differentiable"""


@dataclass(frozen=True)
class Batch:
    """This rank's slice of a global batch, or a micro-batch of it; None where a side needs none.

    N is the number of images in it.
    """

    latents: Tensor
    """(N, model.inputs): latents, one-hot classes, codes (networks/conditioning.py)"""
    reals: Tensor | None = None
    """(N, C, H, W) in [-1, 1], not faded yet"""
    epsilon: Tensor | None = None
    """(N,) in [0, 1): where between real and fake WGAN-GP takes its gradient"""
    noise: Tensor | None = None
    """N(0, 1) like the reals for a penalty that adds noise, else (N, 0)"""
    replay_rows: Tensor | None = None
    """(N, 3): which past fakes to show (`Replay.draw`)"""
    augmentation: Tensor | None = None
    """(N, 2 draws) in (0, 1): how to augment, first the reals, then the fakes"""

    def to_device(self, world: World) -> Batch:
        """The same on the rank's device."""
        return Batch(**self._map(world.to_device))

    def split(self, size: int) -> list[Batch]:
        """Micro-batches of `size` images, in order."""
        parts = self._map(lambda tensor: torch.split(tensor, size))
        return [
            Batch(**dict(zip(parts, each, strict=True)))
            for each in zip(*parts.values(), strict=True)
        ]

    def _map(self, function: Callable[[Tensor], Any]) -> dict[str, Any]:
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: function(tensor) for name, tensor in found.items() if tensor is not None}


@dataclass(frozen=True)
class Players:
    """The networks that meet in one update."""

    generator: Generator
    discriminator: Discriminator | MultiDiscriminator | UnrolledDiscriminator
    encoder: Encoder | None = None
    replay: Replay | None = None
    augment: Augment | None = None
    """What the discriminator sees of a picture, real or fake; None: all as it is"""

    @property
    def unrolled(self) -> bool:
        """Whether gradients flow through the discriminator's future steps to the generator."""
        return isinstance(self.discriminator, UnrolledDiscriminator)

    @property
    def networks(self) -> dict[Side, nn.Module]:
        """The two networks that hold the weights themselves, not an unrolled discriminator."""
        discriminator: Any = self.discriminator
        if isinstance(discriminator, UnrolledDiscriminator):
            discriminator = discriminator.network
        return {"generator": self.generator, "discriminator": discriminator}


class Pass:
    """What both sides have in common."""

    side: Side

    def __init__(self, players: Players, batch: Batch, alpha: float) -> None:
        self.players, self.batch, self.alpha = players, batch, alpha
        self.discriminators = players.generator.model.discriminator.critics
        """How many there are. Each is given a copy of the batch, one after the other."""

    @cached_property
    def conditioning(self) -> Tensor:
        """What the images should show, classes and codes: (N, model.inputs - model.latent)."""
        return self.batch.latents[:, self.players.generator.model.latent :]

    @cached_property
    def faded_reals(self) -> Tensor:
        """Reals at the present alpha, not augmented, (N, C, H, W)."""
        assert self.batch.reals is not None
        return fade(self.batch.reals, self.alpha)

    def as_real(self, images: Tensor) -> Tensor:
        """Pictures (N, C, H, W), augmented exactly as the batch's reals are."""
        return self._augmented(images, first=True)

    def as_fake(self, images: Tensor) -> Tensor:
        """Pictures (N, C, H, W), augmented exactly as the batch's fakes are."""
        return self._augmented(images, first=False)

    def _augmented(self, images: Tensor, *, first: bool) -> Tensor:
        if self.players.augment is None or self.batch.augmentation is None:
            return images
        of_reals, of_fakes = self.batch.augmentation.chunk(2, dim=1)
        return self.players.augment(images, of_reals if first else of_fakes)

    def copies(self, tensor: Tensor) -> Tensor:
        """(N, ...) once for every discriminator: (discriminators x N, ...)."""
        return repeat_batch(self.discriminators, tensor)[0]

    def discriminate(self, images: Tensor) -> Tensor:
        """Images, a copy for every discriminator -> their logits; can be differentiated twice."""
        conditioning = self.copies(self.conditioning)
        logits: Tensor = self.players.discriminator(images, self.alpha, conditioning)
        return logits


class DiscriminatorPass(Pass):
    """Of the discriminator's update. With several discriminators all is a copy for each."""

    side = "discriminator"

    @cached_property
    def reals(self) -> Tensor:
        """At the present alpha, augmented."""
        return self.copies(self.as_real(self.faded_reals))

    @cached_property
    def fakes(self) -> Tensor:
        """Augmented; detached, unless the generator learns through this update (unrolled)."""
        with torch.set_grad_enabled(self.players.unrolled):
            fakes = self.players.generator(self.batch.latents, self.alpha)
            if self.players.replay is not None and self.batch.replay_rows is not None:
                fakes = self.players.replay.mingle(fakes, self.batch.replay_rows)
            fakes = self.as_fake(fakes)
        return self.copies(fakes)

    @cached_property
    def outputs(self) -> tuple[DiscriminatorOutput, DiscriminatorOutput]:
        """Of reals and of fakes."""
        inputs = self.reals, self.fakes, self.alpha, self.copies(self.conditioning)
        outputs: tuple[DiscriminatorOutput, DiscriminatorOutput]
        outputs = self.players.discriminator.forward_both(*inputs)
        return outputs

    @cached_property
    def real_logits(self) -> Tensor:
        """(N,), float32 or better."""
        return at_least_float32(self.outputs[0].logits)

    @cached_property
    def fake_logits(self) -> Tensor:
        """(N,), float32 or better."""
        return at_least_float32(self.outputs[1].logits)

    @property
    def mean_logits(self) -> dict[str, Tensor]:
        """What is logged of them, ()."""
        return {"real_logits": self.real_logits.mean(), "fake_logits": self.fake_logits.mean()}

    @cached_property
    def epsilon(self) -> Tensor:
        """(N, 1, 1, 1)."""
        assert self.batch.epsilon is not None
        return self.copies(self.batch.epsilon).reshape(-1, 1, 1, 1)

    @cached_property
    def noise(self) -> Tensor:
        """N(0, 1), like the reals."""
        assert self.batch.noise is not None
        return self.copies(self.batch.noise)


class GeneratorPass(Pass):
    """Of the generator's update."""

    side = "generator"

    @cached_property
    def fakes(self) -> Tensor:
        """As the discriminator sees them, augmented, (N, C, H, W)."""
        return self.as_fake(self.players.generator(self.batch.latents, self.alpha))

    @cached_property
    def reals(self) -> Tensor:
        """At the present alpha, augmented, (N, C, H, W)."""
        return self.as_real(self.faded_reals)

    @cached_property
    def output(self) -> DiscriminatorOutput:
        """Of the fakes; with several discriminators, of a copy for each."""
        return self._output(self.fakes, fakes=True)

    @cached_property
    def fake_logits(self) -> Tensor:
        """(discriminators x N,), float32 or better."""
        return at_least_float32(self.output.logits)

    @property
    def mean_logits(self) -> dict[str, Tensor]:
        """What is logged of them, ()."""
        return {"generator_logits": self.fake_logits.mean()}

    @cached_property
    def real_logits(self) -> Tensor:
        """(discriminators x N,), float32 or better."""
        return self.logits(self.reals)

    def logits(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (discriminators x N,), float32 or better."""
        return at_least_float32(self.discriminate(self.copies(images)))

    def features(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (discriminators x N, F): the input of the last dense layer."""
        return at_least_float32(self._output(images).features)

    def reconstruct(self) -> Tensor:
        """G(E(x)) of the reals, neither of them augmented, (N, C, H, W)."""
        players = self.players
        assert players.encoder is not None
        inputs = self.faded_reals, self.conditioning, self.alpha
        return reconstruct(players.generator, players.encoder, *inputs)

    def _output(self, images: Tensor, *, fakes: bool = False) -> DiscriminatorOutput:
        inputs = self.copies(images), self.alpha, self.copies(self.conditioning)
        output: DiscriminatorOutput
        output = self.players.discriminator.forward_features(*inputs, fakes=fakes)
        return output


PASSES: dict[Side, type[DiscriminatorPass] | type[GeneratorPass]] = {
    "discriminator": DiscriminatorPass,
    "generator": GeneratorPass,
}
