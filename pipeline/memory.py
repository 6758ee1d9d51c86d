"""How much memory the stages of a run need, and whether it is there; torch only when asked."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import track

from progan.stages.spec import StageSpec

GIB = 2**30


def estimate_memory(specs: Sequence[StageSpec], ranks: int) -> list[dict[str, int]]:
    """The footprint of each stage on each of so many ranks (see stages/memory.py), with a bar.

    A second a stage, and a few to load torch.
    """
    console = Console(stderr=True)
    bar = track(specs, "memory", console=console, transient=True, disable=not console.is_terminal)
    return [_footprint(spec, ranks) for spec in bar]


def _footprint(spec: StageSpec, ranks: int) -> dict[str, int]:
    from progan.stages.memory import footprint

    return footprint(spec, ranks)


def shortage(plan: dict[str, Any], gpus: Sequence[int]) -> str | None:
    """What to say if a stage of a plan (plantable.py) needs more memory than the GPUs have.

    gpus: bytes of each; the smallest counts. None if all stages fit, or there are no GPUs.
    """
    if not gpus:
        return None
    least = min(gpus)
    needs = {stage["resolution"]: stage["memory_bytes"] for stage in plan["stages"]}
    short = [resolution for resolution, need in needs.items() if need > least]
    if not short:
        return None
    most = max(short, key=needs.__getitem__)
    return (
        f"stage {most} needs about {needs[most] / GIB:.1f} GiB on each GPU, and there are "
        f"{least / GIB:.1f} (what does not fit: {', '.join(map(str, short))}); a smaller "
        "micro_batch, engine.activation_checkpointing and, over several GPUs, engine.zero take less"
    )
