"""Any picture file becomes an upright opaque square."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from progan.datasets.codec import Pixels
from progan.datasets.manifest import Options
from progan.datasets.picture import UnusablePicture, square_picture


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def square(data: bytes, resolution: int = 8, channels: int = 3) -> Pixels:
    return square_picture(data, resolution, Options(), channels)


def test_the_right_size_is_left_alone() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert (square(encode(Image.fromarray(pixels))) == pixels).all()


def test_the_centre_is_cropped() -> None:
    image = Image.new("RGB", (24, 8), "red")
    image.paste("blue", (8, 0, 16, 8))
    assert (square(encode(image)) == (0, 0, 255)).all()


def test_small_pictures_are_enlarged() -> None:
    assert (square(encode(Image.new("RGB", (3, 2), "lime"))) == (0, 255, 0)).all()


def test_pictures_are_turned_upright() -> None:
    image = Image.new("RGB", (8, 8), "red")
    image.paste("blue", (0, 0, 8, 4))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    assert (square(encode(image, exif=exif))[7] == (0, 0, 255)).all()


def test_transparent_pixels_show_the_background() -> None:
    assert (square(encode(Image.new("RGBA", (8, 8), (255, 0, 0, 0)))) == 255).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr"])
def test_other_modes_become_rgb(mode: str) -> None:
    kind = "TIFF" if mode in ("CMYK", "YCbCr") else "PNG"
    grey = Image.new("L", (8, 8), 255).convert("RGB").convert(mode)
    assert (square(encode(grey, kind)) >= 254).all()


def test_sixteen_bits_of_grey_are_scaled_not_clipped() -> None:
    grey = Image.fromarray(np.full((8, 8), 0x4000, dtype=np.uint16))
    assert (square(encode(grey)) == 0x40).all()


def test_one_channel() -> None:
    assert square(encode(Image.new("RGB", (9, 9), "white")), channels=1).shape == (8, 8, 1)


def test_a_large_jpeg_decoded_small_looks_the_same() -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
    data = encode(image.resize((1024, 1024), Image.Resampling.BICUBIC), "JPEG", quality=95)
    small = square(data, 64).astype(np.float64)
    whole = Image.open(io.BytesIO(data)).resize((64, 64), Image.Resampling.LANCZOS)
    assert np.sqrt(((small - np.asarray(whole)) ** 2).mean()) < 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a text",
        encode(Image.effect_noise((64, 64), 50), "JPEG")[:300],
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    ],
    ids=["empty", "text", "truncated", "postscript"],
)
def test_what_is_no_picture_says_so(data: bytes) -> None:
    with pytest.raises(UnusablePicture):
        square(data)


def test_far_too_many_pixels_are_refused() -> None:
    with pytest.raises(UnusablePicture, match="too many"):
        square(encode(Image.new("1", (9000, 9000))))
