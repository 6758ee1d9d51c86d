"""A film of a run's training: the same latents from the first grid to the last; no torch.

Time is proportional to images shown, not to grids: high resolutions draw them more often, so that
the first stages would take only a moment.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from progan.pipeline.errors import RunError
from progan.pipeline.plan.plan import stage_specs
from progan.pipeline.report.sample_grids import (
    SampleGrid,
    columns_of_all,
    read_pictures,
    sample_grids,
)
from progan.pipeline.run.progress_display import track
from progan.pipeline.run_folder import RunFolder, frozen_config
from progan.pipeline.sampling.video import check_movie, write_movie

MOST_COLUMNS = 8
SMALLEST_SIDE, LARGEST_SIDE = 512, 1024
GAP = 2
CAPTION = 44
HOLD_SECONDS = 1.0
PAPER, INK, SOFT, BAR = "#17171b", "#f2f1f5", "#9a98a3", "#a99bff"


def timelapse(run: RunFolder, out: Path, seconds: float, fps: int) -> int:
    """Write the film; returns the number of grids in it. RunError if the run has none yet.

    The last grid is shown for a second more.
    """
    check_movie(out, fps)
    grids = all_grids(run)
    if not grids:
        raise RunError(f"{run.path} has no grids of samples yet: {run.status_command}")
    columns = columns_of_all(grids, MOST_COLUMNS)
    cell = cell_pixels(max(grid.resolution for grid in grids), columns)
    last = grids[-1].at
    draw = lru_cache(maxsize=1)(lambda grid: sheet(grid, columns, cell, grid.at / last))
    shown = [*film(grids, round(seconds * fps)), *[grids[-1]] * round(HOLD_SECONDS * fps)]
    frames = (draw(grid) for grid in shown)
    write_movie(out, track(frames, out.name, len(shown)), fps)
    return len(set(shown))


def all_grids(run: RunFolder) -> list[SampleGrid]:
    """The grids of all stages, in the order in which they were drawn."""
    grids: list[SampleGrid] = []
    begins = 0
    for spec in stage_specs(frozen_config(run), run, ""):
        grids += sample_grids(spec, run.stage(spec.resolution), begins)
        begins += spec.growth.total_images
    return grids


def film(grids: list[SampleGrid], frames: int) -> Iterator[SampleGrid]:
    """The newest grid at each frame; frames are evenly spaced in images shown."""
    first, last = grids[0].at, grids[-1].at
    newest = 0
    for frame in range(frames):
        at = first + (last - first) * frame / max(1, frames - 1)
        while newest + 1 < len(grids) and grids[newest + 1].at <= at:
            newest += 1
        yield grids[newest]


def cell_pixels(resolution: int, columns: int) -> int:
    """Side of a picture in the film: a whole multiple of the last resolution, if it fits."""
    factor = -(-SMALLEST_SIDE // (columns * resolution))
    return min(resolution * factor, LARGEST_SIDE // columns // 2 * 2)


def sheet(grid: SampleGrid, columns: int, cell: int, share: float) -> Image.Image:
    """One frame: the pictures, and below them the progress of the run."""
    side = columns * cell + (columns + 1) * GAP
    image = Image.new("RGB", (side, side + CAPTION), PAPER)
    for index, picture in enumerate(read_pictures(grid.file, grid.resolution, columns**2)):
        row, column = divmod(index, columns)
        smaller = grid.resolution > cell
        how = Image.Resampling.BOX if smaller else Image.Resampling.NEAREST
        place = GAP + column * (cell + GAP), GAP + row * (cell + GAP)
        image.paste(picture.resize((cell, cell), how), place)
    _write_caption(image, grid, share)
    return image


def _write_caption(image: Image.Image, grid: SampleGrid, share: float) -> None:
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(18)
    width, top = image.width, image.height - CAPTION
    middle = top + CAPTION // 2 + 1
    draw.rectangle((GAP, top + 2, GAP + round((width - 2 * GAP - 1) * share), top + 4), fill=BAR)
    size = f"{grid.resolution}x{grid.resolution}"  # Pillow's own font has no multiplication sign
    draw.text((12, middle), size, fill=INK, font=font, anchor="lm")
    kimg = f"{grid.at / 1000:,.1f} kimg"
    draw.text((width // 2, middle), kimg, fill=SOFT, font=font, anchor="mm")
    alpha = f"alpha {grid.alpha:.2f}"
    draw.text((width - 12, middle), alpha, fill=SOFT, font=font, anchor="rm")
