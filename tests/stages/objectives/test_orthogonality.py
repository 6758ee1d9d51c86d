"""Penalties on weights against their formulas in NumPy, in float64."""

import numpy as np
import pytest
import torch
from torch import nn

from objective_of import discriminator_objective
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.networks.layers import EqualizedConv2d, EqualizedLinear, LatentTo4x4
from progan.stages.networks.multi_discriminator import MultiDiscriminator
from progan.stages.objectives.orthogonality import orthogonality
from progan.stages.specs.model import DiscriminatorSpec, ModelSpec
from progan.stages.specs.objective import ObjectiveSpec
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


@pytest.mark.parametrize("kind", ["orthogonal", "historical_average"])
def test_three_equal_discriminators_cost_as_much_as_one(kind: str) -> None:
    """All else is a mean over discriminators too: the paper's weight holds for any number."""
    torch.manual_seed(0)
    spec = ObjectiveSpec.model_validate({"penalties": [{"kind": kind, "weight": 1}]})
    batch = torch.randn(4, 3, 4, 4), torch.randn(4, 8), torch.rand(4)

    def penalty(model: ModelSpec, discriminator: nn.Module) -> float:
        found = discriminator_objective(Generator(model, 4), discriminator, *batch, 1.0, spec)
        return float(found.scalars[f"{kind}_penalty"])

    one = ModelSpec(latent=8, fmap_base=32, fmap_max=8)
    three = one.model_copy(update={"discriminator": DiscriminatorSpec(critics=3)})
    alone, together = Discriminator(one, 4), MultiDiscriminator(three, 4)
    for each in together.each:
        each.load_state_dict(alone.state_dict())
    assert penalty(three, together) == pytest.approx(penalty(one, alone), rel=1e-5)
    assert penalty(one, alone) > 1
