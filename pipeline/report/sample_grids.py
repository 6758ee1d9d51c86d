"""The sample grids in a run's folder, all from the same latents; no torch."""

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
    """One grid of fakes, and the progress at which it was drawn."""

    resolution: int
    at: int
    """Images shown over the whole run"""
    images_seen: int
    """Of this stage"""
    alpha: float
    phase: schedule.Phase
    file: Path


def sample_grids(spec: StageSpec, folder: StageFolder, begins: int) -> list[SampleGrid]:
    """A stage's grids, oldest first; `begins` are the images that the run showed before it."""
    grids = []
    for file in sorted(folder.samples.glob("fakes_*.png")):
        seen = int(file.stem.removeprefix("fakes_"))
        alpha, phase = schedule.alpha(seen, spec.growth), schedule.phase(seen, spec.growth)
        grids.append(SampleGrid(spec.resolution, begins + seen, seen, alpha, phase, file))
    return grids


def columns_of_all(grids: Iterable[SampleGrid], limit: int) -> int:
    """Columns of the narrowest grid, as a run may change their number; at most `limit`."""
    columns = limit
    for grid in grids:
        with suppress(OSError), Image.open(grid.file) as sheet:
            columns = min(columns, columns_of(sheet, grid.resolution))
    return columns


def read_pictures(file: Path, resolution: int, count: int) -> list[Image.Image]:
    """The first `count` pictures of a grid, RGB. OSError if it cannot be read."""
    with Image.open(file) as sheet:
        return cut_grid(sheet.convert("RGB"), resolution, count)
