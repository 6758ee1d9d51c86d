"""Penalties on weights against their formulas in NumPy, in float64."""

import numpy as np
import pytest
import torch
from torch import nn

from progan.stages.networks.layers import EqualizedConv2d, EqualizedLinear, LatentTo4x4
from progan.stages.objectives.orthogonality import orthogonality
from progan.stages.specs.penalties import Orthogonal


def network() -> nn.Module:
    """Three layers; biases and their order do not matter."""
    torch.manual_seed(0)
    return nn.ModuleList(
        [LatentTo4x4(3, 2), EqualizedConv2d(2, 4, resample="up"), EqualizedLinear(5, 3, gain=1)]
    ).double()


@pytest.mark.parametrize("off_diagonal", [True, False])
def test_filters_are_at_right_angles(off_diagonal: bool) -> None:
    module = network()
    gains = [np.sqrt(2) / 4 / np.sqrt(3), np.sqrt(2 / 18), 1 / np.sqrt(5)]
    expected = 0.0
    for parameter, gain in zip([p for p in module.parameters() if p.ndim > 1], gains, strict=True):
        rows = gain * parameter.detach().numpy().reshape(len(parameter), -1)
        for i in range(len(rows)):
            for j in range(len(rows)):
                if i != j:
                    expected += (rows[i] @ rows[j]) ** 2
                elif not off_diagonal:
                    expected += (rows[i] @ rows[i] - 1) ** 2
    spec = Orthogonal(kind="orthogonal", weight=1, off_diagonal=off_diagonal)
    found = orthogonality(module, spec)
    assert float(found.detach()) == pytest.approx(expected, rel=1e-12)
    torch.autograd.backward(found)


def test_an_orthogonal_layer_costs_nothing() -> None:
    layer = EqualizedLinear(4, 4, gain=1)
    with torch.no_grad():
        layer.weight.copy_(2 * torch.eye(4))
    spec = Orthogonal(kind="orthogonal", weight=1, off_diagonal=False)
    assert float(orthogonality(layer, spec).detach()) == 0
