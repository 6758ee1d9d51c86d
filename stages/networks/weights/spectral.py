"""Spectral normalisation of a network's layers."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from progan.stages.networks.weights.weighted_layer import largest_singular_value, layers

FIRST_ITERATIONS = 15
"""Power iterations on a new random vector, so that the first steps are already bounded"""


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
