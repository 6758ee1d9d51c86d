"""A run's sample grids as frames of the report: the same latents, stage after stage."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from progan.pipeline.report.document import Frame, Growth, Reals
from progan.pipeline.report.sample_grids import (
    SampleGrid,
    columns_of_all,
    read_pictures,
    sample_grids,
)
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.stage_folder import StageFolder

MOST_LATENTS = 64
WIDEST_PIXELS = 1024
"""Along one side of a frame; larger grids are reduced"""
PIXELS_PER_STAGE = 5_000_000
MOST_FRAMES, FEWEST_FRAMES = 16, 4
LOSSLESS_UNTIL = 16
"""Up to this resolution single pixels are visible"""
QUALITY = 88


def collect_growth(stages: Sequence[tuple[int, StageSpec, StageFolder]]) -> Growth:
    """Frames of all stages, with the latents that all grids have in common.

    stages: of each, the images that the run showed before it, its spec and its folder.
    """
    grids = [sample_grids(spec, folder, begins) for begins, spec, folder in stages]
    columns = columns_of_all(sum(grids, []), round(MOST_LATENTS**0.5))
    frames = tuple(
        Frame(
            resolution=grid.resolution,
            at=grid.at,
            images_seen=grid.images_seen,
            alpha=grid.alpha,
            phase=grid.phase,
            picture=picture,
        )
        for of_stage in grids
        for grid in chosen(of_stage, columns)
        if (picture := _picture(grid.file, grid.resolution, columns))
    )
    reals = tuple(
        Reals(resolution=spec.resolution, picture=picture)
        for _, spec, folder in stages
        if (picture := _picture(folder.reals, spec.resolution, columns))
    )
    return Growth(latents=columns**2, columns=columns, frames=frames, reals=reals)


def frames_of(resolution: int, columns: int) -> int:
    """Frames per stage: fewer of large pictures, so that the page stays small."""
    pixels = min(resolution * columns, WIDEST_PIXELS) ** 2
    return max(FEWEST_FRAMES, min(MOST_FRAMES, PIXELS_PER_STAGE // pixels))


def chosen(grids: Sequence[SampleGrid], columns: int) -> list[SampleGrid]:
    """The grids to show, evenly spaced in images seen, with the first and the last."""
    count = frames_of(grids[0].resolution, columns) if grids else 0
    if len(grids) <= count:
        return list(grids)
    first, last = grids[0].at, grids[-1].at
    wanted = [first + (last - first) * step / (count - 1) for step in range(count)]
    indices = {min(range(len(grids)), key=lambda i: abs(grids[i].at - at)) for at in wanted}
    return [grids[index] for index in sorted(indices)]


def _picture(file: Path, resolution: int, columns: int) -> str | None:
    """The first columns x columns pictures of a grid as a data: URI; None if it cannot be read."""
    try:
        cut = read_pictures(file, resolution, columns**2)
    except OSError:
        return None
    whole = Image.new("RGB", (columns * resolution, columns * resolution))
    for index, picture in enumerate(cut):
        row, column = divmod(index, columns)
        whole.paste(picture, (column * resolution, row * resolution))
    cell = min(resolution, WIDEST_PIXELS // columns)
    if cell < resolution:
        whole = whole.resize((columns * cell, columns * cell), Image.Resampling.BOX)
    return data_uri(whole, lossless=resolution <= LOSSLESS_UNTIL)


def data_uri(image: Image.Image, *, lossless: bool) -> str:
    """Lossless WebP, or JPEG without chroma subsampling (4:4:4), which lossy WebP always has."""
    buffer = io.BytesIO()
    if lossless:
        image.save(buffer, "WEBP", lossless=True)
    else:
        image.save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    kind = "webp" if lossless else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
