"""The sample grids of a run as pictures for a page: the same latents, stage after stage."""

import base64
import io
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from PIL import Image

from progan.pipeline.report.document import Frame, Growth, Reals
from progan.stages import growth
from progan.stages.folder import StageFolder
from progan.stages.gridlayout import columns_of, pictures
from progan.stages.spec import StageSpec

MOST_LATENTS = 64
WIDEST_PIXELS = 1024
"""Along one side of a page's picture; larger grids are reduced"""
PIXELS_A_STAGE = 5_000_000
MOST_FRAMES, FEWEST_FRAMES = 16, 4
LOSSLESS_UNTIL = 16
"""Resolution up to which pixels are seen one by one"""
QUALITY = 88


def sample_grids(folder: StageFolder) -> list[tuple[int, Path]]:
    """Images seen and file of every grid of fakes, in that order."""
    files = sorted(folder.samples.glob("fakes_*.png"))
    return [(int(file.stem.removeprefix("fakes_")), file) for file in files]


def collect_growth(stages: Sequence[tuple[int, StageSpec, StageFolder]]) -> Growth:
    """Frames of all stages, each with as many latents as every grid has.

    stages: images of the run before it, spec and folder of each.
    """
    columns = round(MOST_LATENTS**0.5)
    for _, spec, folder in stages:
        columns = min([columns, *_columns(spec.resolution, folder)])
    frames: list[Frame] = []
    reals: list[Reals] = []
    for begins, spec, folder in stages:
        for images_seen, file in chosen(sample_grids(folder), frames_of(spec.resolution, columns)):
            if picture := _picture(file, spec.resolution, columns):
                frames.append(_frame(begins, spec, images_seen, picture))
        if picture := _picture(folder.reals, spec.resolution, columns):
            reals.append(Reals(resolution=spec.resolution, picture=picture))
    return Growth(latents=columns**2, columns=columns, frames=tuple(frames), reals=tuple(reals))


def _frame(begins: int, spec: StageSpec, images_seen: int, picture: str) -> Frame:
    return Frame(
        resolution=spec.resolution,
        at=begins + images_seen,
        images_seen=images_seen,
        alpha=growth.alpha(images_seen, spec.growth),
        phase=growth.phase(images_seen, spec.growth),
        picture=picture,
    )


def _columns(resolution: int, folder: StageFolder) -> set[int]:
    """Pictures in a row of each of a stage's grids; a run may have changed it."""
    found = set()
    for _, file in sample_grids(folder):
        with suppress(OSError), Image.open(file) as sheet:
            found.add(columns_of(sheet, resolution))
    return found


def frames_of(resolution: int, columns: int) -> int:
    """How many frames a stage is worth: large ones fewer, so that the page stays small."""
    pixels = min(resolution * columns, WIDEST_PIXELS) ** 2
    return max(FEWEST_FRAMES, min(MOST_FRAMES, PIXELS_A_STAGE // pixels))


def chosen(grids: Sequence[tuple[int, Path]], most: int) -> list[tuple[int, Path]]:
    """No more than so many, evenly in images seen, the first and the last among them."""
    if len(grids) <= most:
        return list(grids)
    first, last = grids[0][0], grids[-1][0]
    wanted = [first + (last - first) * step / (most - 1) for step in range(most)]
    places = {min(range(len(grids)), key=lambda place: abs(grids[place][0] - at)) for at in wanted}
    return [grids[place] for place in sorted(places)]


def _picture(file: Path, resolution: int, columns: int) -> str | None:
    """The first columns x columns pictures of a grid as a data: URI; None if it cannot be read."""
    try:
        with Image.open(file) as sheet:
            cut = pictures(sheet.convert("RGB"), resolution, columns**2)
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
    """WebP without loss, or a JPEG that keeps every pixel's colour (4:4:4), which WebP cannot."""
    buffer = io.BytesIO()
    if lossless:
        image.save(buffer, "WEBP", lossless=True)
    else:
        image.save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    kind = "webp" if lossless else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
