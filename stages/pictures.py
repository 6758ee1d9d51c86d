"""Tensors of pictures -> something to look at."""

import io

import torch
from PIL import Image
from torch import Tensor

SMALLEST_CELL = 64
GAP = 2


def to_uint8(images: Tensor) -> Tensor:
    """float32 in [-1, 1] (what lies outside is clipped) -> uint8, any shape."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def grid(images: Tensor, columns: int) -> Image.Image:
    """Pictures (N, 3, H, W) in [-1, 1] side by side, row by row.

    Small ones are shown with enlarged pixels, so that a grid of 4x4 pictures can be looked at.
    """
    zoom = max(1, SMALLEST_CELL // images.shape[-1])
    cells = to_uint8(images.cpu()).repeat_interleave(zoom, 2).repeat_interleave(zoom, 3)
    height, width = (size + GAP for size in cells.shape[2:])
    rows = -(-len(cells) // columns)
    # By Pillow: torchvision's make_grid would take two seconds to load, in every process.
    sheet = Image.new("RGB", (columns * width + GAP, rows * height + GAP), "white")
    for place, cell in enumerate(cells):
        row, column = divmod(place, columns)
        picture = Image.fromarray(cell.permute(1, 2, 0).numpy())
        sheet.paste(picture, (GAP + column * width, GAP + row * height))
    return sheet


def single(image: Tensor) -> Image.Image:
    """One picture (3, H, W) in [-1, 1], pixel for pixel."""
    return Image.fromarray(to_uint8(image.cpu()).permute(1, 2, 0).numpy())


def png(image: Image.Image) -> bytes:
    """A picture as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
