"""A layer's effective weight: scaled (equalised learning rate), or spectrally normalised."""

from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

FIRST_ITERATIONS = 15
"""Power iterations on a new random vector, so that the first steps are already bounded"""


@runtime_checkable
class Layer(Protocol):
    """A layer with equalised weights."""

    weight: nn.Parameter
    """(rows, ...): a matrix when its other dimensions are flattened"""
    scale: float
    """gain / sqrt(fan_in), which multiplies the weight at run time"""
    u: Tensor | None
    """(rows,), with spectral normalisation: the estimate of the left singular vector"""


def layers(network: nn.Module) -> Iterator[tuple[str, Layer]]:
    """The weighted layers of a network, with their names."""
    for name, module in network.named_modules():
        if isinstance(module, Layer):
            yield name, module


def used_weight(layer: Layer) -> Tensor:
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


def add_spectral_norm(network: nn.Module) -> None:
    """Apply spectral normalisation to every weighted layer of a network.

    The vectors come from torch's generator: the same on all ranks, for any number of ranks.
    """
    for _, layer in layers(network):
        u = torch.randn(len(layer.weight), dtype=layer.weight.dtype)
        layer.u = nn.functional.normalize(u, dim=0)
    for _ in range(FIRST_ITERATIONS):
        power_iteration(network)


@torch.no_grad()
def power_iteration(network: nn.Module) -> None:
    """One power iteration in every normalised layer: v = W^T u / |.|, u = W v / |.|.

    Frozen layers keep their vector, so that their effective weight does not change.
    """
    for _, layer in layers(network):
        if layer.u is not None and layer.weight.requires_grad:
            matrix = layer.weight.flatten(1)
            v = nn.functional.normalize(layer.u @ matrix, dim=0)
            layer.u.copy_(nn.functional.normalize(matrix @ v, dim=0))


def convert_spectral_norm(given: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The state `given` of a network, converted for one with or without spectral normalisation.

    Where only the given state is normalised, weights are divided by their singular values, so that
    layers compute the same without it. Where only `network` is, it keeps its own vectors.
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
