"""Gradients by the weights against their closed forms for a game of two vectors, in float64."""

from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from progan.stages.distributed.world import World
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.objectives.adversarial import Loss, loss
from progan.stages.objectives.consensus import GradientNorm, half_squared_norm, joint_gradient
from progan.stages.objectives.objective import make_terms
from progan.stages.objectives.passes import Batch, GeneratorPass, Pass, Players, Side
from progan.stages.specs.losses import NonSaturating, Wgan
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.objective import ObjectiveSpec


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

    def forward(self, images: Tensor, alpha: float, conditioning: Tensor) -> Tensor:
        return images @ self.psi


BOTH: tuple[Side, ...] = ("generator", "discriminator")


def gradient(
    generator: Any,
    discriminator: Any,
    batch: Batch,
    alpha: float,
    loss: Loss,
    of: Side | None,
    gradients_of: tuple[Side, ...] = BOTH,
) -> list[Tensor]:
    p = Pass(Players(generator, discriminator), batch, alpha)
    return joint_gradient(p, loss, of, gradients_of)


def test_gradient_norm_and_its_gradient_match_the_closed_form(world: World) -> None:
    """With WGAN's losses v = theta mean(z) - mean(x), of the whole batch in two parts."""
    torch.manual_seed(0)
    generator: Any = Scales()
    players = Players(generator, cast(Any, Points()))
    reals, latents = (torch.randn(6, 3, dtype=torch.float64) for _ in range(2))
    passes = [GeneratorPass(players, part, 1.0) for part in Batch(latents, reals).split(3)]
    spec = ObjectiveSpec.model_validate({"penalties": [{"kind": "gradient_norm", "weight": 1}]})
    (term,) = (x for x in make_terms(spec, players.networks) if isinstance(x, GradientNorm))

    term.prepare("generator", lambda: passes, world)
    value = torch.stack([term.generator(p)["generator_gradient_norm_penalty"] for p in passes])
    theta, x, z = (t.detach().numpy() for t in (generator.theta, reals.mean(0), latents.mean(0)))
    assert value.mean().item() == pytest.approx(((theta * z - x) ** 2).sum(), rel=1e-12)
    (found,) = torch.autograd.grad(value.mean(), generator.theta)
    np.testing.assert_allclose(found, 2 * z * (theta * z - x), 1e-12)
    assert not term.discriminator(cast(Any, None))


def test_consensus_term_and_its_gradients_match_the_closed_form() -> None:
    """With WGAN's losses v = (-psi mean(z), theta mean(z) - mean(x)), in two parts of a batch."""
    torch.manual_seed(0)
    generator, discriminator = Scales(), Points()
    reals, latents = (torch.randn(6, 3, dtype=torch.float64) for _ in range(2))
    micro_batches = Batch(latents, reals).split(3)

    def gradient_of(batch: Batch, of: Side | None) -> list[Tensor]:
        return gradient(generator, discriminator, batch, 1.0, loss(Wgan()), of)

    pairs = zip(*(gradient_of(batch, None) for batch in micro_batches), strict=True)
    mean = [sum(both) / 2 for both in pairs]
    theta, psi = generator.theta.detach().numpy(), discriminator.psi.detach().numpy()
    x, z = reals.numpy().mean(0), latents.numpy().mean(0)
    np.testing.assert_allclose(mean[0], -psi * z, 1e-12)
    np.testing.assert_allclose(mean[1], theta * z - x, 1e-12)

    slopes: dict[Side, tuple[nn.Parameter, Any]] = {
        "generator": (generator.theta, z * (theta * z - x)),
        "discriminator": (discriminator.psi, z**2 * psi),
    }
    for of, (weights, slope) in slopes.items():
        terms = [half_squared_norm(gradient_of(batch, of), mean) for batch in micro_batches]
        term = torch.stack(terms).mean()
        assert term.item() == pytest.approx(((psi * z) ** 2 + (theta * z - x) ** 2).sum() / 2)
        (found,) = torch.autograd.grad(term, weights)
        np.testing.assert_allclose(found, slope, 1e-12)


@pytest.mark.parametrize("of", ["generator", "discriminator"])
def test_gradient_for_the_real_networks_matches_finite_differences(of: Side) -> None:
    torch.manual_seed(0)
    model = ModelSpec(latent=4, fmap_base=16, fmap_max=4, stddev_group=2)
    networks: dict[Side, nn.Module] = {
        "generator": Generator(model, 8, fading=True).double(),
        "discriminator": Discriminator(model, 8, fading=True).double(),
    }
    batch = Batch(
        latents=torch.randn(4, 4, dtype=torch.float64),
        reals=torch.randn(4, 3, 8, 8, dtype=torch.float64),
    )
    side = loss(NonSaturating(kind="nonsaturating"))

    def game(of: Side | None) -> list[Tensor]:
        return gradient(networks["generator"], networks["discriminator"], batch, 0.4, side, of)

    weights = list(networks[of].parameters())
    term = half_squared_norm(game(of), game(None))
    torch.autograd.backward(term)
    others = networks["discriminator" if of == "generator" else "generator"].parameters()
    assert all(p.grad is None for p in others)

    directions = [torch.randn_like(p) for p in weights]
    squares = []
    for step in (1e-6, -1e-6):
        with torch.no_grad():
            for parameter, direction in zip(weights, directions, strict=True):
                parameter.add_(direction, alpha=step)
        found = game(None)
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
