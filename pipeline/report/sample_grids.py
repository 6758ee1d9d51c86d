"""The grids of samples that a run has drawn, all from the same latents; no torch."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from progan.stages import schedule
from progan.stages.images import columns_of, cut_grid
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.stage_folder import StageFolder


@dataclass(frozen=True, slots=True)
class SampleGrid:
    """One grid of fakes, and where its stage stood."""

    resolution: int
    at: int
    """Images shown over the whole run"""
    images_seen: int
    """Of this stage"""
    alpha: float
    phase: schedule.Phase
    file: Path


def sample_grids(spec: StageSpec, folder: StageFolder, begins: int) -> list[SampleGrid]:
    """Those of a stage, oldest first; `begins` are the images of the run before it."""
    grids = []
    for file in sorted(folder.samples.glob("fakes_*.png")):
        seen = int(file.stem.removeprefix("fakes_"))
        alpha, phase = schedule.alpha(seen, spec.growth), schedule.phase(seen, spec.growth)
        grids.append(SampleGrid(spec.resolution, begins + seen, seen, alpha, phase, file))
    return grids


def columns_of_all(grids: Iterable[SampleGrid], most: int) -> int:
    """Pictures in a row of the smallest of them, for a run may change it; `most` if none is."""
    columns = most
    for grid in grids:
        with suppress(OSError), Image.open(grid.file) as sheet:
            columns = min(columns, columns_of(sheet, grid.resolution))
    return columns


def read_pictures(file: Path, resolution: int, count: int) -> list[Image.Image]:
    """The first pictures of a grid, RGB. OSError if it cannot be read."""
    with Image.open(file) as sheet:
        return cut_grid(sheet.convert("RGB"), resolution, count)
