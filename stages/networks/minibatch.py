"""How a discriminator compares the samples of a batch, so that it sees a generator collapse.

Samples are compared within groups of consecutive ones, so that what is computed never depends on
how a batch was cut over ranks.
"""

import math

import torch
from torch import Tensor, nn

from progan.stages.networks.layers import at_least_float32
from progan.stages.networks.spectral import used_weight
from progan.stages.networks.widths import KERNEL_SIZE, KERNELS


class MinibatchDiscrimination(nn.Module):
    """Appends to every sample's features how close it is to the others of its group.

    With M_i = T f(x_i), a matrix of kernels, and c_b(i, j) = exp(-|M_ib - M_jb|_1), what is
    appended is the sum of c_b(i, j) over j, one number a kernel. Source: Salimans et al. 2016
    (arXiv 1606.03498), section 3.2. The weights are equalised like all others.
    """

    u: Tensor | None

    def __init__(self, features: int, group: int) -> None:
        super().__init__()
        self.group = group
        self.weight = nn.Parameter(torch.randn(features, KERNELS * KERNEL_SIZE))
        self.scale = 1 / math.sqrt(features)
        self.register_buffer("u", None)

    def forward(self, x: Tensor) -> Tensor:
        """(N, features) -> (N, features + KERNELS); N must be a multiple of the group."""
        if len(x) % self.group:
            raise ValueError(f"minibatch of {len(x)} is no multiple of the group, {self.group}")
        kernels = at_least_float32(x @ used_weight(self))
        of_group = kernels.reshape(-1, self.group, KERNELS, KERNEL_SIZE)
        distances = (of_group[:, :, None] - of_group[:, None]).abs().sum(dim=4)
        closeness = (-distances).exp().sum(dim=2).reshape(-1, KERNELS)
        return torch.cat([x, closeness.to(x.dtype)], dim=1)
