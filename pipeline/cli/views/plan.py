"""Output of `progan plan`: the stages of a run and their costs; no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE
from rich.console import Group
from rich.table import Table

from progan.datasets.format.manifest import KINDS
from progan.pipeline.plan.host_memory import GIB, Machine, host_memory
from progan.pipeline.plan.times import Hardware, StageTime, about
from progan.pipeline.run.progress_display import duration, phase_headings
from progan.pipeline.run.terminal import coloured
from progan.stages.networks.widths import (
    discriminator_parameters,
    finest,
    generator_parameters,
    width,
)
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.pretrained import read_published

HOW_TO_MEASURE = "images/s and hours: progan plan CONFIG --time measures them, in seconds a stage"


@dataclass(frozen=True)
class Times:
    """What is known of the time that the stages take."""

    hardware: Hardware
    stages: Sequence[StageTime | None]


def plan_document(
    specs: Sequence[StageSpec],
    footprints: Sequence[dict[str, int] | None],
    machine: Machine,
    times: Times | None = None,
) -> dict[str, Any]:
    """The stages and their costs, as one JSON-able document.

    footprints: for each stage, the bytes of a rank's tensors, by use; None where they are still
    being estimated.
    """
    timed = times.stages if times else [None] * len(specs)
    rows = zip(specs, footprints, timed, strict=True)
    stages = [
        _row(spec, footprint, machine) | _time(spec, time, machine.ranks)
        for spec, footprint, time in rows
    ]
    hours = [stage["hours"] for stage in stages]
    return {
        "init": _init(specs[0]),
        "channels": specs[0].model.channels,
        "stages": stages,
        "total_kimg": sum(stage["fade_kimg"] + stage["steady_kimg"] for stage in stages),
        "hours": None if None in hours else sum(hours),
        "timed_on": {"ranks": machine.ranks, "device": times.hardware.device} if times else None,
    }


def _time(spec: StageSpec, time: StageTime | None, ranks: int) -> dict[str, Any]:
    """How long a stage takes, and how that is known: timed_steps is 0 if by the stage before."""
    seconds = time and time.seconds(spec)
    return {
        "images_per_second": time and time.images_per_second(spec),
        "hours": seconds and seconds / 3600,
        "timed_steps": time and time.steps,
        "timed_images": time and time.batch,
        "time_is_approximate": bool(seconds and time and time.batch < spec.batch // ranks),
        "time_error": time and time.error,
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
    kind = "" if document["channels"] == 3 else f", {KINDS[document['channels']]}"
    table = Table(
        title=f"{document['total_kimg']:,.0f} kimg in {stages}{kind}",
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


def plan_view(document: dict[str, Any]) -> Group:
    """The table of the stages, and below it what is known of the time they take."""
    if all(stage["timed_steps"] is None for stage in document["stages"]):
        return Group(plan_table(document), coloured(HOW_TO_MEASURE, "dim"))
    ranks, device = document["timed_on"]["ranks"], document["timed_on"]["device"]
    notes = [
        f"Measured: steps of one rank of {ranks} on random pictures, on {device}.",
        "Not included: communication between ranks, reading pictures, metrics, samples,",
        "checkpoints, and the start of each stage.",
    ]
    if any(stage["time_is_approximate"] for stage in document["stages"]):
        notes.append("~: computed from steps of fewer images, or from the stage before.")
    return Group(plan_table(document), time_table(document), coloured("\n".join(notes), "dim"))


def time_table(document: dict[str, Any]) -> Table:
    """Rate and length of every stage, and of the run."""
    hours = document["hours"]
    whole = "not known for every stage" if hours is None else f"about {about(hours * 3600)}"
    table = Table(title=f"the whole run: {whole}", box=SIMPLE, padding=(0, 1, 0, 0))
    for heading in ("stage", "images/s", "hours"):
        table.add_column(heading, justify="right")
    table.add_column("measured")
    for stage in document["stages"]:
        table.add_row(str(stage["resolution"]), *_time_cells(stage))
    return table


def _time_cells(stage: dict[str, Any]) -> tuple[str, str, str]:
    if stage["time_error"]:
        return "?", "?", stage["time_error"]
    if stage["hours"] is None:
        return "?", "?", "not measured"
    steps, images = stage["timed_steps"], stage["timed_images"]
    mark = "~" if stage["time_is_approximate"] else ""
    by = f"{steps} {'step' if steps == 1 else 'steps'} of {images}" if steps else "the stage before"
    rate, left = stage["images_per_second"], duration(stage["hours"] * 3600)
    return f"{mark}{rate:,.0f}" if rate >= 10 else f"{mark}{rate:.2g}", f"{mark}{left}", by


def _gib(size: int | None) -> str:
    return "..." if size is None else f"{size / GIB:,.2f}"


def _rates(generator: float, discriminator: float) -> str:
    """One learning rate, or two."""
    if generator == discriminator:
        return f"{generator:g}"
    return f"{generator:g} D {discriminator:g}"
