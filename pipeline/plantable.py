"""The plan of a configuration, to be read before anything is started; no torch."""

from typing import Any

from rich.table import Table

from progan.pipeline.config import RunConfig
from progan.pipeline.plan import stage_specs
from progan.pipeline.rundir import RunFolder
from progan.stages.networks.widths import discriminator_parameters, generator_parameters, width
from progan.stages.spec import StageSpec


def plan_document(config: RunConfig, run: RunFolder) -> dict[str, Any]:
    """The stages and what each costs, as one JSON-able document."""
    stages = [_row(spec) for spec in stage_specs(config, run, "")]
    return {
        "stages": stages,
        "total_kimg": sum(stage["fade_kimg"] + stage["steady_kimg"] for stage in stages),
    }


def _row(spec: StageSpec) -> dict[str, Any]:
    fading = spec.grown_from is not None
    model, resolution = spec.model, spec.resolution
    return {
        "resolution": resolution,
        "fade_kimg": spec.growth.fade_images / 1000,
        "steady_kimg": spec.growth.steady_images / 1000,
        "batch": spec.batch,
        "steps": -(-spec.growth.total_images // spec.images_per_step),
        "lr": spec.lr,
        "width": width(model, resolution),
        "generator_parameters": generator_parameters(model, resolution, fading=fading),
        "discriminator_parameters": discriminator_parameters(model, resolution, fading=fading),
    }


def plan_table(document: dict[str, Any]) -> Table:
    """The document as a table for a person."""
    table = Table(title=f"{document['total_kimg']:,.0f} kimg in {len(document['stages'])} stages")
    headings = ("stage", "fade kimg", "steady kimg", "batch", "steps", "lr", "maps", "G", "D")
    for heading in headings:
        table.add_column(heading, justify="right")
    for stage in document["stages"]:
        table.add_row(
            str(stage["resolution"]),
            f"{stage['fade_kimg']:g}",
            f"{stage['steady_kimg']:g}",
            str(stage["batch"]),
            f"{stage['steps']:,}",
            f"{stage['lr']:g}",
            str(stage["width"]),
            f"{stage['generator_parameters']:,}",
            f"{stage['discriminator_parameters']:,}",
        )
    return table
