"""Looking ahead: the steps are the optimiser's, the gradient is whole, nothing is changed."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from objective_of import HERE, discriminator_objective, discriminator_penalty, generator_objective
from progan.stages.distributed.world import World
from progan.stages.engine.frozen import frozen
from progan.stages.engine.optimizers import Moments, make_optimizer
from progan.stages.networks.discriminator import DiscriminatorOutput
from progan.stages.objectives.passes import Batch, Players
from progan.stages.objectives.unrolled import UnrolledDiscriminator, flat_weights, unroll
from progan.stages.rng import Purpose
from progan.stages.specs.losses import Minimax
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.objective import ObjectiveSpec
from progan.stages.specs.optimizers import AdamSpec, AnyOptimizer, RmsPropSpec, SgdSpec
from progan.stages.specs.penalties import Gradient
from progan.stages.specs.stage import EngineSpec
from progan.stages.training import loop
from progan.stages.training.stage import Stage, build
from workers import spec

LR = 0.1
OPTIMIZERS = {
    "adam": AdamSpec(),
    "momentum": AdamSpec(beta1=0.5, beta2=0.9),
    "rmsprop": RmsPropSpec(kind="rmsprop", alpha=0.9),
    "sgd": SgdSpec(kind="sgd", momentum=0.9),
    "nesterov": SgdSpec(kind="sgd", momentum=0.9, nesterov=True),
    "sgd without momentum": SgdSpec(kind="sgd", momentum=0),
}
chosen = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
RANDOM = np.random.default_rng(3)


class Flat(nn.Module):
    """A linear critic with a discriminator's arguments."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.layer = nn.Linear(inputs, 1)

    def forward(self, images: Tensor, alpha: float, conditioning: Tensor) -> Tensor:
        return self.forward_features(images, alpha, conditioning).logits

    def forward_features(
        self, images: Tensor, alpha: float, conditions: Tensor, *, fakes: bool = False
    ) -> DiscriminatorOutput:
        logits: Tensor = self.layer(images)
        return DiscriminatorOutput(logits.flatten(), logits, {})

    def forward_both(
        self, reals: Tensor, fakes: Tensor, alpha: float, conditions: Tensor
    ) -> tuple[DiscriminatorOutput, DiscriminatorOutput]:
        return self.forward_features(reals, alpha, conditions), self.forward_features(
            fakes, alpha, conditions
        )


class Linear(nn.Module):
    """A linear generator of two numbers."""

    model = ModelSpec(latent=2)

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, 2, dtype=torch.float64))

    def forward(self, latents: Tensor, alpha: float) -> Tensor:
        return latents @ self.weight.T


def players_of(stage: Stage) -> Players:
    return Players(stage.generator, stage.discriminator)


def fresh(optimizer: AnyOptimizer, weights: Tensor) -> Moments:
    return Moments(
        torch.zeros((), dtype=torch.float64),
        {name: torch.zeros_like(weights) for name in optimizer.moments},
    )


@chosen
def test_the_steps_are_torchs(optimizer: AnyOptimizer) -> None:
    torch.manual_seed(0)
    network = nn.Linear(3, 2).double()
    before = flat_weights(network)
    targets = torch.randn(5, 7, 2, dtype=torch.float64)
    inputs = torch.randn(7, 3, dtype=torch.float64)

    def distance(net: Any, target: Tensor) -> Tensor:
        gap: Tensor = net(inputs) - target
        return gap.square().sum()

    losses = [partial(distance, target=target) for target in targets]
    ahead = unroll(network, fresh(optimizer, before), optimizer, LR, losses)
    assert torch.equal(flat_weights(network), before)

    own = make_optimizer(network.parameters(), LR, optimizer)
    for loss in losses:
        own.zero_grad()
        torch.autograd.backward(loss(network))
        own.step()
    torch.testing.assert_close(ahead.weights, flat_weights(network), rtol=1e-12, atol=1e-12)


def numpys_value(mixing: Any, reals: Any, noise: Any, steps: int) -> float:
    """The game's value against D(x) = <w, x> + b after Adam's steps, in NumPy.

    E log D(x) + E log(1 - D(G(z))), with the generator G(z) = mixing z.
    """

    def chance(logit: Any) -> Any:
        return 1 / (1 + np.exp(-logit))

    weights, square = np.array([0.3, -0.2, 0.1]), np.zeros(3)
    seen = np.column_stack([reals, np.ones(len(reals))])
    for step in range(1, steps + 1):
        fakes = np.column_stack([noise[step] @ mixing.T, np.ones(len(reals))])
        gradient = (chance(fakes @ weights) @ fakes - chance(-seen @ weights) @ seen) / len(reals)
        square = 0.99 * square + 0.01 * gradient**2
        weights = weights - LR * gradient / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
    fakes = np.column_stack([noise[0] @ mixing.T, np.ones(len(reals))])
    return float((np.log(chance(seen @ weights)) + np.log(chance(-fakes @ weights))).mean())


@pytest.mark.parametrize("steps", [1, 3])
def test_the_generators_gradient_is_that_of_the_unrolled_games_value(steps: int) -> None:
    mixing, reals = RANDOM.normal(size=(2, 2)), RANDOM.normal(size=(6, 2))
    noise = RANDOM.normal(size=(steps + 1, 6, 2))
    critic: Any = Flat(2).double()
    generator: Any = Linear()
    with torch.no_grad():
        critic.layer.weight.copy_(torch.tensor([[0.3, -0.2]], dtype=torch.float64))
        critic.layer.bias.fill_(0.1)
        generator.weight.copy_(torch.tensor(mixing))
    minimax = ObjectiveSpec(loss=Minimax(kind="minimax"), penalties=(), unrolled=steps)
    epsilon, images = torch.rand(6), torch.tensor(reals)

    def told_apart(net: UnrolledDiscriminator, z: Tensor) -> Tensor:
        return discriminator_objective(generator, net, images, z, epsilon, 1.0, minimax).loss

    losses = [partial(told_apart, z=z) for z in torch.tensor(noise[1:])]
    adam = AdamSpec()
    ahead: Any = unroll(critic, fresh(adam, flat_weights(critic)), adam, LR, losses)
    latents = torch.tensor(noise[0])
    loss = generator_objective(generator, ahead, latents, 1.0, minimax, images).loss

    (found,) = torch.autograd.grad(loss, generator.weight)
    direction = RANDOM.normal(size=(2, 2))
    up, down = (numpys_value(mixing + h * direction, reals, noise, steps) for h in (1e-6, -1e-6))
    assert float((found.numpy() * direction).sum()) == pytest.approx((up - down) / 2e-6, rel=1e-5)


@chosen
def test_the_gradient_goes_through_penalties_too(optimizer: AnyOptimizer) -> None:
    torch.manual_seed(1)
    critic = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    reals = torch.randn(5, 2, 1, 1, dtype=torch.float64)
    epsilon = torch.rand(5, 1, 1, 1, dtype=torch.float64)
    noise = torch.randn(3, 5, 2, dtype=torch.float64)
    state = Moments(torch.tensor(4.0, dtype=torch.float64), {
        name: torch.rand_like(flat_weights(critic)) for name in optimizer.moments
    })  # fmt: skip

    def generators_loss(mixing: Tensor) -> Tensor:
        def told_apart(net: Any, z: Tensor) -> Tensor:
            def discriminate(x: Tensor) -> Tensor:
                logits: Tensor = net(x.flatten(1)).flatten()
                return logits

            fakes = (z @ mixing.T).reshape(5, 2, 1, 1)
            real_logits = discriminate(reals)
            slope = discriminator_penalty(
                Gradient(kind="gradient", weight=1),
                discriminate=discriminate,
                reals=reals,
                fakes=fakes,
                epsilon=epsilon,
            )
            return (discriminate(fakes) - real_logits + slope).mean()

        losses = [lambda net, z=z: told_apart(net, z) for z in noise[1:]]
        ahead = unroll(critic, state, optimizer, LR, losses)
        loss: Tensor = -ahead(noise[0] @ mixing.T).mean()
        return loss

    mixing = torch.randn(2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(generators_loss, mixing)


def test_a_weight_whose_gradient_was_always_0_stays_and_makes_no_nan() -> None:
    network = nn.Linear(1, 1)
    moments = fresh(AdamSpec(), flat_weights(network))
    scale = torch.ones((), requires_grad=True)
    losses = [lambda net: (scale * net(torch.ones(1, 1))).sum() * torch.tensor([1.0]).sum()]
    first = unroll(network, moments, AdamSpec(), LR, [lambda net: 0.0 * losses[0](net)])
    torch.testing.assert_close(first.weights, flat_weights(network))
    (gradient,) = torch.autograd.grad(first(torch.ones(1, 1)).sum(), scale)
    assert float(gradient) == 0


def test_in_fp16_a_step_that_overflows_is_left_out() -> None:
    network = nn.Linear(1, 1)
    before = flat_weights(network)
    losses = [lambda net: net(torch.ones(1, 1)).sum() * float("inf")]
    ahead = unroll(network, fresh(AdamSpec(), before), AdamSpec(), LR, losses, loss_factor=2.0)
    assert torch.equal(ahead.weights, before)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("zero", [0, 1, 2])
def test_the_generators_update_leaves_the_discriminator_as_it_was(
    zero: int, precision: str, shapes: Path, world: World
) -> None:
    how = EngineSpec.model_validate({"zero": zero, "precision": precision})
    unrolled = ObjectiveSpec(unrolled=3)
    stage = build(spec(shapes, engine=how, objective=unrolled), world, None, [])
    with stage.batches:
        loop.step(stage, dict)
        if precision == "fp16":  # small enough for nothing to overflow
            factor = {"loss_scale": torch.tensor([64.0, 0.0])}
            engine = stage.discriminator_engine
            engine.load_moments(engine.moments() | factor)
        weights = {k: v.clone() for k, v in stage.discriminator.state_dict().items()}
        moments = stage.discriminator_engine.moments()
        loaded = next(stage.batches)
    reals, labels = loaded.images(), loaded.labels
    latents = stage.rng.latents(Purpose.GENERATOR_LATENTS, 16, 16)
    with frozen(stage.discriminator):
        players = loop.unrolled(stage, players_of(stage), 16, reals, labels)
        loop.update(stage, players, "generator", Batch(latents, reals), 1, HERE)
    ahead: Any = players.discriminator
    assert not torch.equal(ahead.weights.cpu(), flat_weights(stage.discriminator).cpu())
    for found, expected in (
        (stage.discriminator.state_dict(), weights),
        (stage.discriminator_engine.moments(), moments),
    ):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert all(parameter.grad is None for parameter in stage.discriminator.parameters())


def test_one_step_ahead_is_the_next_step(shapes: Path, world: World) -> None:
    engine, unrolled = EngineSpec(zero=1, precision="fp32"), ObjectiveSpec(unrolled=1)
    stage = build(spec(shapes, engine=engine, objective=unrolled), world, None, [])
    with stage.batches:
        loop.step(stage, dict)
        loaded = next(stage.batches)
    reals, labels = loaded.images(), loaded.labels
    ahead: Any = loop.unrolled(stage, players_of(stage), 16, reals, labels).discriminator
    latents = stage.rng.latents(Purpose.UNROLLED_LATENTS, 16, 16)
    draws = loop.penalty_draws(stage, Purpose.UNROLLED_EPSILON, 16)
    loop.update(stage, players_of(stage), "discriminator", Batch(latents, reals, *draws), 1, HERE)
    torch.testing.assert_close(
        ahead.weights, flat_weights(stage.discriminator), rtol=1e-5, atol=1e-5
    )
