"""DCGAN's blocks for both networks, at one fixed resolution, keyed by the size of their maps.

Source: Radford, Metz and Chintala 2016 (arXiv 1511.06434), sections 3 and 4, figure 1. Kernels are
4x4 where the authors' code has 5x5: with stride 2 every output pixel then has the same number of
taps, which avoids checkerboard artifacts. Latents are from N(0, 1), as everywhere here, and not
normalised; the paper's are uniform.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from progan.stages.networks.attention import SelfAttention
from progan.stages.networks.layers import at_least_float32, minibatch_stddev, transposed
from progan.stages.networks.minibatch import MinibatchDiscrimination
from progan.stages.networks.norms import DISCRIMINATOR_NORMS, GENERATOR_NORMS
from progan.stages.networks.weights.weighted_layer import WeightedLayer, layers
from progan.stages.networks.widths import KERNELS, Growing, finest, resolutions, width
from progan.stages.specs.model import FIRST_RESOLUTION, DiscriminatorSpec, GeneratorSpec, ModelSpec

WEIGHT_STD = 0.02


class Conv4x4(WeightedLayer):
    """A 4x4 convolution that halves the resolution, or a transposed one that doubles it.

    `first` maps vectors to 4x4 maps. No bias is needed before a norm with a shift.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kind: Literal["first", "up", "down"],
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 4, 4))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.scale = 1.0
        self.register_buffer("u", None)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H', W'), H' = H/2 or 2H.

        `first`: (N, in_channels) -> (N, out_channels, 4, 4).
        """
        kernel, bias = self.kernel_and_bias()
        if self.kind == "down":
            return F.conv2d(x, kernel, bias, stride=2, padding=1)
        if self.kind == "first":
            return F.conv_transpose2d(x[:, :, None, None], kernel, bias)
        return F.conv_transpose2d(x, kernel, bias, stride=2, padding=1)

    def make_kernel(self, memory_format: torch.memory_format) -> Tensor:
        """(C', C, 4, 4); of a transposed convolution (C, C', 4, 4)."""
        kernel = super().make_kernel(memory_format)
        if self.kind == "down":
            return kernel.contiguous(memory_format=memory_format)
        return transposed(kernel, memory_format)


class UpBlock(nn.Module):
    """The generator's block: transposed convolution, norm, ReLU, optional self-attention."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        spec: GeneratorSpec,
        kind: Literal["first", "up"],
        *,
        attends: bool,
    ) -> None:
        super().__init__()
        self.conv = Conv4x4(in_channels, channels, kind, bias=not spec.refers)
        self.norm = GENERATOR_NORMS[spec.norm](channels, spec, slope=0.0)
        self.attention = SelfAttention(channels) if attends else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, channels, 2H, 2W); `first`: (N, in_channels) -> 4x4."""
        y: Tensor = self.attention(self.norm(self.conv(x)))
        return y


class ToRgb(Conv4x4):
    """The generator's last layer: transposed convolution and tanh."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__(in_channels, channels, "up")

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, channels, 2H, 2W) in (-1, 1), float32 or better."""
        return torch.tanh(at_least_float32(super().forward(x)))


class DownBlock(nn.Module):
    """The discriminator's block: optional self-attention, convolution, norm, leaky ReLU."""

    def __init__(
        self, channels: int, out_channels: int, spec: DiscriminatorSpec, *, attends: bool
    ) -> None:
        super().__init__()
        self.attention = SelfAttention(channels) if attends else nn.Identity()
        self.conv = Conv4x4(channels, out_channels, "down", bias=spec.norm == "none")
        self.norm = DISCRIMINATOR_NORMS[spec.norm](out_channels, spec)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, out_channels, H/2, W/2)."""
        y: Tensor = self.norm(self.conv(self.attention(x)))
        return y


class LastBlock(nn.Module):
    """4x4 maps -> features: flattened, with the minibatch statistics that the spec asks for.

    The head's dense layer follows; with it this is the paper's single sigmoid output.
    """

    def __init__(self, model: ModelSpec) -> None:
        super().__init__()
        minibatch, group = model.discriminator.minibatch, model.stddev_group
        self.stddev_group = group if minibatch == "stddev" else None
        features = 16 * (width(model, FIRST_RESOLUTION) + (minibatch == "stddev"))
        discriminates = minibatch == "discrimination"
        self.compare = MinibatchDiscrimination(features, group) if discriminates else nn.Identity()
        self.features = features + (KERNELS if discriminates else 0)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, 4, 4) -> (N, features)."""
        if self.stddev_group:
            x = minibatch_stddev(x, self.stddev_group)
        features: Tensor = self.compare(x.flatten(1))
        return features


def generator_blocks(model: ModelSpec, growing: Growing) -> tuple[nn.ModuleDict, nn.ModuleDict]:
    """The generator's blocks, by the size of their output maps, and its last layer."""
    assert not growing.fading, "DCGAN does not grow"
    resolution = growing.resolution
    spec, blocks, channels = model.generator, nn.ModuleDict(), model.first_inputs
    for size in resolutions(finest(model, resolution)):
        kind: Literal["first", "up"] = "first" if size == FIRST_RESOLUTION else "up"
        maps = width(model, size)
        blocks[str(size)] = UpBlock(channels, maps, spec, kind, attends=size in spec.attention)
        channels = maps
    return blocks, nn.ModuleDict({str(resolution): ToRgb(channels, model.channels)})


def discriminator_blocks(
    model: ModelSpec, growing: Growing
) -> tuple[nn.ModuleDict, nn.ModuleDict, int]:
    """The first layer, the blocks by the size of their input maps, and the number of features.

    The first layer has no norm.
    """
    assert not growing.fading, "DCGAN does not grow"
    spec, top = model.discriminator, finest(model, growing.resolution)
    first = Conv4x4(model.channels, width(model, top), "down")
    blocks = nn.ModuleDict(
        {
            str(size): DownBlock(
                width(model, size), width(model, size // 2), spec, attends=size in spec.attention
            )
            for size in reversed(list(resolutions(top, 2 * FIRST_RESOLUTION)))
        }
    )
    last = LastBlock(model)
    blocks[str(FIRST_RESOLUTION)] = last
    return nn.ModuleDict({str(growing.resolution): first}), blocks, last.features


def init_dcgan_weights(network: nn.Module) -> None:
    """Draw all weights from N(0, 0.02) and set their scale to 1: no equalised learning rate.

    Source: section 4 of the paper. Biases stay 0, and the scales of norms 1.
    """
    for _, layer in layers(network):
        layer.scale = 1.0
        nn.init.normal_(layer.weight, std=WEIGHT_STD)
