"""Pictures with transparent parts, as image editors show them."""

from functools import lru_cache

import numpy as np
from PIL import Image

DARK, LIGHT = 200, 255
SQUARE = 8


def over_checkerboard(image: Image.Image, square: int = SQUARE) -> Image.Image:
    """An RGBA picture over a grey and white checkerboard, as RGB; others are returned as they are.

    square: pixels along a side of one of its squares.
    """
    if image.mode != "RGBA":
        return image
    return Image.alpha_composite(_board(image.size, square), image).convert("RGB")


@lru_cache(maxsize=4)
def _board(size: tuple[int, int], square: int) -> Image.Image:
    rows, columns = np.indices(size[::-1]) // square
    levels = np.where((rows + columns) % 2, LIGHT, DARK)
    return Image.fromarray(levels.astype(np.uint8)).convert("RGBA")
