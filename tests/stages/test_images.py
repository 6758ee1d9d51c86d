"""Grids and single pictures of 1, 3 and 4 channels."""

import pytest
import torch
from torch import Tensor

from progan.stages.images import cell_corner, cut_grid, grid, single


def pictures(channels: int, resolution: int = 8) -> Tensor:
    torch.manual_seed(0)
    return torch.rand(5, channels, resolution, resolution) * 2 - 1


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_single_picture_has_its_own_mode(channels: int, mode: str) -> None:
    image = single(pictures(channels)[0])
    assert (image.mode, image.size) == (mode, (8, 8))


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_a_grid_are_cut_out_unchanged(channels: int) -> None:
    images = pictures(channels)
    sheet = grid(images, 2)
    assert sheet.mode == ("L" if channels == 1 else "RGB")
    for found, image in zip(cut_grid(sheet, 8, 4), images, strict=False):
        assert found.tobytes() == single(image).tobytes()


def test_grid_shows_a_checkerboard_under_alpha() -> None:
    images = torch.ones(1, 4, 8, 8)
    images[:, :3] = -1
    images[:, 3, 4:] = -1  # the lower half is transparent
    sheet = grid(images, 1)
    left, top = cell_corner(0, 1, 64)
    assert sheet.mode == "RGB"
    assert sheet.getpixel((left, top)) == (0, 0, 0)
    below = [sheet.getpixel((left + x, top + 32)) for x in (0, 7, 8, 16)]
    assert below == [(200,) * 3, (200,) * 3, (255,) * 3, (200,) * 3]


@pytest.mark.parametrize("resolution", [4, 8, 64])
def test_squares_of_the_checkerboard_survive_cutting(resolution: int) -> None:
    images = torch.full((1, 4, resolution, resolution), -1.0)
    (cut,) = cut_grid(grid(images, 1), resolution, 1)
    assert {color for _, color in cut.getcolors() or []} == {(200,) * 3, (255,) * 3}
