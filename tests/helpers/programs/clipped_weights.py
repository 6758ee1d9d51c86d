"""Two ranks print the distance of their clipped weights from torch's Adam, clipped after each step.

For every ZeRO stage; the layers are so small that ZeRO cuts them between the ranks.
"""

import copy
import json
import sys
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from objective_of import HERE
from progan.stages.distributed.process_group import start_distributed
from progan.stages.distributed.world import detect
from progan.stages.engine.engine import Engine
from progan.stages.engine.update import Objective
from progan.stages.networks.layers import EqualizedLinear
from progan.stages.objectives.constraints import WeightClip
from progan.stages.specs.penalties import WeightClip as WeightClipSpec
from progan.stages.specs.stage import EngineSpec
from progan.stages.worker import leave
from workers import spec

BOUND = 0.3
clip = WeightClip(WeightClipSpec(kind="weight_clip", bound=BOUND))
world = detect()
start_distributed(world, timedelta(minutes=1))
for zero in (0, 1, 2):
    torch.manual_seed(zero)
    expected = nn.Sequential(EqualizedLinear(5, 7), EqualizedLinear(7, 3))
    module = copy.deepcopy(expected)
    stage = spec(Path(sys.argv[1]), engine=EngineSpec(zero=zero, precision="fp32"), lr=0.05)
    engine = Engine("discriminator", module, stage, world)
    adam = torch.optim.Adam(expected.parameters(), 0.05, betas=(0.0, 0.99))
    inputs = [torch.randn(4, 5) for _ in range(world.size)]
    for _ in range(5):
        loss = module(inputs[world.rank]).square().mean()
        engine.update([Objective(loss, {"loss": loss.detach()})], HERE)
        clip.after_update("discriminator", engine)

        adam.zero_grad()
        losses = torch.stack([expected(x).square().mean() for x in inputs])
        torch.autograd.backward(losses.mean())
        adam.step()
        with torch.no_grad():
            for layer in expected:
                limit = BOUND / float(layer.scale)  # type: ignore[arg-type]
                layer.weight.copy_(layer.weight.clamp(-limit, limit))  # type: ignore[operator]
                layer.bias.copy_(layer.bias.clamp(-BOUND, BOUND))  # type: ignore[operator]
    pairs = zip(module.parameters(), expected.parameters(), strict=True)
    distance = max(float((found - wanted).abs().max()) for found, wanted in pairs)
    for each in world.all_gather_object(distance):
        if world.is_first:
            print(f"result {json.dumps([zero, each])}", flush=True)
dist.destroy_process_group()
leave(0)
