"""Output of `progan plan`: the stages of a run and their costs; no torch."""

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from progan.pipeline.plan.host_memory import GIB, Machine, host_memory
from progan.pipeline.run.progress_display import phase_headings
from progan.stages.networks.widths import (
    discriminator_parameters,
    finest,
    generator_parameters,
    width,
)
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.pretrained import read_published


def plan_document(
    specs: Sequence[StageSpec], footprints: Sequence[dict[str, int] | None], machine: Machine
) -> dict[str, Any]:
    """The stages and their costs, as one JSON-able document.

    footprints: for each stage, the bytes of a rank's tensors, by use; None where they are still
    being estimated.
    """
    stages = [_row(*stage, machine) for stage in zip(specs, footprints, strict=True)]
    return {
        "init": _init(specs[0]),
        "stages": stages,
        "total_kimg": sum(stage["fade_kimg"] + stage["steady_kimg"] for stage in stages),
    }


def _init(first: StageSpec) -> dict[str, Any] | None:
    """The source of the first stage's weights; None if they are drawn."""
    if first.init is None:
        return None
    published = read_published(first.init.path)
    return {
        "path": str(first.init.path),
        "sha256": first.init.sha256,
        "images_seen": published.images_seen,
        "networks": list(published.files),
    }


def _row(spec: StageSpec, footprint: dict[str, int] | None, machine: Machine) -> dict[str, Any]:
    host = None if footprint is None else host_memory(spec, footprint, machine)
    fading = spec.grown_from is not None
    model, resolution = spec.model, spec.resolution
    return {
        "resolution": resolution,
        "mode": spec.growth.mode,
        "fade_kimg": spec.growth.fade_images / 1000,
        "steady_kimg": spec.growth.steady_images / 1000,
        "batch": spec.batch,
        "steps": -(-spec.growth.total_images // spec.images_per_step),
        "lr": spec.lr,
        "discriminator_lr": spec.rates["discriminator"],
        "width": width(model, finest(model, resolution)),
        "generator_parameters": generator_parameters(model, resolution, fading=fading),
        "discriminator_parameters": discriminator_parameters(model, resolution, fading=fading),
        "memory_bytes": None if footprint is None else sum(footprint.values()),
        "memory_bytes_by_use": footprint,
        "host_memory_bytes": None if host is None else sum(host.values()),
        "host_memory_bytes_by_use": host,
    }


def plan_table(document: dict[str, Any]) -> Table:
    """The document as a table."""
    number = len(document["stages"])
    stages = "1 stage" if number == 1 else f"{number} stages"
    first, second = phase_headings({stage["mode"] for stage in document["stages"]})
    table = Table(
        title=f"{document['total_kimg']:,.0f} kimg in {stages}",
        caption=f"{first}, {second}: kimg; G, D: million parameters\n"
        "GiB a rank: step on its device, RAM of its machine",
        box=SIMPLE,
        padding=(0, 1, 0, 0),
    )
    if init := document["init"]:
        new = "" if "discriminator" in init["networks"] else "; its discriminator begins anew"
        table.caption = f"starts from {init['path']}{new}\n{table.caption}"
    headings = ("stage", first, second, "batch", "steps", "lr", "maps", "G", "D", "step", "RAM")
    for heading in headings:
        table.add_column(heading, justify="right")
    for stage in document["stages"]:
        table.add_row(
            str(stage["resolution"]),
            f"{stage['fade_kimg']:g}",
            f"{stage['steady_kimg']:g}",
            str(stage["batch"]),
            f"{stage['steps']:,}",
            _rates(stage["lr"], stage["discriminator_lr"]),
            str(stage["width"]),
            f"{stage['generator_parameters'] / 1e6:.2f}",
            f"{stage['discriminator_parameters'] / 1e6:.2f}",
            _gib(stage["memory_bytes"]),
            _gib(stage["host_memory_bytes"]),
        )
    return table


def _gib(size: int | None) -> str:
    return "..." if size is None else f"{size / GIB:,.2f}"


def _rates(generator: float, discriminator: float) -> str:
    """One learning rate, or two."""
    if generator == discriminator:
        return f"{generator:g}"
    return f"{generator:g} D {discriminator:g}"
