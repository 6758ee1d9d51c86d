"""The layers of PGGAN: equalised weights, pixel norm, minibatch stddev, resampling, fading.

All images and features are NCHW. Source: Karras et al., ICLR 2018 (arXiv 1710.10196), sections
3 and 4 and appendix A, and the configuration of the official code. Layers with weights come first,
then functions of features, the fade, and recomputation.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from progan.stages.networks.functions.conv2d_gradfix import conv2d_gradfix, conv_transpose2d_gradfix
from progan.stages.networks.weights.weighted_layer import (
    WeightedLayer,
    in_half,
    used_weight,
)

SQRT2 = math.sqrt(2.0)
SLOPE = 0.2
"""Of leaky ReLU below 0, in PGGAN and in DCGAN's discriminator"""
Alpha = float | Tensor
"""The fade's blend factor; in compiled code a tensor () during the fade, then 1.0"""


class EqualizedLinear(WeightedLayer):
    """Dense layer with an equalised learning rate (PGGAN, section 4.1).

    Weights are drawn from N(0, 1) and multiplied by gain / sqrt(fan_in) at run time, so that Adam
    moves all layers at the same relative speed; the code scales the inputs instead, which are
    fewer. The bias starts at 0 and is not scaled.
    """

    bias: nn.Parameter

    def __init__(self, in_features: int, out_features: int, *, gain: float = SQRT2) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(out_features))
        self.scale = gain / math.sqrt(in_features)
        self.register_buffer("u", None)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_features) -> (N, out_features)."""
        return F.linear(x * self.scale if self.u is None else x, *self.kernel_and_bias())

    def make_kernel(self, memory_format: torch.memory_format) -> Tensor:
        """The weight, which spectral normalisation alone scales."""
        return in_half(self.weight if self.u is None else used_weight(self))


class LatentTo4x4(WeightedLayer):
    """The generator's first layer: a dense layer whose outputs are 4x4 feature maps.

    Its gain is sqrt(2)/4 and it has one bias per map, not per output, as in the official code;
    pytorch_GAN_zoo has `bias_per_output`.
    """

    bias: nn.Parameter

    def __init__(self, latent: int, channels: int, *, bias_per_output: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(latent, channels, 4, 4))
        self.bias = nn.Parameter(torch.zeros((channels, 4, 4) if bias_per_output else channels))
        self.bias_size = (4, 4) if bias_per_output else (1, 1)
        self.scale = SQRT2 / 4 / math.sqrt(latent)
        self.register_buffer("u", None)

    def forward(self, latents: Tensor) -> Tensor:
        """(N, latent) -> (N, channels, 4, 4)."""
        scaled = latents * self.scale if self.u is None else latents
        maps = scaled @ self.kernel().flatten(1)
        return maps.reshape(-1, *self.weight.shape[1:]) + self.bias.reshape(
            len(self.bias), *self.bias_size
        )

    def make_kernel(self, memory_format: torch.memory_format) -> Tensor:
        """The weight, which spectral normalisation alone scales."""
        return in_half(self.weight if self.u is None else used_weight(self))


class EqualizedConv2d(WeightedLayer):
    """Convolution with an equalised learning rate; keeps, doubles or halves the resolution.

    `resample="up"` is nearest up-scaling followed by the convolution, `"down"` the convolution
    followed by a 2x2 mean; both are fused into one strided 4x4 kernel, which needs 16
    multiplications instead of 36 (official code: `upscale2d_conv2d`, `conv2d_downscale2d`).
    """

    bias: nn.Parameter
    shifts: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        gain: float = SQRT2,
        resample: Literal["up", "down"] | None = None,
    ) -> None:
        super().__init__()
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        self.weight = nn.Parameter(torch.randn(shape))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.scale = gain / math.sqrt(in_channels * kernel_size**2)
        self.resample = resample
        if resample:
            self.register_buffer("shifts", four_shifts(resample), persistent=False)
        self.register_buffer("u", None)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H', W'), H' = 2H, H/2 or H."""
        if self.resample == "up":
            return conv_transpose2d_gradfix(x, *self.kernel_and_bias(), stride=2)
        return conv2d_gradfix(x, *self.kernel_and_bias(), stride=2 if self.resample else 1)

    def make_kernel(self, memory_format: torch.memory_format) -> Tensor:
        """(C', C, k, k); for "up", a transposed convolution, (C, C', k, k)."""
        weight = used_weight(self)
        if not self.resample:
            return in_half(weight, memory_format)
        fused = in_half(weight).reshape(-1, 9) @ self.shifts
        kernel = fused.reshape(*weight.shape[:2], 4, 4)
        if self.resample == "up":
            return transposed(kernel, memory_format)
        return kernel.contiguous(memory_format=memory_format)


def transposed(kernel: Tensor, memory_format: torch.memory_format) -> Tensor:
    """(C', C, k, k) -> (C, C', k, k) in a memory format.

    With channels last it is the transpose of one matrix, which torch copies in blocks: on a CPU in
    a tenth of the time.
    """
    if memory_format != torch.channels_last:
        return kernel.transpose(0, 1).contiguous()
    outputs, inputs, *size = kernel.shape
    matrix = kernel.reshape(outputs, -1).t().contiguous()
    return matrix.reshape(inputs, *size, outputs).permute(0, 3, 1, 2)


def four_shifts(resample: Literal["up", "down"]) -> Tensor:
    """The matrix (9, 16) from a flattened 3x3 kernel to the fused 4x4 kernel of a resampling by 2.

    The kernel is convolved with a 2x2 box: summed over its four shifts by one pixel. For "down" the
    box is a mean; for "up" the kernel is flipped, as transposed convolutions need it.
    """
    kernels = torch.eye(9).reshape(9, 3, 3)
    if resample == "up":
        kernels = kernels.flip(1, 2)
    padded = F.pad(kernels, (1, 1, 1, 1))
    rows = padded[:, 1:] + padded[:, :-1]
    return (rows[..., 1:] + rows[..., :-1]).flatten(1) / (4 if resample == "down" else 1)


def at_least_float32(x: Tensor) -> Tensor:
    """x in float32, unless it is float32 or float64: half precision cannot hold sums of squares."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def leaky_relu_(x: Tensor, slope: float = SLOPE) -> Tensor:
    """Leaky ReLU in place: one feature map per convolution is kept for backward instead of two.

    The backward pass needs only the output.
    """
    return F.leaky_relu(x, slope, inplace=True)


def minibatch_stddev(x: Tensor, group: int, eps: float = 1e-8) -> Tensor:
    """Append one feature map with the standard deviation over each group (PGGAN, section 3).

    Groups are `group` consecutive samples, so that a group does not depend on how a batch is split
    over ranks. (N, C, H, W) -> (N, C + 1, H, W); N must be a multiple of `group`.
    """
    samples, channels, height, width = x.shape
    if samples % group:
        raise ValueError(f"minibatch of {samples} is no multiple of the stddev group, {group}")
    grouped = at_least_float32(x).reshape(samples // group, group, channels, height, width)
    centred = grouped - grouped.mean(dim=1, keepdim=True)
    variance = centred.square().mean(dim=1)  # on the CPU several times faster than var()
    deviation = (variance + eps).sqrt().mean(dim=(1, 2, 3)).to(x.dtype)
    maps = deviation.repeat_interleave(group).reshape(samples, 1, 1, 1)
    return torch.cat([x, maps.expand(samples, 1, height, width)], dim=1)


def upscale(x: Tensor) -> Tensor:
    """Nearest neighbour, twice the size: (N, C, H, W) -> (N, C, 2H, 2W)."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def downscale(x: Tensor) -> Tensor:
    """Mean of 2x2 boxes, half the size: (N, C, H, W) -> (N, C, H/2, W/2)."""
    return F.avg_pool2d(x, 2)


def resize(x: Tensor, resolution: int) -> Tensor:
    """Downscaled or upscaled by a power of two to a resolution: (N, C, R, R)."""
    size = x.shape[-1]
    if size > resolution:
        return F.avg_pool2d(x, size // resolution)
    if size < resolution:
        return F.interpolate(x, scale_factor=resolution // size, mode="nearest")
    return x


def fades(alpha: Alpha) -> bool:
    """Whether the previous resolution still has a part in the output."""
    return isinstance(alpha, Tensor) or alpha < 1.0


def blend(before: Tensor, after: Tensor, alpha: Alpha) -> Tensor:
    """The previous resolution's path at alpha 0, the new one's at 1 (PGGAN, figure 2)."""
    if not isinstance(alpha, Tensor):
        return torch.lerp(before, after, alpha)
    # In half precision a float alpha keeps its precision, a tensor would be rounded first.
    before, wide = at_least_float32(before), at_least_float32(after)
    return torch.lerp(before, wide, alpha.to(wide.dtype)).to(after.dtype)


def fade(images: Tensor, alpha: float) -> Tensor:
    """Blend reals with their half-resolution version: lerp(up(down(images)), images, alpha).

    During the fade reals must not be sharper than the generator's images can be (official code:
    `process_reals`). (N, C, H, W) -> the same shape.
    """
    if alpha >= 1.0:
        return images
    return torch.lerp(upscale(downscale(images)), images, alpha)


def run_block(block: Callable[[Tensor], Tensor], x: Tensor, *, recompute: bool) -> Tensor:
    """block(x); with `recompute` only x is kept, and the backward pass runs the block again.

    Results are the same, in a double backward and under autocast too. The networks draw no random
    numbers, so no RNG state is kept. Source: Chen et al. 2016, arXiv 1604.06174.
    """
    y: Tensor = (
        checkpoint(block, x, use_reentrant=False, preserve_rng_state=False)
        if recompute
        else block(x)
    )
    return y
