"""What a rank needs of its machine's memory: training on CPUs, measuring, the data; no torch."""

import sys
from dataclasses import dataclass

from progan.datasets.errors import DataError
from progan.datasets.format.location import is_url
from progan.datasets.format.manifest import Manifest, load_manifest
from progan.launch.devices import count_gpus
from progan.pipeline.config.schema import RunConfig
from progan.stages.metrics.names import images_compared
from progan.stages.metrics.sizes import swd_bytes
from progan.stages.specs.stage import StageSpec

GIB = 2**30
INTERPRETER_BYTES = round(0.8 * GIB)
"""Python, torch and DeepSpeed in a rank, measured on two CPU ranks"""
ALLOCATOR = 1.3
"""Memory of measuring, at most, as a multiple of its tensors'; measured on one and two CPU ranks"""
STAY = ("weights", "average", "moments", "master_weights", "replay")
"""Kinds of tensors (stages/costs/estimate.py) that are there while metrics are measured, too"""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a stage's need of memory depends on besides its spec."""

    ranks: int
    on_gpus: bool
    """Whether the ranks compute on GPUs"""
    manifest: Manifest | None
    """The data set's, if it is known"""

    @classmethod
    def of(cls, config: RunConfig, ranks: int) -> "Machine":
        """The machines that a configuration names."""
        on_gpus = count_gpus(config.launch.env) > 0 or config.launch.backend != "local"
        return cls(ranks, on_gpus, known_manifest(config))


def known_manifest(config: RunConfig) -> Manifest | None:
    """The data set's manifest; None if it is remote, damaged or not there yet."""
    if is_url(config.data.path):
        return None
    try:
        return load_manifest(config.data.path)
    except DataError:
        return None


def host_memory(spec: StageSpec, footprint: dict[str, int], machine: Machine) -> dict[str, int]:
    """The bytes that one rank needs of its machine's memory, by use.

    footprint: its tensors while it trains. On CPUs they are there too, and measuring, which comes
    between two steps, adds only what a step does not take.
    """
    needs = {"interpreter": INTERPRETER_BYTES}
    if machine.manifest:
        decoded = machine.manifest.num_samples * machine.manifest.channels * spec.resolution**2
        needs["cache"] = min(decoded, int(spec.data.cache_gb * 1e9))
    measuring = _measuring(spec, machine)
    if not machine.on_gpus:
        needs["training"] = sum(footprint.values())
        measuring -= sum(size for kind, size in footprint.items() if kind not in STAY)
    return needs | {"measuring": max(0, measuring)}


def _measuring(spec: StageSpec, machine: Machine) -> int:
    """Bytes that measuring takes. All metrics but swd take little."""
    if "swd" not in (*spec.metrics.during, *spec.metrics.at_end):
        return 0
    pictures = machine.manifest.num_samples if machine.manifest else sys.maxsize
    images = images_compared(spec.metrics.images, pictures)
    taken = swd_bytes(spec.resolution, spec.model.channels, images, machine.ranks)
    return round(ALLOCATOR * taken)
