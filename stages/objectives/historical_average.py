"""Historical averaging: a network is held near the mean of its past weights (Salimans 2016)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from progan.stages.objectives.passes import DiscriminatorPass, GeneratorPass, Side
from progan.stages.objectives.term import Penalty
from progan.stages.specs.penalties import HistoricalAverage


class HistoricalAveraging(Penalty):
    """|theta - (theta[1] + .. + theta[t]) / t|^2, ().

    theta[i] are the weights with which the network's i-th update in this stage began; t is the
    present one, so that the first costs nothing. The mean counts as a constant. Of several
    discriminators, the mean of their distances. Source: Salimans et al. 2016 (arXiv 1606.03498),
    section 3.3.
    """

    def __init__(self, spec: HistoricalAverage, networks: Mapping[Side, nn.Module]) -> None:
        super().__init__(spec)
        self.means: dict[str, Tensor] = {}
        for side in spec.networks:
            for key, value in networks[side].named_parameters():
                self.means[_name(side, key)] = torch.zeros_like(value)
            self.means[_name(side, "updates")] = torch.zeros((), dtype=torch.float64)

    def state(self) -> dict[str, Tensor]:
        """The means and the number of updates they are over."""
        return self.means

    @torch.no_grad()
    def before_update(self, side: Side, network: nn.Module) -> None:
        """mean += (theta - mean) / t."""
        if side not in self.spec.networks:
            return
        updates = self.means[_name(side, "updates")]
        updates += 1
        means = [self.means[_name(side, key)] for key, _ in network.named_parameters()]
        torch._foreach_lerp_(means, list(network.parameters()), 1 / updates.item())

    def of_discriminator(self, p: DiscriminatorPass) -> Tensor:
        """See above."""
        distances = self.distance("discriminator", p.players.networks["discriminator"])
        return distances / p.discriminators

    def of_generator(self, p: GeneratorPass) -> Tensor:
        """See above."""
        return self.distance("generator", p.players.generator)

    def distance(self, side: Side, network: nn.Module) -> Tensor:
        """The squared distance of a network from its mean, ()."""
        differences = [
            (value - self.means[_name(side, key)]).square().sum()
            for key, value in network.named_parameters()
        ]
        return torch.stack(differences).sum()


def _name(side: Side, key: str) -> str:
    return f"historical_average.{side}.{key}"
