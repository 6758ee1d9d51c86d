"""Two ranks print the gradient norm that the engine reports, and the true one.

A module of one weight leaves the second rank without a shard of its gradient.
"""

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
from progan.stages.specs.stage import EngineSpec
from progan.stages.worker import leave
from workers import spec

world = detect()
start_distributed(world, timedelta(minutes=1))
torch.manual_seed(0)
for module in (nn.Linear(1, 1, bias=False), nn.Linear(3, 5)):
    inputs = [torch.randn(4, module.in_features) for _ in range(world.size)]
    losses = [module(x).square().mean() for x in inputs]
    gradients = torch.autograd.grad(sum(losses) / world.size, tuple(module.parameters()))
    norm = float(torch.cat([gradient.flatten() for gradient in gradients]).norm())
    for zero in (0, 1, 2):
        for precision in ("fp32", "fp16"):
            chosen = EngineSpec.model_validate({"zero": zero, "precision": precision})
            stage = spec(Path(sys.argv[1]), engine=chosen, lr=1e-12)
            engine = Engine("generator", module, stage, world)
            loss = module(inputs[world.rank]).square().mean()
            found = engine.update([Objective(loss, {"loss": loss.detach()})], HERE).read()
            if world.is_first:
                line = json.dumps([zero, precision, found["generator_grad_norm"], norm])
                print(f"result {line}", flush=True)
dist.destroy_process_group()
leave(0)
