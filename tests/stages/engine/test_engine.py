"""The engine's step is torch's own on the mean gradient, whatever DeepSpeed does around it."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from objective_of import HERE
from progan.stages.distributed.world import World
from progan.stages.engine.engine import Engine
from progan.stages.engine.update import Objective
from progan.stages.specs.optimizers import AdamSpec, AnyOptimizer, RmsPropSpec, SgdSpec
from progan.stages.specs.stage import EngineSpec, StageSpec
from workers import spec

PARTS = 2
OPTIMIZERS = {
    "adam": AdamSpec(),
    "momentum": AdamSpec(beta1=0.5),
    "rmsprop": RmsPropSpec(kind="rmsprop", alpha=0.9),
    "sgd": SgdSpec(kind="sgd", momentum=0.9),
    "sgd without momentum": SgdSpec(kind="sgd", momentum=0),
}
chosen = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)


@pytest.fixture(autouse=True)
def sharded_over_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """One rank alone is spared the sharding that is to be tested here."""
    monkeypatch.setattr(EngineSpec, "sharding", lambda spec, ranks: spec.zero)


def objective(module: nn.Module, step: int, part: int) -> Objective:
    """One whose gradient's norm is far above 1, and another at every step."""
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(PARTS * step + part))
    loss = 10.0**step * module(x).square().mean()
    return Objective(loss, {"loss": loss.detach()})


def torchs_own(module: nn.Module, stage: StageSpec) -> torch.optim.Optimizer:
    if isinstance(stage.optimizer, RmsPropSpec):
        return torch.optim.RMSprop(module.parameters(), stage.lr, alpha=0.9)
    if isinstance(stage.optimizer, SgdSpec):
        return torch.optim.SGD(module.parameters(), stage.lr, stage.optimizer.momentum)
    betas = stage.optimizer.beta1, 0.99
    return torch.optim.Adam(module.parameters(), stage.lr, betas=betas)


@chosen
@pytest.mark.parametrize("zero", [0, 1, 2])
def test_a_step_is_torchs_on_the_mean_of_the_parts(
    world: World, shapes: Path, zero: int, optimizer: AnyOptimizer
) -> None:
    precision = EngineSpec(zero=zero, precision="fp32")
    stage = spec(shapes, engine=precision, micro_batch=16 // PARTS, optimizer=optimizer)
    torch.manual_seed(0)
    expected = nn.Linear(3, 2)
    module = copy.deepcopy(expected)
    engine, own = Engine("generator", module, stage, world), torchs_own(expected, stage)
    for step in range(4):
        parts = (objective(module, step, part) for part in range(PARTS))
        scalars = engine.update(parts, HERE).read()
        own.zero_grad()
        for part in range(PARTS):
            torch.autograd.backward(objective(expected, step, part).loss / PARTS)
        norm = torch.stack([p.grad.norm() for p in expected.parameters() if p.grad is not None])
        own.step()
        assert scalars["generator_grad_norm"] == pytest.approx(float(norm.norm()), rel=1e-5)
        torch.testing.assert_close(module.state_dict(), expected.state_dict())


@chosen
@pytest.mark.parametrize("zero", [0, 1, 2])
def test_moments_go_from_one_sharding_to_another(
    world: World, shapes: Path, zero: int, optimizer: AnyOptimizer
) -> None:
    torch.manual_seed(0)
    module = nn.Linear(3, 2)
    stages = [spec(shapes, engine=EngineSpec(zero=number, precision="fp32"), optimizer=optimizer)
              for number in (zero, (zero + 1) % 3)]  # fmt: skip
    first = Engine("generator", module, stages[0], world)
    first.update([objective(module, 0, 0)], HERE)
    other = copy.deepcopy({name: value.detach() for name, value in module.state_dict().items()})
    second_module = nn.Linear(3, 2)
    second_module.load_state_dict(other)
    second = Engine("generator", second_module, stages[1], world)
    second.load_moments(first.moments())
    torch.testing.assert_close(second.moments(), first.moments(), rtol=0, atol=0)
    first.update([objective(module, 1, 0)], HERE)
    second.update([objective(second_module, 1, 0)], HERE)
    torch.testing.assert_close(second_module.state_dict(), module.state_dict())

    first.reset_moments()
    assert all(not value.any() for value in first.moments().values())


def test_each_network_has_its_learning_rate(world: World, shapes: Path) -> None:
    two = spec(shapes, lr=0.001, discriminator_lr=0.004)
    for name, rate in two.rates.items():
        module = nn.Linear(1, 1, bias=False)
        before = module.weight.detach().clone()
        engine = Engine(name, module, two, world)
        engine.update([Objective(module.weight.sum(), {})], HERE)
        # Adam's first step is as long as the rate.
        torch.testing.assert_close(before - module.weight, torch.full((1, 1), rate))


@chosen
@pytest.mark.parametrize("zero", [0, 1, 2])
def test_an_overflow_in_fp16_leaves_out_the_step(
    world: World, shapes: Path, zero: int, optimizer: AnyOptimizer
) -> None:
    stage = spec(shapes, engine=EngineSpec(zero=zero, precision="fp16"), optimizer=optimizer)
    module = nn.Linear(3, 2)
    engine = Engine("generator", module, stage, world)
    before = copy.deepcopy(module.state_dict())
    finite = module(torch.ones(8, 3)).mean()
    finite.register_hook(lambda gradient: gradient * float("inf"))
    scalars = engine.update([Objective(finite, {"loss": finite.detach()})], HERE).read()
    assert set(scalars) == {"loss", "generator_loss_scale"}
    torch.testing.assert_close(module.state_dict(), before, rtol=0, atol=0)
    assert float(engine.moments()["step"]) == 0
    halved = engine.update([objective(module, 1, 0)], HERE).read()["generator_loss_scale"]
    assert halved == scalars["generator_loss_scale"] / 2
    assert float(engine.moments()["step"]) == 1
