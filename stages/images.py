"""Tensors of pictures to grids and PNG files; torch is imported for types only."""

import io
from typing import TYPE_CHECKING

from PIL import Image

from progan.datasets.format.checkerboard import SQUARE, over_checkerboard
from progan.datasets.format.codec import to_image

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST_CELL = 64
GAP = 2


def zoom(resolution: int) -> int:
    """Factor by which a grid enlarges pictures, so that 4x4 pixels can be seen."""
    return max(1, SMALLEST_CELL // resolution)


def cell_corner(index: int, columns: int, cell: int) -> tuple[int, int]:
    """Left and top of a picture in a grid whose cells are `cell` pixels wide."""
    row, column = divmod(index, columns)
    return GAP + column * (cell + GAP), GAP + row * (cell + GAP)


def side_pixels(count: int, cell: int) -> int:
    """Pixels along one side of a grid that has `count` cells there."""
    return count * (cell + GAP) + GAP


def columns_of(sheet: Image.Image, resolution: int) -> int:
    """Pictures in one row of a grid."""
    return (sheet.width - GAP) // (resolution * zoom(resolution) + GAP)


def cut_grid(sheet: Image.Image, resolution: int, most: int) -> list[Image.Image]:
    """The first pictures of a square grid of samples, row by row, at their own resolution."""
    factor = zoom(resolution)
    cell = resolution * factor
    columns = columns_of(sheet, resolution)
    pictures = []
    for index in range(min(most, columns**2)):
        left, top = cell_corner(index, columns, cell)
        picture = sheet.crop((left, top, left + cell, top + cell))
        pictures.append(picture.reduce(factor) if factor > 1 else picture)
    return pictures


def to_uint8(images: "Tensor") -> "Tensor":
    """float32 in [-1, 1], clipped -> uint8, any shape."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).byte()


def grid(images: "Tensor", columns: int) -> Image.Image:
    """Pictures (N, C, R, R) in [-1, 1] side by side, row by row: grey, or RGB.

    Small ones are enlarged (`zoom`). With alpha (C = 4) they are shown over a checkerboard.
    """
    factor = zoom(images.shape[-1])
    cells = to_uint8(images.cpu()).repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    cell = cells.shape[-1]
    rows = -(-len(cells) // columns)
    # Pillow: importing torchvision for make_grid would take two seconds in every process.
    mode = "L" if images.shape[1] == 1 else "RGB"
    sheet = Image.new(mode, (side_pixels(columns, cell), side_pixels(rows, cell)), "white")
    for index, picture in enumerate(cells):
        image = to_image(picture.permute(1, 2, 0).numpy())
        # A square is at least a pixel of the picture, so that `cut_grid` gets whole ones back.
        shown = over_checkerboard(image, max(SQUARE, factor))
        sheet.paste(shown, cell_corner(index, columns, cell))
    return sheet


def single(image: "Tensor") -> Image.Image:
    """One picture (C, H, W) in [-1, 1], pixel for pixel: grey, RGB or RGBA."""
    return to_image(to_uint8(image.cpu()).permute(1, 2, 0).numpy())


def png(image: Image.Image) -> bytes:
    """A picture as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
