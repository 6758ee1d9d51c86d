"""Consensus optimisation against its closed form for a game of two vectors, in float64."""

from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.objectives.consensus import Networks, field, half_square
from progan.stages.specs.losses import NonSaturating, Wgan
from progan.stages.specs.model import ModelSpec

Name = Literal["generator", "discriminator"]


class Scales(nn.Module):
    """G(z) = theta z, element by element."""

    model = ModelSpec(latent=3)

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.randn(3, dtype=torch.float64))

    def forward(self, latents: Tensor, alpha: float) -> Tensor:
        return self.theta * latents


class Points(nn.Module):
    """D(x) = <psi, x>."""

    def __init__(self) -> None:
        super().__init__()
        self.psi = nn.Parameter(torch.randn(3, dtype=torch.float64))

    def forward(self, images: Tensor, alpha: float, conditions: Tensor) -> Tensor:
        return images @ self.psi


def test_both_networks_feel_the_square_of_the_joint_field() -> None:
    """With WGAN's losses v = (-psi mean(z), theta mean(z) - mean(x)), in two parts of a batch."""
    torch.manual_seed(0)
    generator, discriminator = Scales(), Points()
    networks: Networks = {"generator": generator, "discriminator": discriminator}
    reals, latents = (torch.randn(6, 3, dtype=torch.float64) for _ in range(2))
    parts = [(reals[:3], latents[:3]), (reals[3:], latents[3:])]

    def of_part(part: tuple[Tensor, Tensor], of: Name | None) -> list[Tensor]:
        return field(networks, *part, 1.0, Wgan(), {}, of)

    mean = [sum(both) / 2 for both in zip(*(of_part(part, None) for part in parts), strict=True)]
    theta, psi = generator.theta.detach().numpy(), discriminator.psi.detach().numpy()
    x, z = reals.numpy().mean(0), latents.numpy().mean(0)
    np.testing.assert_allclose(mean[0], -psi * z, 1e-12)
    np.testing.assert_allclose(mean[1], theta * z - x, 1e-12)

    slopes: dict[Name, tuple[nn.Parameter, Any]] = {
        "generator": (generator.theta, z * (theta * z - x)),
        "discriminator": (discriminator.psi, z**2 * psi),
    }
    for of, (weights, slope) in slopes.items():
        term = torch.stack([half_square(of_part(part, of), mean) for part in parts]).mean()
        assert term.item() == pytest.approx(((psi * z) ** 2 + (theta * z - x) ** 2).sum() / 2)
        (found,) = torch.autograd.grad(term, weights)
        np.testing.assert_allclose(found, slope, 1e-12)


@pytest.mark.parametrize("of", ["generator", "discriminator"])
def test_the_slope_for_the_real_networks_is_what_differences_say(of: Name) -> None:
    torch.manual_seed(0)
    model = ModelSpec(latent=4, fmap_base=16, fmap_max=4, stddev_group=2)
    networks: Networks = {
        "generator": Generator(model, 8, fading=True).double(),
        "discriminator": Discriminator(model, 8, fading=True).double(),
    }
    reals = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    batch = reals, torch.randn(4, 4, dtype=torch.float64), 0.4
    loss = NonSaturating(kind="nonsaturating")
    weights = list(networks[of].parameters())
    mean = field(networks, *batch, loss, {}, None)
    term = half_square(field(networks, *batch, loss, {}, of), mean)
    torch.autograd.backward(term)
    others = networks["discriminator" if of == "generator" else "generator"].parameters()
    assert all(p.grad is None for p in others)

    directions = [torch.randn_like(p) for p in weights]
    squares = []
    for step in (1e-6, -1e-6):
        with torch.no_grad():
            for parameter, direction in zip(weights, directions, strict=True):
                parameter.add_(direction, alpha=step)
        found = field(networks, *batch, loss, {}, None)
        squares.append(sum(float(v.square().sum()) for v in found) / 2)
        with torch.no_grad():
            for parameter, direction in zip(weights, directions, strict=True):
                parameter.sub_(direction, alpha=step)
    slope = sum(
        float((p.grad * d).sum())
        for p, d in zip(weights, directions, strict=True)
        if p.grad is not None
    )
    assert slope == pytest.approx((squares[0] - squares[1]) / 2e-6, rel=1e-5)
