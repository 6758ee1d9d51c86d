"""The weights that a layer works with: scaled, or divided by their largest singular value."""

from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

FIRST_ITERATIONS = 15
"""Of a vector that was just drawn, so that the first steps are held too"""


@runtime_checkable
class Layer(Protocol):
    """A layer with equalised weights."""

    weight: nn.Parameter
    """(rows, ...): a matrix once its other dimensions are taken together"""
    scale: float
    """gain / sqrt(fan_in), times which weights are used"""
    u: Tensor | None
    """(rows,), under spectral normalisation: the left singular vector, as far as it is known"""


def layers(network: nn.Module) -> Iterator[tuple[str, Layer]]:
    """The weighted layers of a network, with their names."""
    for name, module in network.named_modules():
        if isinstance(module, Layer):
            yield name, module


def used_weight(layer: Layer) -> Tensor:
    """What a layer multiplies with: weight * scale, or weight / its largest singular value.

    The scale of the equalised learning rate is a factor like any other and would cancel out.
    """
    if layer.u is None:
        return layer.weight * layer.scale
    return layer.weight / largest_singular_value(layer.weight, layer.u)


def largest_singular_value(weight: Tensor, u: Tensor) -> Tensor:
    """|W^T u|, which is u^T W v with v = W^T u / |W^T u|, for a unit vector u.

    Its gradient is u v^T. Source: Miyato et al. 2018 (arXiv 1802.05957), sections 2.1 to 2.3 and
    appendix A; v is the one that belongs to the newest u, half an iteration ahead of algorithm 1.
    """
    with torch.autocast(weight.device.type, enabled=False):
        sigma: Tensor = torch.linalg.vector_norm(u @ weight.flatten(1)).clamp(min=1e-12)
    return sigma


def normalise(network: nn.Module) -> None:
    """Put every weighted layer of a network under spectral normalisation.

    The vectors are drawn from torch's generator: the same on all ranks, whatever their number.
    """
    for _, layer in layers(network):
        drawn = torch.randn(len(layer.weight), dtype=layer.weight.dtype)
        layer.u = nn.functional.normalize(drawn, dim=0)
    for _ in range(FIRST_ITERATIONS):
        iterate(network)


@torch.no_grad()
def iterate(network: nn.Module) -> None:
    """One power iteration in every layer that is normalised: v = W^T u / |.|, u = W v / |.|.

    A layer that is frozen keeps its vector, so that what it computes stays the same too.
    """
    for _, layer in layers(network):
        if layer.u is not None and layer.weight.requires_grad:
            matrix = layer.weight.flatten(1)
            v = nn.functional.normalize(layer.u @ matrix, dim=0)
            layer.u.copy_(nn.functional.normalize(matrix @ v, dim=0))


def fitted(given: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """A network's parameters, for another network that need not be normalised alike.

    Where only the given one is, its layers' weights are divided by their singular values, so that
    they are the same functions without; where only the other is, its own vectors stay.
    """
    tensors = dict(given)
    for name, layer in layers(network):
        weight, u = given.get(f"{name}.weight"), given.get(f"{name}.u")
        if weight is None:
            continue
        if layer.u is not None:
            tensors[f"{name}.u"] = layer.u if u is None else u
        elif u is not None:
            del tensors[f"{name}.u"]
            sigma = largest_singular_value(weight, u)
            tensors[f"{name}.weight"] = weight / (sigma * layer.scale)
    return tensors
