"""Memory that the stages of a run need, estimated once and cached; loads torch to estimate."""

from collections.abc import Iterator, Sequence
from typing import Any

from progan.pipeline.plan.host_memory import GIB
from progan.pipeline.plan.remembered import Remembered
from progan.stages.specs.stage import StageSpec

FRAGMENTS = 1.3
"""Memory that torch's allocator reserves, as a multiple of the tensors' peak: 1.15 to 1.28 in steps
at 8x8 to 1024x1024"""
CONTEXT, NCCL = int(0.6 * GIB), int(0.4 * GIB)
"""Usual values, not measured by us"""
REMEMBERED = Remembered("memory")
LESS_ON_GPUS = (
    "a smaller micro_batch, engine.activation_checkpointing and, over several GPUs, engine.zero "
    "take less"
)
LESS_ON_HOST = (
    "a smaller batch or micro_batch, fewer launch.gpus_per_node, metrics.images and data.cache_gb "
    "take less"
)


def estimate_memory(
    specs: Sequence[StageSpec], ranks: int
) -> Iterator[list[dict[str, int] | None]]:
    """The footprint of each stage on each of `ranks` ranks (see stages/costs/estimate.py).

    Estimates are cached; a new one takes a second, and loading torch a few. Yields a footprint for
    each stage, None where it is unknown: first the cached ones, then all known after every
    estimate.
    """
    known = [REMEMBERED.read(spec, ranks) for spec in specs]
    yield list(known)
    for index, spec in enumerate(specs):
        if known[index] is None:
            known[index] = _footprint(spec, ranks)
            yield list(known)


def _footprint(spec: StageSpec, ranks: int) -> dict[str, int]:
    from progan.stages.costs.estimate import footprint

    found = footprint(spec, ranks)
    REMEMBERED.write(found, spec, ranks)
    return found


def gpu_bytes(tensors: int, ranks: int) -> int:
    """GPU memory of a process whose tensors take `tensors` bytes.

    Fragments of the allocator, CUDA's context with its kernels, and NCCL's buffers come on top.
    """
    return int(FRAGMENTS * tensors) + CONTEXT + (NCCL if ranks > 1 else 0)


def shortages(plan: dict[str, Any], gpus: Sequence[int], ram: int, ranks: int) -> list[str]:
    """Warnings if stages of a plan (cli/views/plan.py) need more memory than there is.

    gpus: bytes of each, of which the smallest counts; ram: bytes of the machine that all `ranks`
    ranks run on; empty and 0 if there are none or it is not known.
    """
    stages = plan["stages"]
    on_gpu = {stage["resolution"]: gpu_bytes(stage["memory_bytes"], ranks) for stage in stages}
    on_host = {stage["resolution"]: ranks * stage["host_memory_bytes"] for stage in stages}
    found = [
        _shortage(on_gpu, min(gpus, default=0), "on each GPU", LESS_ON_GPUS),
        _shortage(on_host, ram, f"of this machine's memory for {ranks} ranks", LESS_ON_HOST),
    ]
    return [warning for warning in found if warning]


def _shortage(needs: dict[int, int], there: int, where: str, remedy: str) -> str | None:
    short = [resolution for resolution, need in needs.items() if need > there]
    if not there or not short:
        return None
    most = max(short, key=needs.__getitem__)
    return (
        f"stage {most} needs about {needs[most] / GIB:,.1f} GiB {where}, and there are "
        f"{there / GIB:.1f} (what does not fit: {', '.join(map(str, short))}); {remedy}"
    )
