"""The generator of one stage, made of PGGAN's blocks, or of DCGAN's (dcgan.py)."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from progan.stages.networks.attention import SelfAttention
from progan.stages.networks.conditioning import cycling_labels, for_first_layer, with_conditions
from progan.stages.networks.dcgan import generator_blocks, init_dcgan_weights
from progan.stages.networks.functions.pixel_norm import pixel_norm
from progan.stages.networks.layers import (
    Alpha,
    EqualizedConv2d,
    LatentTo4x4,
    at_least_float32,
    blend,
    fades,
    run_block,
    upscale,
)
from progan.stages.networks.norms import GENERATOR_NORMS, NoNorm
from progan.stages.networks.widths import Growing, resolutions, width
from progan.stages.specs.model import FIRST_RESOLUTION, GeneratorSpec, ModelSpec


class FirstBlock(nn.Module):
    """Latent -> 4x4 features: a dense layer, then a 3x3 convolution, each normalised.

    The input (latent, class and codes) is normalised too, as in the official code. pro_gan_pytorch
    normalises only the second layer.
    """

    def __init__(self, model: ModelSpec) -> None:
        super().__init__()
        channels = width(model, FIRST_RESOLUTION)
        per_output = model.variant == "pytorch_gan_zoo"
        norm = GENERATOR_NORMS[model.generator.norm]
        dense_norm = NoNorm if model.variant == "pro_gan_pytorch" else norm
        self.dense = LatentTo4x4(model.first_inputs, channels, bias_per_output=per_output)
        self.norm0 = dense_norm(channels, model.generator)
        self.conv = EqualizedConv2d(channels, channels)
        self.norm1 = norm(channels, model.generator)

    def forward(self, latents: Tensor) -> Tensor:
        """(N, first_inputs) -> (N, channels, 4, 4)."""
        x: Tensor = self.norm1(self.conv(self.norm0(self.dense(pixel_norm(latents)))))
        return x


class UpBlock(nn.Module):
    """Doubles the resolution: up-scaling 3x3 convolution, then a 3x3 one, each normalised.

    With `attends`, self-attention after them.
    """

    def __init__(
        self, in_channels: int, channels: int, spec: GeneratorSpec, *, attends: bool = False
    ) -> None:
        super().__init__()
        norm = GENERATOR_NORMS[spec.norm]
        self.conv0 = EqualizedConv2d(in_channels, channels, resample="up")
        self.norm0 = norm(channels, spec)
        self.conv1 = EqualizedConv2d(channels, channels)
        self.norm1 = norm(channels, spec)
        self.attention = SelfAttention(channels) if attends else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, channels, 2H, 2W)."""
        x = self.norm1(self.conv1(self.norm0(self.conv0(x))))
        y: Tensor = self.attention(x)
        return y


def growing_blocks(model: ModelSpec, growing: Growing) -> tuple[nn.ModuleDict, nn.ModuleDict]:
    """PGGAN's blocks, by the size of their output maps, and its toRGB layers (table 2)."""
    resolution, fading, _ = growing
    blocks = nn.ModuleDict({"4": FirstBlock(model)})
    for size in resolutions(resolution, 2 * FIRST_RESOLUTION):
        blocks[str(size)] = UpBlock(
            width(model, size // 2),
            width(model, size),
            model.generator,
            attends=size in model.generator.attention,
        )
    outputs = [resolution // 2, resolution] if fading else [resolution]
    to_rgb = {
        str(size): EqualizedConv2d(width(model, size), model.channels, 1, gain=1.0)
        for size in outputs
    }
    return blocks, nn.ModuleDict(to_rgb)


BLOCKS: dict[str, Callable[[ModelSpec, Growing], tuple[nn.ModuleDict, nn.ModuleDict]]] = {
    "progressive": growing_blocks,
    "dcgan": generator_blocks,
}
"""By `model.arch`: the blocks, by the size of their output maps, and the toRGB layers"""


class Generator(nn.Module):
    """Latents -> images at one resolution.

    Only the blocks up to `resolution` exist. With `fading` there is also the previous resolution's
    toRGB layer, which `alpha` < 1 needs. Blocks at `recompute_from` and above are recomputed in
    the backward pass.
    """

    reference: Tensor | None

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
        """Of feature maps; results differ by rounding only"""
        self.register_buffer("reference", None)
        if model.generator.refers:
            noise = torch.randn(model.generator.reference, model.noise)
            labels = cycling_labels(len(noise), model.classes)
            self.reference = with_conditions(noise, labels, model)
        self.blocks, self.to_rgb = BLOCKS[model.arch](model, Growing(resolution, fading))
        if not model.equalized:
            init_dcgan_weights(self)

    def previous_layers(self) -> list[nn.Module]:
        """The layers that come from the previous resolution."""
        layers = (*self.blocks.items(), *self.to_rgb.items())
        return [layer for size, layer in layers if int(size) < self.resolution]

    def forward(self, latents: Tensor, alpha: Alpha = 1.0) -> Tensor:
        """Images of a batch of latents.

        latents: (N, model.inputs), with classes, codes and the generator's index if the model has
        them (conditioning.py).
        alpha: 0 gives the previous resolution's image, up-scaled; 1 the new path alone.
        Returns (N, channels, resolution, resolution), linear (not clipped to [-1, 1]); DCGAN ends
        in tanh.
        """
        norm = self.model.generator.norm
        prepend_reference = norm == "virtual_batch" or (norm == "batch" and not self.training)
        if prepend_reference:
            assert self.reference is not None
            latents = torch.cat([self.reference.to(latents.dtype), latents])
        x = before = for_first_layer(latents, self.model)
        for size, block in self.blocks.items():
            if int(size) == self.resolution:
                before = x
            x = run_block(block, x, recompute=int(size) >= self.recompute_from)
            x = x.contiguous(memory_format=self.memory_format)
        if prepend_reference:
            x, before = (y[self.model.generator.reference :] for y in (x, before))
        image = at_least_float32(self.to_rgb[str(self.resolution)](x))
        if not fades(alpha):
            return image
        previous = at_least_float32(self.to_rgb[str(self.resolution // 2)](before))
        return blend(upscale(previous), image, alpha)
