"""Two ranks train with every loss, penalty and mixture in bf16 through a fade, and resume in it.

ZeRO 1, the batch in two micro-batches on each rank. For each case, rank 0 prints whether the run
that resumed from a checkpoint on the disk ends with the bytes of the one that went on.
"""

import json
import sys
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import torch.distributed as dist

from cases import AUGMENT, AUGMENTED, CASES, MIXTURES, SHAPE
from progan.stages.distributed.process_group import start_distributed
from progan.stages.distributed.world import detect
from progan.stages.specs.stage import CheckpointSpec, EngineSpec, GrowthSpec, StageSpec
from progan.stages.storage import checkpoint, handoff
from progan.stages.storage.stage_folder import StageFolder
from progan.stages.training.loop import step
from progan.stages.training.stage import Stage, build
from progan.stages.worker import leave
from workers import spec

PHASE_STEPS = 4
EVERY = CASES | MIXTURES | AUGMENTED


def trained(stage: Stage, steps: int) -> Stage:
    """The stage after more steps."""
    for _ in range(steps):
        step(stage, dict)
        stage.images_seen += stage.spec.images_per_step
        stage.position += stage.spec.images_per_step
    return stage


def digest(stage: Stage) -> str:
    """SHA-256 of all tensors of its checkpoint."""
    found = sha256()
    for _, tensors in sorted(stage.checkpoint({}).tensors.items()):
        for name, tensor in sorted(tensors.items()):
            found.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return found.hexdigest()


def ends(chosen: StageSpec, folder: StageFolder) -> tuple[str, str]:
    """Digests after six steps, and after the last four again from a checkpoint on the disk."""
    first = build(chosen, world, None, [])
    with first.batches:
        middle = trained(first, 2).checkpoint({})
        if world.is_first:
            checkpoint.save(folder, middle, CheckpointSpec())
        uninterrupted = digest(trained(first, 4))
    dist.barrier()
    again = build(chosen, world, checkpoint.newest(folder), [])
    with again.batches:
        return uninterrupted, digest(trained(again, 4))


def case(name: str, folder: StageFolder) -> StageSpec:
    """The stage at 16x16, grown from an untrained one at 8x8 where the network grows."""
    objective, differs = EVERY[name]
    fields = {"model": SHAPE | differs, "objective": objective, "lr": 0.0005}
    before = build(spec(shapes, **fields), world, None, [])
    before.batches.close()
    grows = differs.get("arch") != "dcgan"
    if grows and world.is_first:
        handoff.publish(folder.final, before.final(), before.networks())
    dist.barrier()
    phase = PHASE_STEPS * before.spec.images_per_step
    growth = GrowthSpec(
        mode="stacked" if name == "stacked" else "fade",
        fade_images=phase if grows else 0,
        steady_images=phase if grows else 2 * phase,
    )
    return spec(
        shapes,
        **fields,
        resolution=16,
        grown_from=folder.final if grows else None,
        micro_batch=4,
        growth=growth,
        engine=EngineSpec(precision="bf16", zero=1),
        augment=AUGMENT.get(name),
    )


world = detect()
start_distributed(world, timedelta(minutes=5))
shapes, scratch = map(Path, sys.argv[1:])
for name in EVERY:
    folder = StageFolder(scratch / name.replace(" ", "-"))
    uninterrupted, again = ends(case(name, folder), folder)
    if world.is_first:
        print("result " + json.dumps([name, uninterrupted == again]), flush=True)
dist.destroy_process_group()
leave(0)
