"""One picture of a data set: a few samples, each at every resolution."""

import numpy as np
from PIL import Image, ImageDraw

from progan.datasets.format.checkerboard import over_checkerboard
from progan.datasets.format.codec import Pixels, to_image
from progan.datasets.format.location import Location
from progan.datasets.format.manifest import Manifest
from progan.datasets.format.reader import Level

_GAP, _MARGIN = 4, 76
_PAPER, _INK = "white", "black"


def preview(dataset: Location, manifest: Manifest, *, num: int = 8, tile: int = 128) -> Image.Image:
    """`num` samples, evenly spaced in the data set, in columns; one row for each level.

    Every level is drawn at `tile` x `tile` pixels: enlarged by nearest neighbor or reduced by box.
    """
    count = min(num, manifest.num_samples)
    samples = np.linspace(0, manifest.num_samples - 1, count).astype(np.int64)
    rows = sorted(manifest.resolutions, reverse=True)
    step = tile + _GAP
    sheet = Image.new("RGB", (_MARGIN + count * step, len(rows) * step + _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for row, resolution in enumerate(rows):
        top = _GAP + row * step
        draw.text((_GAP, top + tile // 2 - 6), f"{resolution}x{resolution}", fill=_INK)
        level = Level(dataset, manifest, resolution)
        for column, pixels in enumerate(level.pictures(samples)):
            sheet.paste(_tile(pixels, tile), (_MARGIN + column * step, top))
        level.close()
    return sheet


def _tile(pixels: Pixels, side: int) -> Image.Image:
    """uint8 [C, R, R] -> `side` x `side` pixels; transparent pixels show a checkerboard."""
    image = to_image(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    smaller = image.width > side
    filter = Image.Resampling.BOX if smaller else Image.Resampling.NEAREST
    return over_checkerboard(image.resize((side, side), filter))
