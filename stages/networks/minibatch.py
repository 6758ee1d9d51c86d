"""Minibatch discrimination: statistics over samples let a discriminator detect mode collapse.

Statistics are over groups of consecutive samples, so that no result depends on how a batch is
split over ranks.
"""

import math

import torch
from torch import Tensor, nn

from progan.stages.networks.layers import at_least_float32
from progan.stages.networks.weights.weighted_layer import WeightedLayer
from progan.stages.networks.widths import KERNEL_SIZE, KERNELS


class MinibatchDiscrimination(WeightedLayer):
    """Appends to each sample's features its closeness to the samples of its group.

    With M_i = T f(x_i), one row per kernel, and c_b(i, j) = exp(-|M_ib - M_jb|_1), it appends
    sum_j c_b(i, j), one number per kernel. Source: Salimans et al. 2016 (arXiv 1606.03498),
    section 3.2. The weights are equalised like all others.
    """

    def __init__(self, features: int, group: int) -> None:
        super().__init__()
        self.group = group
        self.weight = nn.Parameter(torch.randn(features, KERNELS * KERNEL_SIZE))
        self.bias = None
        self.scale = 1 / math.sqrt(features)
        self.register_buffer("u", None)

    def forward(self, x: Tensor) -> Tensor:
        """(N, features) -> (N, features + KERNELS); N must be a multiple of the group."""
        if len(x) % self.group:
            raise ValueError(f"minibatch of {len(x)} is no multiple of the group, {self.group}")
        kernels = at_least_float32(x @ self.kernel())
        grouped = kernels.reshape(-1, self.group, KERNELS, KERNEL_SIZE)
        distances = (grouped[:, :, None] - grouped[:, None]).abs().sum(dim=4)
        closeness = (-distances).exp().sum(dim=2).reshape(-1, KERNELS)
        return torch.cat([x, closeness.to(x.dtype)], dim=1)
