"""Orthogonal regularisation: the filters of a layer at right angles to each other."""

import torch
from torch import Tensor, nn

from progan.stages.networks.weights.weighted_layer import layers, used_weight
from progan.stages.objectives.passes import DiscriminatorPass, GeneratorPass
from progan.stages.objectives.term import Penalty
from progan.stages.specs.penalties import Orthogonal


class OrthogonalRegularization(Penalty):
    """`orthogonality` of the network's weights; of several discriminators, their mean."""

    def of_discriminator(self, p: DiscriminatorPass) -> Tensor:
        """()."""
        return orthogonality(p.players.networks["discriminator"], self.spec) / p.discriminators

    def of_generator(self, p: GeneratorPass) -> Tensor:
        """()."""
        return orthogonality(p.players.generator, self.spec)


def orthogonality(network: nn.Module, spec: Orthogonal) -> Tensor:
    """|W W^T . (1 - I)|^2 summed over the layers, or |W W^T - I|^2, ().

    W are the weights as they are used, one filter a row; in the generator's first layer, which
    has more outputs than inputs, one latent direction. Source: Brock et al. 2019 (arXiv
    1809.11096), eqs. 3 and 2; the latter is Brock et al. 2017's with its norm squared.
    """
    total = torch.zeros((), device=next(network.parameters()).device)
    for _, layer in layers(network):
        rows = used_weight(layer).flatten(1)
        with torch.autocast(rows.device.type, enabled=False):
            products = rows @ rows.T
        if spec.off_diagonal:
            excess = products - torch.diag(products.diagonal())
        else:
            excess = products - torch.eye(len(products), dtype=rows.dtype, device=rows.device)
        total = total + excess.square().sum()
    return total
