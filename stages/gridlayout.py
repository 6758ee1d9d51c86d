"""How pictures lie in a grid of samples; no torch, since looking at grids needs none."""

from PIL import Image

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
