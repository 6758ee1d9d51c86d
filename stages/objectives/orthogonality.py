"""Penalties on a network's weights, whichever network it is: one number each, unweighted."""

import torch
from torch import Tensor, nn

from progan.stages.networks.spectral import layers, used_weight
from progan.stages.specs.penalties import Orthogonal


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
