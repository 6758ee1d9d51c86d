"""The discriminator of PGGAN, as far as one stage needs it."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from progan.stages.networks.attention import SelfAttention
from progan.stages.networks.layers import (
    EqualizedConv2d,
    EqualizedLinear,
    downscale,
    leaky_relu_,
    minibatch_stddev,
)
from progan.stages.networks.minibatch import MinibatchDiscrimination
from progan.stages.networks.recompute import run
from progan.stages.networks.widths import KERNELS, resolutions, width
from progan.stages.spec import FIRST_RESOLUTION, ModelSpec


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
        *,
        activates_first: bool = False,
        attends: bool = False,
    ) -> None:
        super().__init__()
        self.attention = SelfAttention(channels) if attends else nn.Identity()
        self.activates_first = activates_first
        self.conv0 = EqualizedConv2d(channels, channels)
        resample: Literal["down"] | None = None if activates_first else "down"
        self.conv1 = EqualizedConv2d(channels, out_channels, resample=resample)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, out_channels, H/2, W/2)."""
        x = leaky_relu_(self.conv1(leaky_relu_(self.conv0(self.attention(x)))))
        return downscale(x) if self.activates_first else x


class LastBlock(nn.Module):
    """4x4 features -> logits: minibatch stddev, a 3x3 convolution, two dense layers.

    Minibatch discrimination compares the features before the last layer instead.
    """

    def __init__(self, model: ModelSpec) -> None:
        super().__init__()
        channels = width(model, FIRST_RESOLUTION)
        dense_channels = width(model, FIRST_RESOLUTION // 2)
        minibatch, group = model.discriminator.minibatch, model.stddev_group
        learns_distances = minibatch == "discrimination"
        self.stddev_group = group if minibatch == "stddev" else None
        self.conv = EqualizedConv2d(channels + (minibatch == "stddev"), channels)
        self.dense0 = EqualizedLinear(channels * 16, dense_channels)
        self.compare = (
            MinibatchDiscrimination(dense_channels, group) if learns_distances else nn.Identity()
        )
        seen = dense_channels + (KERNELS if learns_distances else 0)
        self.dense1 = EqualizedLinear(seen, 1, gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, 4, 4) -> (N,)."""
        if self.stddev_group:
            x = minibatch_stddev(x, self.stddev_group)
        x = leaky_relu_(self.conv(x))
        x = self.compare(leaky_relu_(self.dense0(x.flatten(1))))
        logits: Tensor = self.dense1(x)
        return logits.flatten()


class Discriminator(nn.Module):
    """Images at one resolution -> logits (PGGAN, table 2).

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
        seen = [resolution // 2, resolution] if fading else [resolution]
        self.from_rgb = nn.ModuleDict(
            {str(size): EqualizedConv2d(model.channels, width(model, size), 1) for size in seen}
        )
        sizes = list(resolutions(resolution, 2 * FIRST_RESOLUTION))
        self.blocks = nn.ModuleDict(
            {
                str(size): DownBlock(
                    width(model, size),
                    width(model, size // 2),
                    activates_first=model.variant != "paper",
                    attends=size in model.discriminator.attention,
                )
                for size in reversed(sizes)
            }
        )
        self.blocks["4"] = LastBlock(model)

    def forward(self, images: Tensor, alpha: float = 1.0) -> Tensor:
        """Logits of a batch of images; high for real.

        images: (N, channels, resolution, resolution) in [-1, 1].
        alpha: 0 sees the image down-scaled through the previous fromRGB; 1 the new path alone.
        Returns (N,).
        """
        images = images.contiguous(memory_format=self.memory_format)
        x = leaky_relu_(self.from_rgb[str(self.resolution)](images))
        for size, block in self.blocks.items():
            x = run(block, x, recompute=int(size) >= self.recompute_from)
            if int(size) == self.resolution and alpha < 1.0:
                previous = self.from_rgb[str(self.resolution // 2)](downscale(images))
                x = torch.lerp(leaky_relu_(previous), x, alpha)
        return x
