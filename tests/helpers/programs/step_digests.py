"""Three steps of every configuration of the objective: each scalar, and a digest of all state.

    python step_digests.py SHAPES OUT.json                 one rank
    torchrun --nproc-per-node=2 step_digests.py ...        two, with ZeRO 1
    python step_digests.py --compare A.json B.json         exit 1 if they differ in a bit

Run it with two versions of the package (PYTHONPATH=CHECKOUT/.imports) to see that a change of the
core changed no result; `make compare BASE=COMMIT` does.
"""

import hashlib
import json
import sys
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from cases import AUGMENT, AUGMENTED, CASES, MIXTURES, SHAPE, Case
from progan.datasets.synthetic import SHAPES
from progan.stages.distributed.process_group import start_distributed
from progan.stages.distributed.world import World, detect
from progan.stages.specs.stage import EngineSpec, GrowthSpec, StageSpec
from progan.stages.storage import handoff
from progan.stages.training.loop import step
from progan.stages.training.stage import Stage, build
from progan.stages.worker import leave
from workers import spec

LABELS = {"classes": len(SHAPES)}
CODES = {"codes": {"categorical": (3,), "continuous": 1}}
MORE: dict[str, Case] = {
    "unrolled": ({"unrolled": 2}, {}),
    "unrolled ragan": (
        {"unrolled": 2, "loss": "ragan", "penalties": [{"kind": "r1", "weight": 1}]},
        {},
    ),
    "unrolled replay": (
        {"unrolled": 1, "critic_steps": 2, "replay": {"size": 48}},
        {"discriminator": {"critics": 2}},
    ),
    "replay": ({"replay": {"size": 48}, "critic_steps": 2}, {}),
    "acgan": ({}, LABELS | {"discriminator": {"head": "acgan"}}),
    "projection": ({}, LABELS | {"discriminator": {"head": "projection"}}),
    "infogan": ({}, {"generator": CODES, "discriminator": {"head": "infogan"}}),
    "hardest": ({"critics": "hardest"}, {"discriminator": {"critics": 3}}),
}
EVERY = CASES | MIXTURES | AUGMENTED | MORE


def grown(case: str, shapes: Path, world: World, folder: Path) -> StageSpec:
    """A stage in its fade, two micro-batches a rank, grown from one that is published here."""
    objective, differs = EVERY[case]
    fields: dict[str, Any] = {"model": SHAPE | differs, "objective": objective, "lr": 0.0005}
    grows = differs.get("arch") != "dcgan"
    if grows:
        first = build(spec(shapes, **fields), world, None, [])
        if world.is_first:
            handoff.publish(folder, first.final(), first.networks())
        first.batches.close()
        world.barrier()
    growth = {"mode": "stacked" if case == "stacked" else "fade"}
    return spec(
        shapes,
        **fields,
        resolution=16,
        grown_from=folder if grows else None,
        micro_batch=None if "unrolled" in case else 8 // world.size,
        growth=GrowthSpec.model_validate(
            growth | {"fade_images": 32 if grows else 0, "steady_images": 64}
        ),
        engine=EngineSpec(precision="bf16" if case in MIXTURES else "fp32"),
        augment=AUGMENT.get(case),
    )


def digest(stage: Stage) -> str:
    """SHA-256 over weights, average, moments and what the objective remembers."""
    found = hashlib.sha256()
    for _, group in sorted(stage.checkpoint({}).tensors.items()):
        for name, tensor in sorted(group.items()):
            found.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return found.hexdigest()


def three_steps(case: str, shapes: Path, world: World, folder: Path) -> dict[str, Any]:
    """Every scalar, to the bit, and the digest at the end."""
    stage_spec = grown(case, shapes, world, folder)
    stage = build(stage_spec, world, None, [])
    scalars = []
    with stage.batches:
        for _ in range(3):
            found = step(stage, dict).read()
            scalars.append({name: value.hex() for name, value in sorted(found.items())})
            stage.images_seen += stage_spec.images_per_step
            stage.position += stage_spec.images_per_step
    return {"scalars": scalars, "digest": digest(stage)}


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The configurations that are not the same in both."""
    return sorted(case for case in one.keys() | other.keys() if one.get(case) != other.get(case))


def main() -> None:
    """Command line."""
    if sys.argv[1] == "--compare":
        one, other = (json.loads(Path(name).read_text()) for name in sys.argv[2:4])
        changed = differences(one, other)
        print(f"{len(one | other)} configurations; different: {', '.join(changed) or 'none'}")
        sys.exit(bool(changed))
    shapes, out = Path(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)
    world = detect()
    start_distributed(world, timedelta(minutes=10))
    folder = Path(world.all_gather_object(tempfile.mkdtemp())[0])  # type: ignore[arg-type]
    found = {}
    for case in EVERY:
        found[case] = three_steps(case, shapes, world, folder / case.replace(" ", "-"))
        if world.is_first:
            print(case, found[case]["digest"][:16], flush=True)
    if world.is_first:
        out.write_text(json.dumps(found, indent=1))
    world.barrier()
    dist.destroy_process_group()
    leave(0)


if __name__ == "__main__":
    main()
