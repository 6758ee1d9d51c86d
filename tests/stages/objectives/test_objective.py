"""Losses and penalties against results known in closed form."""

from typing import cast

import torch
from torch import Tensor

from objective_of import discriminator_objective, discriminator_penalty, generator_objective
from progan.stages.engine import ema
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.networks.layers import fade
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.objective import ObjectiveSpec
from progan.stages.specs.penalties import Drift, Gradient, ZeroCentred

WGAN_GP = Gradient(kind="gradient", weight=10)
MODEL = ModelSpec(latent=8, fmap_base=32, fmap_max=8, stddev_group=2)


def gradient_penalty(weights: Tensor, reals: Tensor, fakes: Tensor, epsilon: Tensor) -> Tensor:
    """WGAN-GP's for a linear critic D(x) = <weights, x>."""
    return discriminator_penalty(
        WGAN_GP,
        discriminate=lambda x: (x * weights).sum(dim=(1, 2, 3)),
        reals=reals,
        fakes=fakes,
        epsilon=epsilon.reshape(-1, 1, 1, 1),
    )


def test_gradient_penalty_of_a_linear_critic() -> None:
    weights = torch.randn(3, 4, 4)
    batch = torch.randn(5, 3, 4, 4), torch.randn(5, 3, 4, 4), torch.rand(5)
    expected = ((weights.norm() - 1) ** 2).expand(5)
    torch.testing.assert_close(gradient_penalty(weights, *batch), expected)


def test_gradient_penalty_looks_between_real_and_fake() -> None:
    epsilon = torch.tensor([0.0, 0.5, 1])
    # D(x) = sum x^2 has the gradient 2x, and the points are epsilon * ones: norm 4 epsilon.
    found = discriminator_penalty(
        WGAN_GP,
        discriminate=lambda x: x.square().sum((1, 2, 3)),
        reals=torch.zeros(3, 1, 2, 2),
        fakes=torch.ones(3, 1, 2, 2),
        epsilon=epsilon.reshape(-1, 1, 1, 1),
    )
    torch.testing.assert_close(found, (4 * epsilon - 1) ** 2)


def test_gradient_penalty_of_a_flat_critic_is_finite_to_the_second_derivative() -> None:
    weights = torch.zeros(3, 4, 4, requires_grad=True)
    batch = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4), torch.rand(2)
    (gradient,) = torch.autograd.grad(gradient_penalty(weights, *batch).sum(), weights)
    assert gradient.isfinite().all()


def test_drift_is_on_reals_only() -> None:
    drift = Drift(kind="drift", weight=1)
    assert discriminator_penalty(drift, real_logits=torch.tensor([3.0, -2.0])).tolist() == [9, 4]


def test_the_discriminators_loss_is_the_sum_of_its_parts() -> None:
    torch.manual_seed(0)
    generator, discriminator = Generator(MODEL, 8), Discriminator(MODEL, 8)
    objective = discriminator_objective(
        generator, discriminator, torch.randn(4, 3, 8, 8), torch.randn(4, 8), torch.rand(4), 1.0,
        ObjectiveSpec(),
    )  # fmt: skip
    part = objective.scalars
    expected = part["fake_logits"] - part["real_logits"]
    expected = expected + 10 * part["gradient_penalty"] + 0.001 * part["drift_penalty"]
    torch.testing.assert_close(objective.loss.detach(), expected)


def test_a_lazy_penalty_weighs_more_when_it_is_its_turn() -> None:
    networks = Generator(MODEL, 4), Discriminator(MODEL, 4)
    batch = torch.randn(4, 3, 4, 4), torch.randn(4, 8), torch.rand(4)
    spec = ObjectiveSpec(penalties=(ZeroCentred(kind="r1", weight=2, interval=3),))
    found = [discriminator_objective(*networks, *batch, 1.0, spec, update=n) for n in range(4)]
    plain = found[1].loss
    assert ["r1_penalty" in each.scalars for each in found] == [True, False, False, True]
    torch.testing.assert_close(found[3].loss, plain + 3 * 2 * found[3].scalars["r1_penalty"])


def test_the_discriminators_step_leaves_the_generator_alone() -> None:
    generator, discriminator = Generator(MODEL, 4), Discriminator(MODEL, 4)
    objective = discriminator_objective(
        generator, discriminator, torch.randn(4, 3, 4, 4), torch.randn(4, 8), torch.rand(4), 1.0,
        ObjectiveSpec(),
    )  # fmt: skip
    torch.autograd.backward(objective.loss)
    assert all(p.grad is None for p in generator.parameters())
    assert all(p.grad is not None for p in discriminator.parameters())


def test_the_generator_raises_the_logits_of_its_fakes() -> None:
    torch.manual_seed(0)
    generator, discriminator = Generator(MODEL, 4), Discriminator(MODEL, 4)
    latents = torch.randn(4, 8)
    before = generator_objective(generator, discriminator, latents, 1.0, ObjectiveSpec())
    torch.autograd.backward(before.loss)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(cast(Tensor, parameter.grad), alpha=-1e-3)
    after = generator_objective(generator, discriminator, latents, 1.0, ObjectiveSpec())
    assert after.loss < before.loss


def test_reals_fade_from_their_half_resolution() -> None:
    image = torch.tensor([[[[0.0, 4.0], [8.0, 0.0]]]])
    assert fade(image, 0.0).tolist() == [[[[3.0, 3.0], [3.0, 3.0]]]]
    assert fade(image, 0.5).tolist() == [[[[1.5, 3.5], [5.5, 1.5]]]]
    assert fade(image, 1.0) is image


def test_the_average_follows_the_generator() -> None:
    generator, average = Generator(MODEL, 4), Generator(MODEL, 4)
    old = [parameter.detach().clone() for parameter in average.parameters()]
    ema.update(average, generator, 0.75)
    for was, new, parameter in zip(old, generator.parameters(), average.parameters(), strict=True):
        torch.testing.assert_close(parameter, 0.75 * was + 0.25 * new)
