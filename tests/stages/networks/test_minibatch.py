"""Minibatch discrimination against NumPy, and its groups."""

import numpy as np
import torch

from progan.stages.networks.minibatch import MinibatchDiscrimination
from progan.stages.networks.widths import KERNEL_SIZE, KERNELS


def test_minibatch_discrimination_matches_numpy() -> None:
    layer = MinibatchDiscrimination(6, group=3).double()
    x = torch.randn(9, 6, dtype=torch.float64)
    found = layer(x).detach().numpy()
    weight = layer.weight.detach().numpy() / np.sqrt(6)
    kernels = (x.numpy() @ weight).reshape(9, KERNELS, KERNEL_SIZE)
    for i in range(9):
        others = range(i // 3 * 3, i // 3 * 3 + 3)
        near = sum(np.exp(-np.abs(kernels[i] - kernels[j]).sum(axis=1)) for j in others)
        np.testing.assert_allclose(found[i, 6:], near, 1e-12)
    np.testing.assert_array_equal(found[:, :6], x.numpy())


def test_minibatch_discrimination_is_within_groups() -> None:
    layer = MinibatchDiscrimination(6, group=2)
    x = torch.randn(4, 6)
    torch.testing.assert_close(layer(x)[:2], layer(x[:2]))
