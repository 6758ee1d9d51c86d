"""Layers with weights that are scaled or spectrally normalised, once for several passes.

The weight that a layer computes with is its kernel: the parameter times a constant (equalised
learning rate) or over its largest singular value, fused with a resampling, in the precision of
autocast and in the memory format of the maps. All that depends on the parameter alone, and an
update's passes use the same: `prepared_kernels` makes every kernel once for them. Autograd adds up
the passes' gradients of a kernel and takes the way back to the parameter once.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Prepared(NamedTuple):
    """A kernel made in advance."""

    weight: Tensor
    """The parameter that it was made of; `functional_call` lends a layer another"""
    kernel: Tensor
    bias: Tensor | None


class WeightedLayer(nn.Module):
    """A layer with a weight whose scale is constant, or set by spectral normalisation."""

    weight: nn.Parameter
    """(rows, ...): a matrix when its other dimensions are flattened"""
    scale: float
    """gain / sqrt(fan_in), which multiplies the weight at run time"""
    bias: nn.Parameter | None
    u: Tensor | None
    """(rows,), with spectral normalisation: the estimate of the left singular vector"""
    prepared: Prepared | None = None
    is_buffer: bool = False
    """Whether its weight is a buffer, which nothing trains or constrains"""

    def kernel(self) -> Tensor:
        """What the layer multiplies with, in autocast's precision, made in advance or now."""
        return self._ready().kernel

    def kernel_and_bias(self) -> tuple[Tensor, Tensor | None]:
        """The same, and the bias in the same precision."""
        return self._ready()[1:]

    def make_kernel(self, memory_format: torch.memory_format) -> Tensor:
        """The used weight in autocast's precision. Convolutions lay it out like their maps."""
        return in_half(used_weight(self))

    def prepare(self, memory_format: torch.memory_format) -> Prepared:
        """Make kernel and bias."""
        bias = None if self.bias is None else in_half(self.bias)
        return Prepared(self.weight, self.make_kernel(memory_format), bias)

    def _ready(self) -> Prepared:
        if self.prepared is not None and self.prepared.weight is self.weight:
            return self.prepared
        return self.prepare(torch.contiguous_format)


def layers(network: nn.Module) -> Iterator[tuple[str, WeightedLayer]]:
    """The weighted layers of a network that have parameters, with their names."""
    for name, module in network.named_modules():
        if isinstance(module, WeightedLayer) and not module.is_buffer:
            yield name, module


def make_buffers(network: nn.Module) -> None:
    """Turn all parameters of a network into buffers of the same names.

    They are saved and loaded as before, but belong to no optimizer, and no gradient is computed.
    """
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach())
        if isinstance(module, WeightedLayer):
            module.is_buffer = True


@contextmanager
def prepared_kernels(
    networks: Iterable[nn.Module], memory_format: torch.memory_format
) -> Iterator[None]:
    """Make the kernels of these networks once for all passes inside, as autocast is now.

    Their backward passes belong inside too, as a recomputed block runs in them.
    """
    modules = (module for network in networks for module in network.modules())
    prepared = [module for module in modules if isinstance(module, WeightedLayer)]
    try:
        for layer in prepared:
            layer.prepared = layer.prepare(memory_format)
        yield
    finally:
        for layer in prepared:
            layer.prepared = None


def used_weight(layer: WeightedLayer) -> Tensor:
    """The effective weight: weight * scale, or weight / its largest singular value.

    Under the normalisation a scale would cancel out.
    """
    if layer.u is None:
        return layer.weight * layer.scale
    return layer.weight / largest_singular_value(layer.weight, layer.u)


def largest_singular_value(weight: Tensor, u: Tensor) -> Tensor:
    """|W^T u|, which is u^T W v with v = W^T u / |W^T u|, for a unit vector u.

    Its gradient is u v^T. Source: Miyato et al. 2018 (arXiv 1802.05957), sections 2.1 to 2.3 and
    appendix A; v belongs to the newest u, half an iteration ahead of algorithm 1.
    """
    with torch.autocast(weight.device.type, enabled=False):
        sigma: Tensor = torch.linalg.vector_norm(u @ weight.flatten(1)).clamp(min=1e-12)
    return sigma


def in_half(x: Tensor, memory_format: torch.memory_format = torch.preserve_format) -> Tensor:
    """x as autocast's convolutions and matrix products would cast it; as it is without autocast."""
    device = x.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
    if device == "cpu":  # there two copies are faster than one that casts and reorders
        x = x.to(dtype)
    return x.to(dtype, memory_format=memory_format)
