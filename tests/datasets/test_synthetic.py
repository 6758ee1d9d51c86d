"""Synthetic pictures are deterministic and all different."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from progan.datasets.synthetic import SHAPES, draw_dataset, draw_picture, draw_simple_picture


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.png")}


def test_seed_determines_pictures_and_larger_sets_contain_smaller_ones(tmp_path: Path) -> None:
    draw_dataset(tmp_path / "a", num=12, size=16, seed=1)
    draw_dataset(tmp_path / "b", num=18, size=16, seed=1)
    draw_dataset(tmp_path / "c", num=12, size=16, seed=2)
    a, b, c = (files(tmp_path / name) for name in "abc")
    assert a.items() <= b.items()
    assert not set(a.values()) & set(c.values())
    assert len(set(b.values())) == 18


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_visible(shape: str) -> None:
    image = draw_picture(shape, 32, Random(0))
    assert image.size == (32, 32)
    assert np.asarray(image).std() > 10


@pytest.mark.parametrize("shape", SHAPES)
def test_simple_pictures_have_a_bright_middle_on_dark_ground(shape: str) -> None:
    grey = np.asarray(draw_simple_picture(shape, 32, Random(0)).convert("L"))
    assert grey[[0, 0, -1, -1], [0, -1, 0, -1]].max() < 64 < grey.max() - 40


def test_folders_are_the_shapes(tmp_path: Path) -> None:
    draw_dataset(tmp_path, num=6, size=8)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(SHAPES)
    with Image.open(tmp_path / "star" / "000004.png") as image:
        assert image.size == (8, 8)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_channels(channels: int, mode: str) -> None:
    image = draw_picture("disc", 32, Random(0), channels)
    assert image.mode == mode
    if channels == 4:  # the shape is opaque, the ground is not
        assert image.getchannel("A").getextrema() == (0, 255)
