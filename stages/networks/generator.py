"""The generator of PGGAN, as far as one stage needs it."""

import math

import torch
from torch import Tensor, nn

from progan.stages.networks.attention import SelfAttention
from progan.stages.networks.layers import (
    EqualizedConv2d,
    LatentTo4x4,
    at_least_float32,
    leaky_relu_,
    pixel_norm,
    upscale,
)
from progan.stages.networks.recompute import run
from progan.stages.networks.widths import resolutions, width
from progan.stages.spec import FIRST_RESOLUTION, ModelSpec


class FirstBlock(nn.Module):
    """Latent -> 4x4 features: a dense layer, then a 3x3 convolution, each normalised.

    pro_gan_pytorch normalises only the second.
    """

    def __init__(self, model: ModelSpec) -> None:
        super().__init__()
        channels = width(model, FIRST_RESOLUTION)
        per_output = model.variant == "pytorch_gan_zoo"
        self.normalises_dense = model.variant != "pro_gan_pytorch"
        self.dense = LatentTo4x4(model.inputs, channels, bias_per_output=per_output)
        self.conv = EqualizedConv2d(channels, channels)

    def forward(self, latents: Tensor) -> Tensor:
        """(N, inputs) -> (N, channels, 4, 4)."""
        x = leaky_relu_(self.dense(latents))
        if self.normalises_dense:
            x = pixel_norm(x)
        return pixel_norm(leaky_relu_(self.conv(x)))


class UpBlock(nn.Module):
    """Doubles the resolution: up-scaling 3x3 convolution, then a 3x3 one, each normalised.

    With `attends`, self-attention after them.
    """

    def __init__(self, in_channels: int, channels: int, *, attends: bool = False) -> None:
        super().__init__()
        self.conv0 = EqualizedConv2d(in_channels, channels, resample="up")
        self.conv1 = EqualizedConv2d(channels, channels)
        self.attention = SelfAttention(channels) if attends else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, channels, 2H, 2W)."""
        x = pixel_norm(leaky_relu_(self.conv0(x)))
        y: Tensor = self.attention(pixel_norm(leaky_relu_(self.conv1(x))))
        return y


class Generator(nn.Module):
    """Latents -> images at one resolution (PGGAN, table 2).

    Only the blocks up to `resolution` exist. With `fading` there is also the previous resolution's
    toRGB layer, which `alpha` < 1 needs. Blocks from the resolution `recompute_from` on are
    recomputed in the backward pass.
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
        self.model = model
        self.memory_format = torch.contiguous_format
        """In which order feature maps lie in memory; changes no result but by rounding"""
        self.blocks = nn.ModuleDict({"4": FirstBlock(model)})
        for size in resolutions(resolution, 2 * FIRST_RESOLUTION):
            self.blocks[str(size)] = UpBlock(
                width(model, size // 2),
                width(model, size),
                attends=size in model.generator.attention,
            )
        shown = [resolution // 2, resolution] if fading else [resolution]
        self.to_rgb = nn.ModuleDict(
            {
                str(size): EqualizedConv2d(width(model, size), model.channels, 1, gain=1.0)
                for size in shown
            }
        )

    def forward(self, latents: Tensor, alpha: float = 1.0) -> Tensor:
        """Images of a batch of latents.

        latents: (N, model.inputs), any scale: they are normalised here, together with the classes
        and codes that may follow them (conditions.py), as in the official code.
        alpha: 0 gives the previous resolution's image, up-scaled; 1 the new path alone.
        Returns (N, channels, resolution, resolution), linear (not clipped to [-1, 1]).
        """
        x = pixel_norm(latents)
        for size, block in self.blocks.items():
            if int(size) == self.resolution:
                before = x
            x = run(block, x, recompute=int(size) >= self.recompute_from)
            x = x.contiguous(memory_format=self.memory_format)
        image = at_least_float32(self.to_rgb[str(self.resolution)](x))
        if alpha >= 1.0:
            return image
        previous = at_least_float32(self.to_rgb[str(self.resolution // 2)](before))
        return torch.lerp(upscale(previous), image, alpha)
