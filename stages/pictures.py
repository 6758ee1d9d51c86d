"""Tensors of pictures -> something to look at."""

import io

import torch
from PIL import Image
from torch import Tensor

from progan.stages.gridlayout import extent, place, zoom


def to_uint8(images: Tensor) -> Tensor:
    """float32 in [-1, 1] (what lies outside is clipped) -> uint8, any shape."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def grid(images: Tensor, columns: int) -> Image.Image:
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


def single(image: Tensor) -> Image.Image:
    """One picture (3, H, W) in [-1, 1], pixel for pixel."""
    return Image.fromarray(to_uint8(image.cpu()).permute(1, 2, 0).numpy())


def png(image: Image.Image) -> bytes:
    """A picture as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
