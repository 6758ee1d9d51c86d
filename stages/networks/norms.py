"""Normalisation and activation after each layer, by name.

Where statistics come from a reference batch, the first samples of x are the reference's features.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from progan.stages.networks.functions.pixel_norm import pixel_norm
from progan.stages.networks.layers import SLOPE, at_least_float32, leaky_relu_
from progan.stages.specs.model import DiscriminatorSpec, GeneratorSpec

EPSILON = 1e-5


class PixelNorm(nn.Module):
    """Leaky ReLU, then every pixel's features to unit mean square (PGGAN, section 4.2)."""

    def __init__(self, channels: int, spec: GeneratorSpec, slope: float = SLOPE) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        return pixel_norm(leaky_relu_(x, self.slope))


class NoNorm(nn.Module):
    """Leaky ReLU alone."""

    def __init__(
        self, channels: int, spec: GeneratorSpec | DiscriminatorSpec, slope: float = SLOPE
    ) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        return leaky_relu_(x, self.slope)


class BatchNorm(nn.Module):
    """Every map to mean 0 and variance 1, then scale and shift, then the activation.

    In training, statistics are over groups of consecutive samples; over the batch, as in Ioffe and
    Szegedy 2015 (algorithm 1), they would depend on how it is split over ranks. In evaluation they
    are over the reference batch: an image does not depend on others of its batch, and no running
    statistics lag behind the weights.
    """

    def __init__(
        self, channels: int, spec: GeneratorSpec | DiscriminatorSpec, slope: float = SLOPE
    ) -> None:
        super().__init__()
        self.slope = slope
        self.group = spec.norm_group
        self.reference = spec.reference if isinstance(spec, GeneratorSpec) else 0
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape; in training N is a multiple of the group."""
        wide = at_least_float32(x)
        if self.training:
            groups = wide.reshape(-1, self.group, *x.shape[1:])
            variance, mean = torch.var_mean(groups, dim=(1, 3, 4), correction=0, keepdim=True)
            normed = ((groups - mean) * torch.rsqrt(variance + EPSILON)).reshape(x.shape)
        else:
            reference = wide[: self.reference]
            variance, mean = torch.var_mean(reference, dim=(0, 2, 3), correction=0, keepdim=True)
            normed = (wide - mean) * torch.rsqrt(variance + EPSILON)
        return leaky_relu_(scale_and_shift(normed, self.weight, self.bias).to(x.dtype), self.slope)


class LayerNorm(nn.Module):
    """Every sample to mean 0 and variance 1, scale and shift per map, then the activation.

    Ba et al. 2016; for critics with a gradient penalty, which is defined per sample (Gulrajani et
    al. 2017, section 4).
    """

    def __init__(self, channels: int, spec: DiscriminatorSpec) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, channels, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        # In float32 on every device: autocast does so on CUDA alone, and returns float32.
        return leaky_relu_(self.norm(at_least_float32(x)).to(x.dtype))


class VirtualBatchNorm(nn.Module):
    """Batch norm over the reference batch and the sample itself.

    A sample depends on no other of its batch, in training too. Source: Salimans et al. 2016,
    section 3.6.
    """

    def __init__(self, channels: int, spec: GeneratorSpec, slope: float = SLOPE) -> None:
        super().__init__()
        self.slope = slope
        self.reference = spec.reference
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        wide = at_least_float32(x)
        means = wide.mean(dim=(2, 3), keepdim=True)
        squares = wide.square().mean(dim=(2, 3), keepdim=True)
        mean = means[: self.reference].mean(dim=0, keepdim=True)
        square = squares[: self.reference].mean(dim=0, keepdim=True)
        own_weight = 1 / (self.reference + 1)
        own_weights = torch.cat(
            [wide.new_zeros(self.reference), wide.new_full((len(x) - self.reference,), own_weight)]
        ).reshape(-1, 1, 1, 1)
        mean, square = (
            torch.lerp(mean, means, own_weights),
            torch.lerp(square, squares, own_weights),
        )
        variance = (square - mean.square()).clamp(min=0)
        normed = (wide - mean) * torch.rsqrt(variance + EPSILON)
        return leaky_relu_(scale_and_shift(normed, self.weight, self.bias).to(x.dtype), self.slope)


def scale_and_shift(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x * weight + bias, per map."""
    shape = 1, -1, 1, 1
    return x * weight.reshape(shape) + bias.reshape(shape)


class MakeNorm(Protocol):
    """Makes the norm and activation after a layer of the generator."""

    def __call__(self, channels: int, spec: GeneratorSpec, slope: float = SLOPE) -> nn.Module:
        """slope: of the activation below 0; 0 for a ReLU."""
        ...


GENERATOR_NORMS: dict[str, MakeNorm] = {
    "pixel": PixelNorm,
    "none": NoNorm,
    "batch": BatchNorm,
    "virtual_batch": VirtualBatchNorm,
}

DISCRIMINATOR_NORMS: dict[str, Callable[[int, DiscriminatorSpec], nn.Module]] = {
    "none": NoNorm,
    "batch": BatchNorm,
    "layer": LayerNorm,
}
