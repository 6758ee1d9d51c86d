"""Two ranks train with every loss and penalty, in bf16, through a fade, twice from its middle on.

ZeRO 1, the batch in two parts. Rank 0 prints for each whether both ends have the same bytes.
"""

import json
import sys
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import torch.distributed as dist

from cases import CASES, SHAPE
from progan.stages.distributed.process_group import start_distributed
from progan.stages.distributed.world import detect
from progan.stages.specs.stage import EngineSpec, GrowthSpec, StageSpec
from progan.stages.storage import handoff
from progan.stages.storage.checkpoint import Checkpoint
from progan.stages.training.loop import step
from progan.stages.training.stage import Stage, build
from progan.stages.worker import leave
from workers import spec

BATCH, FADE = 16, 64


def trained(stage: Stage, steps: int) -> Stage:
    """So many steps later."""
    for _ in range(steps):
        step(stage, dict)
        stage.images_seen += BATCH
        stage.position += BATCH
    return stage


def digest(stage: Stage) -> str:
    """Of all bytes that a checkpoint would have."""
    found = sha256()
    for _, tensors in sorted(stage.checkpoint({}).tensors.items()):
        for name, tensor in sorted(tensors.items()):
            found.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return found.hexdigest()


def ends(chosen: StageSpec) -> tuple[str, str]:
    """What six steps lead to, and what the last four do again, begun anew from a checkpoint."""
    first = build(chosen, world, None, [])
    with first.batches:
        trained(first, 2)
        middle = first.checkpoint({})
        unbroken = digest(trained(first, 4))
    again = build(chosen, world, Checkpoint(*middle), [])
    with again.batches:
        return unbroken, digest(trained(again, 4))


world = detect()
start_distributed(world, timedelta(minutes=5))
shapes, scratch = map(Path, sys.argv[1:])
for name, (objective, differs) in CASES.items():
    fields = {"model": SHAPE | differs, "objective": objective, "lr": 0.0005}
    before = build(spec(shapes, **fields), world, None, [])
    final = scratch / name.replace(" ", "-")
    if world.is_first:
        handoff.publish(final, before.final(), before.networks())
    dist.barrier()
    grown = spec(
        shapes,
        **fields,
        resolution=16,
        grown_from=final,
        batch=BATCH,
        micro_batch=4,
        growth=GrowthSpec(fade_images=FADE, steady_images=FADE),
        engine=EngineSpec(precision="bf16", zero=1),
    )
    unbroken, again = ends(grown)
    if world.is_first:
        print("piece " + json.dumps([name, unbroken == again]), flush=True)
dist.destroy_process_group()
leave(0)
