"""The engine's step is torch's Adam on the mean gradient, whatever DeepSpeed does around it."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from progan.stages.engine import Engine
from progan.stages.spec import EngineSpec, StageSpec
from progan.stages.steps import Objective
from progan.stages.world import World
from workers import spec

PARTS = 2


@pytest.fixture(autouse=True)
def sharded_over_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """One rank alone is spared the sharding that is to be tested here."""
    monkeypatch.setattr(EngineSpec, "sharding", lambda spec, ranks: spec.zero)


def objective(module: nn.Module, step: int, part: int) -> Objective:
    """One whose gradient's norm is far above 1, and another at every step."""
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(PARTS * step + part))
    loss = 10.0**step * module(x).square().mean()
    return Objective(loss, {"loss": loss.detach()})


def adam(module: nn.Module, stage: StageSpec) -> torch.optim.Adam:
    return torch.optim.Adam(module.parameters(), stage.lr, betas=(0.0, 0.99))


@pytest.mark.parametrize("zero", [0, 1, 2])
def test_a_step_is_adams_on_the_mean_of_the_parts(world: World, shapes: Path, zero: int) -> None:
    stage = spec(shapes, engine=EngineSpec(zero=zero, precision="fp32"), micro_batch=16 // PARTS)
    torch.manual_seed(0)
    expected = nn.Linear(3, 2)
    module = copy.deepcopy(expected)
    engine, optimizer = Engine("it", module, stage, world), adam(expected, stage)
    for step in range(4):
        scalars = engine.update((objective(module, step, part) for part in range(PARTS)), "here")
        optimizer.zero_grad()
        for part in range(PARTS):
            torch.autograd.backward(objective(expected, step, part).loss / PARTS)
        norm = torch.stack([p.grad.norm() for p in expected.parameters() if p.grad is not None])
        optimizer.step()
        assert scalars["it_grad_norm"] == pytest.approx(float(norm.norm()), rel=1e-5)
        torch.testing.assert_close(module.state_dict(), expected.state_dict())


@pytest.mark.parametrize("zero", [0, 1, 2])
def test_an_overflow_in_fp16_leaves_out_the_step(world: World, shapes: Path, zero: int) -> None:
    stage = spec(shapes, engine=EngineSpec(zero=zero, precision="fp16"))
    module = nn.Linear(3, 2)
    engine = Engine("it", module, stage, world)
    before = copy.deepcopy(module.state_dict())
    finite = module(torch.ones(8, 3)).mean()
    finite.register_hook(lambda gradient: gradient * float("inf"))
    scalars = engine.update([Objective(finite, {"loss": finite.detach()})], "here")
    assert set(scalars) == {"loss", "it_loss_scale"}
    torch.testing.assert_close(module.state_dict(), before, rtol=0, atol=0)
    assert float(engine.moments()["step"]) == 0
    halved = engine.update([objective(module, 1, 0)], "here")["it_loss_scale"]
    assert halved == scalars["it_loss_scale"] / 2
    assert float(engine.moments()["step"]) == 1
