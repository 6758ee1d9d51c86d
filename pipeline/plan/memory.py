"""Memory that the stages of a run need, estimated once and cached; loads torch to estimate."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from progan.datasets.files import write_whole
from progan.datasets.format.location import default_cache_folder
from progan.pipeline.plan.host_memory import GIB
from progan.stages import schedule
from progan.stages.specs.stage import StageSpec

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
    """The footprint of each stage on each of `ranks` ranks (see stages/memory/estimate.py).

    Estimates are cached; a new one takes a second, and loading torch a few. Yields a footprint for
    each stage, None where it is unknown: first the cached ones, then all known after every
    estimate.
    """
    known = [_cached(spec, ranks) for spec in specs]
    yield list(known)
    for index, spec in enumerate(specs):
        if known[index] is None:
            known[index] = _footprint(spec, ranks)
            yield list(known)


def _footprint(spec: StageSpec, ranks: int) -> dict[str, int]:
    from progan.stages.memory.estimate import footprint

    found = footprint(spec, ranks)
    with suppress(OSError):
        file = _cache_file(spec, ranks)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(found).encode())
    return found


def _cached(spec: StageSpec, ranks: int) -> dict[str, int] | None:
    try:
        found: dict[str, int] = json.loads(_cache_file(spec, ranks).read_bytes())
    except (OSError, ValueError):
        return None
    return found


def _cache_file(spec: StageSpec, ranks: int) -> Path:
    """The file of a cached footprint, named by all that it depends on, the code included."""
    fields = {"resolution", "batch", "micro_batch", "model", "objective", "engine", "optimizer"}
    shape = spec.model_dump_json(include=fields)
    fading = spec.grown_from is not None, schedule.alpha(0, spec.growth) < 1
    key = repr((shape, fading, ranks, version("torch"), _code_hash()))
    return default_cache_folder() / "memory" / f"{sha256(key.encode()).hexdigest()[:32]}.json"


@cache
def _code_hash() -> str:
    """SHA-256 of the code that computes footprints."""
    files = sorted(Path(schedule.__file__).parent.rglob("*.py"))
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def shortages(plan: dict[str, Any], gpus: Sequence[int], ram: int, ranks: int) -> list[str]:
    """Warnings if stages of a plan (cli/plan_view.py) need more memory than there is.

    gpus: bytes of each, of which the smallest counts; ram: bytes of the machine that all `ranks`
    ranks run on; empty and 0 if there are none or it is not known.
    """
    stages = plan["stages"]
    on_gpu = {stage["resolution"]: stage["memory_bytes"] for stage in stages}
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
