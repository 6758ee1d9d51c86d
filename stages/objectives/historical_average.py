"""Historical averaging: a network is held near the mean of all that it was (Salimans 2016)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def first(name: str, network: nn.Module) -> dict[str, Tensor]:
    """The memory of a network that has had no update: nothing, and no updates."""
    means = {_of(name, key): torch.zeros_like(value) for key, value in network.named_parameters()}
    return means | {_of(name, "updates"): torch.zeros((), dtype=torch.float64)}


@torch.no_grad()
def remember(name: str, network: nn.Module, pieces: Mapping[str, Tensor]) -> None:
    """Take the weights that an update begins with into their mean: mean += (theta - mean) / t."""
    updates = pieces[_of(name, "updates")]
    updates += 1
    means = [pieces[_of(name, key)] for key, _ in network.named_parameters()]
    torch._foreach_lerp_(means, list(network.parameters()), 1 / updates.item())


def distance(name: str, network: nn.Module, pieces: Mapping[str, Tensor]) -> Tensor:
    """|theta - (theta[1] + .. + theta[t]) / t|^2, ().

    theta[i] are the weights with which the network's i-th update in this stage began; t is the one
    that begins, so that the first costs nothing. The mean counts as a constant. Source: Salimans et
    al. 2016 (arXiv 1606.03498), section 3.3.
    """
    differences = [
        (value - pieces[_of(name, key)]).square().sum() for key, value in network.named_parameters()
    ]
    return torch.stack(differences).sum()


def _of(name: str, key: str) -> str:
    return f"historical_average.{name}.{key}"
