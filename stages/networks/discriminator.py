"""The discriminator, as far as one stage needs it: PGGAN's blocks, or DCGAN's (dcgan.py)."""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from progan.stages.networks.attention import SelfAttention
from progan.stages.networks.dcgan import discriminator_blocks, draw_plainly
from progan.stages.networks.heads import HEADS
from progan.stages.networks.layers import (
    Alpha,
    EqualizedConv2d,
    EqualizedLinear,
    blend,
    downscale,
    fades,
    leaky_relu_,
    minibatch_stddev,
    run,
)
from progan.stages.networks.minibatch import MinibatchDiscrimination
from progan.stages.networks.norms import DISCRIMINATOR_NORMS
from progan.stages.networks.widths import KERNELS, Growing, resolutions, width
from progan.stages.specs.model import FIRST_RESOLUTION, DiscriminatorSpec, ModelSpec


class DownBlock(nn.Module):
    """Halves the resolution: a 3x3 convolution, then a down-scaling 3x3 one.

    With `attends`, self-attention before them.
    The official code takes the 2x2 mean before the activation; `activates_first` is how
    pytorch_GAN_zoo and pro_gan_pytorch do it.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        spec: DiscriminatorSpec,
        *,
        activates_first: bool = False,
        attends: bool = False,
    ) -> None:
        super().__init__()
        self.attention = SelfAttention(channels) if attends else nn.Identity()
        self.activates_first = activates_first
        norm = DISCRIMINATOR_NORMS[spec.norm]
        self.conv0 = EqualizedConv2d(channels, channels)
        self.norm0 = norm(channels, spec)
        resample: Literal["down"] | None = None if activates_first else "down"
        self.conv1 = EqualizedConv2d(channels, out_channels, resample=resample)
        self.norm1 = norm(out_channels, spec)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, out_channels, H/2, W/2)."""
        x = self.norm1(self.conv1(self.norm0(self.conv0(self.attention(x)))))
        return downscale(x) if self.activates_first else x


class LastBlock(nn.Module):
    """4x4 maps -> features: minibatch stddev, a 3x3 convolution, a dense layer.

    Minibatch discrimination compares what comes out instead.
    """

    def __init__(self, model: ModelSpec) -> None:
        super().__init__()
        channels = width(model, FIRST_RESOLUTION)
        dense_channels = width(model, FIRST_RESOLUTION // 2)
        minibatch, group = model.discriminator.minibatch, model.stddev_group
        learns_distances = minibatch == "discrimination"
        self.stddev_group = group if minibatch == "stddev" else None
        self.conv = EqualizedConv2d(channels + (minibatch == "stddev"), channels)
        self.norm = DISCRIMINATOR_NORMS[model.discriminator.norm](channels, model.discriminator)
        self.dense0 = EqualizedLinear(channels * 16, dense_channels)
        self.compare = (
            MinibatchDiscrimination(dense_channels, group) if learns_distances else nn.Identity()
        )
        self.features = dense_channels + (KERNELS if learns_distances else 0)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, 4, 4) -> (N, features)."""
        if self.stddev_group:
            x = minibatch_stddev(x, self.stddev_group)
        x = self.norm(self.conv(x))
        features: Tensor = self.compare(leaky_relu_(self.dense0(x.flatten(1))))
        return features


class DiscriminatorOutput(NamedTuple):
    """What a discriminator says of N pictures."""

    logits: Tensor
    """(N,), high for real"""
    features: Tensor
    """(N, features) that the last layer made them from"""
    auxiliary_losses: dict[str, Tensor]
    """What else both networks are to minimise, (N,) by name"""


def growing_blocks(model: ModelSpec, growing: Growing) -> tuple[nn.ModuleDict, nn.ModuleDict, int]:
    """PGGAN's fromRGB layers, its blocks by the size of the maps they see, its features.

    Source: table 2 of the paper.
    """
    resolution, fading, _ = growing
    seen = [resolution // 2, resolution] if fading else [resolution]
    from_rgb = nn.ModuleDict(
        {str(size): EqualizedConv2d(model.channels, width(model, size), 1) for size in seen}
    )
    sizes = list(resolutions(resolution, 2 * FIRST_RESOLUTION))
    blocks = nn.ModuleDict(
        {
            str(size): DownBlock(
                width(model, size),
                width(model, size // 2),
                model.discriminator,
                activates_first=model.variant != "paper",
                attends=size in model.discriminator.attention,
            )
            for size in reversed(sizes)
        }
    )
    last = LastBlock(model)
    blocks["4"] = last
    return from_rgb, blocks, last.features


BLOCKS: dict[str, Callable[[ModelSpec, Growing], tuple[nn.ModuleDict, nn.ModuleDict, int]]] = {
    "progressive": growing_blocks,
    "dcgan": discriminator_blocks,
}
"""By `model.arch`: the layers from RGB, the blocks, by the size of the maps they see, and how many
features these make"""


class Features(nn.Module):
    """Images at one resolution -> features: all of a discriminator but its last layer.

    Only the blocks from `resolution` down exist. With `fading` there is also the previous
    resolution's fromRGB layer, which `alpha` < 1 needs. Blocks from the resolution
    `recompute_from` on are recomputed in the backward pass.
    """

    def __init__(
        self,
        model: ModelSpec,
        resolution: int,
        *,
        fading: bool = False,
        recompute_from: int | None = None,
    ) -> None:
        super().__init__()
        self.resolution = resolution
        self.recompute_from = recompute_from or math.inf
        self.memory_format = torch.contiguous_format
        """In which order feature maps lie in memory; changes no result but by rounding"""
        growing = Growing(resolution, fading, recompute_from)
        self.from_rgb, self.blocks, self.width = BLOCKS[model.arch](model, growing)

    def _features(self, images: Tensor, alpha: Alpha) -> Tensor:
        """(N, channels, resolution, resolution) -> (N, width)."""
        images = images.contiguous(memory_format=self.memory_format)
        x = leaky_relu_(self.from_rgb[str(self.resolution)](images))
        for size, block in self.blocks.items():
            x = run(block, x, recompute=int(size) >= self.recompute_from)
            if int(size) == self.resolution and fades(alpha):
                previous = self.from_rgb[str(self.resolution // 2)](downscale(images))
                x = blend(leaky_relu_(previous), x, alpha)
        return x


class Discriminator(Features):
    """Images at one resolution -> logits."""

    def __init__(self, model: ModelSpec, resolution: int, **options: Any) -> None:
        super().__init__(model, resolution, **options)
        growing = Growing(resolution, **options)
        self.head = HEADS[model.discriminator.head.kind](self.width, model, growing)
        if not model.equalized:
            draw_plainly(self)

    def forward(
        self, images: Tensor, alpha: Alpha = 1.0, conditions: Tensor | None = None
    ) -> Tensor:
        """Logits of a batch of images, (N,); high for real. See `forward_features`."""
        # Not `self.judge`, which may be compiled (compiling.py): this is differentiated twice.
        return Discriminator.forward_features(self, images, alpha, conditions).logits

    def forward_features(
        self,
        images: Tensor,
        alpha: Alpha = 1.0,
        conditions: Tensor | None = None,
        *,
        fakes: bool = False,
    ) -> DiscriminatorOutput:
        """All that can be said of a batch of images.

        images: (N, channels, resolution, resolution) in [-1, 1].
        alpha: 0 sees the image down-scaled through the previous fromRGB; 1 the new path alone.
        conditions: (N, model.inputs - latent), what they should show: classes, codes; none for a
        head that does not ask. Codes are true of `fakes` alone, which were drawn from them.
        """
        return self._conclude(self._features(images, alpha), images, alpha, conditions, fakes)

    def forward_both(
        self, reals: Tensor, fakes: Tensor, alpha: Alpha, conditions: Tensor
    ) -> tuple[DiscriminatorOutput, DiscriminatorOutput]:
        """The verdicts on reals and on as many fakes, which go through the blocks in one pass.

        Samples are compared within groups of consecutive ones, which N is a multiple of, so that
        reals and fakes do not see each other; one pass reads, scales and reorders all weights once.
        """
        of_reals, of_fakes = self._features(torch.cat([reals, fakes]), alpha).chunk(2)
        return (
            self._conclude(of_reals, reals, alpha, conditions, fakes=False),
            self._conclude(of_fakes, fakes, alpha, conditions, fakes=True),
        )

    def _conclude(
        self, x: Tensor, images: Tensor, alpha: Alpha, conditions: Tensor | None, fakes: bool
    ) -> DiscriminatorOutput:
        told = x.new_zeros(len(x), 0) if conditions is None else conditions
        return DiscriminatorOutput(
            self.head(x, told, images, alpha), x, self.head.auxiliary_losses(x, told, fakes=fakes)
        )
