"""Two ranks train with every loss and penalty, in bf16, through a fade, twice from its middle on.

ZeRO 1, the batch in two parts. Rank 0 prints for each whether both ends have the same bytes.
"""

import json
import sys
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import torch.distributed as dist

from progan.stages import handoff
from progan.stages.checkpoint import Checkpoint
from progan.stages.distributed import start_distributed
from progan.stages.loop import step
from progan.stages.spec import EngineSpec, GrowthSpec, StageSpec
from progan.stages.spec_losses import FGan
from progan.stages.stage import Stage, build
from progan.stages.worker import leave
from progan.stages.world import detect
from workers import spec

BATCH, FADE = 16, 64
SHAPE = {"latent": 16, "fmap_base": 64, "fmap_max": 16}
ENERGY = {"discriminator": {"head": "autoencoder", "minibatch": "none"}}
BASES = ("nonsaturating", "lsgan", "hinge")
DIVERGENCES = get_args(FGan.model_fields["divergence"].annotation)
Case = tuple[dict[str, Any], dict[str, Any]]
"""What `objective` says, and how `model` differs"""


def loss(kind: str, **keys: str) -> Case:
    """A loss alone."""
    return {"loss": {"kind": kind, **keys}, "penalties": []}, {}


def penalised(kind: str, **keys: object) -> Case:
    """One penalty."""
    return {"loss": "nonsaturating", "penalties": [{"kind": kind, "weight": 0.1, **keys}]}, {}


CASES: dict[str, Case] = {
    **{kind: loss(kind) for kind in ("minimax", "nonsaturating", "wgan", "lsgan", "hinge")},
    "smoothed": loss("minimax", smoothing="0.1"),
    **{f"{kind} {base}": loss(kind, base=base) for kind in ("rgan", "ragan") for base in BASES},
    **{f"fgan {each}": loss("fgan", divergence=each) for each in DIVERGENCES},
    **{kind: (loss(kind)[0], ENERGY) for kind in ("ebgan", "began")},
    **{
        kind: penalised(kind)
        for kind in ("gradient", "drift", "r1", "r2", "dragan", "js_regularizer", "orthogonal",
                     "historical_average", "consensus", "feature_matching", "pulling_away",
                     "mode_regularizer")
    },
    "one-sided": penalised("gradient", one_sided=True),
    "lazy": penalised("r1", interval=2),
}  # fmt: skip


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
