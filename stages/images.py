"""Tensors of pictures to grids and PNG files; torch is not loaded here."""

import io
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST_CELL = 64
GAP = 2


def zoom(resolution: int) -> int:
    """How often a grid repeats every pixel, so that pictures of 4x4 can be looked at."""
    return max(1, SMALLEST_CELL // resolution)


def place(index: int, columns: int, cell: int) -> tuple[int, int]:
    """Left and top of a picture in a grid with cells of so many pixels."""
    row, column = divmod(index, columns)
    return GAP + column * (cell + GAP), GAP + row * (cell + GAP)


def extent(count: int, cell: int) -> int:
    """Pixels that so many cells take up along one side."""
    return count * (cell + GAP) + GAP


def columns_of(sheet: Image.Image, resolution: int) -> int:
    """Pictures in a row of a grid."""
    return (sheet.width - GAP) // (resolution * zoom(resolution) + GAP)


def pictures(sheet: Image.Image, resolution: int, most: int) -> list[Image.Image]:
    """The first pictures of a square grid of samples, row by row, as large as they were drawn."""
    factor = zoom(resolution)
    cell = resolution * factor
    columns = columns_of(sheet, resolution)
    cut = []
    for index in range(min(most, columns**2)):
        left, top = place(index, columns, cell)
        picture = sheet.crop((left, top, left + cell, top + cell))
        cut.append(picture.reduce(factor) if factor > 1 else picture)
    return cut


def to_uint8(images: "Tensor") -> "Tensor":
    """float32 in [-1, 1] (what lies outside is clipped) -> uint8, any shape."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).byte()


def grid(images: "Tensor", columns: int) -> Image.Image:
    """Pictures (N, 3, R, R) in [-1, 1] side by side, row by row.

    Small ones are shown with enlarged pixels, so that a grid of 4x4 pictures can be looked at.
    """
    factor = zoom(images.shape[-1])
    cells = to_uint8(images.cpu()).repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    cell = cells.shape[-1]
    rows = -(-len(cells) // columns)
    # By Pillow: torchvision's make_grid would take two seconds to load, in every process.
    sheet = Image.new("RGB", (extent(columns, cell), extent(rows, cell)), "white")
    for index, picture in enumerate(cells):
        image = Image.fromarray(picture.permute(1, 2, 0).numpy())
        sheet.paste(image, place(index, columns, cell))
    return sheet


def single(image: "Tensor") -> Image.Image:
    """One picture (3, H, W) in [-1, 1], pixel for pixel."""
    return Image.fromarray(to_uint8(image.cpu()).permute(1, 2, 0).numpy())


def png(image: Image.Image) -> bytes:
    """A picture as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
