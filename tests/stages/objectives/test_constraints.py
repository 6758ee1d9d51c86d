"""Clipped weights stay clipped, whatever ZeRO keeps of them."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from objective_of import HERE
from progan.stages.distributed.world import World
from progan.stages.engine.engine import Engine
from progan.stages.engine.update import Objective
from progan.stages.networks.layers import EqualizedLinear
from progan.stages.objectives.constraints import WeightClip
from progan.stages.specs.penalties import WeightClip as WeightClipSpec
from progan.stages.specs.stage import EngineSpec
from workers import spec

CLIP = WeightClip(WeightClipSpec(kind="weight_clip", bound=0.3))


def objective(module: nn.Module) -> Objective:
    x = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    loss = module(x).square().mean() - module(x).sum()
    return Objective(loss, {"loss": loss.detach()})


@pytest.mark.parametrize("zero", [0, 1, 2])
def test_the_next_step_begins_at_the_bound(world: World, shapes: Path, zero: int) -> None:
    """Adam goes on from the clipped weights, not from a copy that was not clipped."""
    stage = spec(shapes, engine=EngineSpec(zero=zero, precision="fp32"), lr=0.01)
    torch.manual_seed(0)
    layer = EqualizedLinear(6, 4)
    expected = nn.Sequential(layer)
    module = copy.deepcopy(expected)
    engine = Engine("discriminator", module, stage, world)
    adam = torch.optim.Adam(expected.parameters(), 0.01, betas=(0.0, 0.99))
    for _ in range(3):
        engine.update([objective(module)], HERE)
        CLIP.after_update("discriminator", engine)
        adam.zero_grad()
        torch.autograd.backward(objective(expected).loss)
        adam.step()
        with torch.no_grad():
            layer.weight.copy_((layer.weight * layer.scale).clamp(-0.3, 0.3))
            layer.weight.div_(layer.scale)
            layer.bias.clamp_(-0.3, 0.3)
        torch.testing.assert_close(module.state_dict(), expected.state_dict())
        used = (module.state_dict()["0.weight"] * layer.scale).abs()
        assert used.max() == pytest.approx(0.3) and (used > 0.299).sum() > 4
