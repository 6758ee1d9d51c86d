"""A finished stage's generator as files that live without the run."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from progan.datasets.files import sha256_file, whole_file, write_whole
from progan.pipeline.errors import RunError
from progan.pipeline.rundir import RunFolder
from progan.pipeline.runs import frozen_config
from progan.stages.final import is_done, read_final
from progan.stages.spec import ModelSpec

WEIGHTS = "generator.safetensors"
DOCUMENT = "generator.json"


class ExportedGenerator(BaseModel):
    """generator.json: what the weights beside it are and how to use them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["progan-generator"] = "progan-generator"
    version: Literal[1] = 1
    resolution: int
    model: ModelSpec
    images_seen: int
    latents: str = "float32 (N, model.latent) from N(0, 1)"
    pictures: str = "float32 (N, model.channels, resolution, resolution), [-1, 1] is black to white"
    sha256: str
    """of generator.safetensors"""


def export(run: RunFolder, out: Path, stage: int | None = None) -> ExportedGenerator:
    """Write the averaged generator of a stage, by default the last one done, into a folder.

    Before it says done, the files are read back and drawn from. RunError if nothing is finished.
    """
    resolution = _chosen(run, stage)
    folder = run.stage(resolution).final
    final = read_final(folder)
    source = folder / "ema.safetensors"
    with whole_file(out / WEIGHTS) as file:
        file.write(source.read_bytes())
    document = ExportedGenerator(
        resolution=final.resolution,
        model=final.model,
        images_seen=final.images_seen,
        sha256=sha256_file(out / WEIGHTS),
    )
    write_whole(out / DOCUMENT, document.model_dump_json(indent=2).encode())
    _draw_one(out)
    return document


def _chosen(run: RunFolder, stage: int | None) -> int:
    finished = [r for r in frozen_config(run).resolutions if is_done(run.stage(r).final)]
    if not finished:
        raise RunError(f"no stage of {run.path} is finished yet: progan status {run.path}")
    if stage is None:
        return finished[-1]
    if stage not in finished:
        raise RunError(f"stage {stage} of {run.path} is not finished; finished are {finished}")
    return stage


def _draw_one(out: Path) -> None:
    """Read the export back as a user would."""
    from progan.pipeline.generate import draw, load_generator

    images = draw(load_generator(out), num=1, seed=0)
    if not images.isfinite().all():
        raise RunError(f"the generator exported to {out} draws values that are not finite")
