"""DeepSpeed's private names that progan relies on are still there and mean what they meant."""

from pathlib import Path

import pytest
import torch
from torch import nn

from objective_of import HERE
from progan.stages.distributed.world import World
from progan.stages.engine import deepspeed_private
from progan.stages.engine.engine import Engine
from progan.stages.engine.update import Objective
from progan.stages.specs.stage import EngineSpec
from workers import spec


@pytest.fixture
def sharded(shapes: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """A linear layer under ZeRO 1, which one rank alone would be spared."""
    monkeypatch.setattr(EngineSpec, "sharding", lambda spec, ranks: spec.zero)
    stage = spec(shapes, engine=EngineSpec(zero=1, precision="fp32"))
    return Engine("generator", nn.Linear(3, 2), stage, world)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        ("zero_optimizer", "averaged_gradients"),
        ("zero_optimizer", "_lazy_init_hp_params_optimizer_state"),
        ("parameter", "_hp_mapping"),
    ],
)
def test_deepspeed_has_the_private_name(sharded: Engine, owner: str, name: str) -> None:
    owners = {
        "zero_optimizer": sharded._sharding,
        "parameter": next(sharded.module.parameters()),
    }
    assert hasattr(owners[owner], name), f"this version of DeepSpeed has no {name} any more"


def test_sharded_gradients_are_the_averaged_ones(sharded: Engine) -> None:
    x = torch.randn(4, 3)
    found: dict[str, list[torch.Tensor]] = {}
    step = sharded._engine.step
    sharded._engine.step = lambda: (
        found.update(now=deepspeed_private.sharded_gradients(sharded._sharding)),
        step(),
    )
    sharded.update([Objective(sharded.module(x).sum(), {})], HERE)
    flat = torch.cat([gradient.flatten() for gradient in found["now"]])
    expected = torch.cat([x.sum(0), x.sum(0), torch.full((2,), 4.0)])
    torch.testing.assert_close(flat[: len(expected)], expected)


def test_master_fragment_is_what_the_optimizer_steps_on(sharded: Engine) -> None:
    weight = sharded.module.weight
    assert isinstance(weight, nn.Parameter)
    fragment = deepspeed_private.master_fragment(weight)
    assert fragment is not None
    torch.testing.assert_close(fragment, weight.detach().flatten())
    assert deepspeed_private.master_fragment(nn.Parameter(torch.zeros(1))) is None
