"""Picture files become squares of 8-bit grey, RGB or RGBA."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from progan.datasets.build.picture import square_picture
from progan.datasets.errors import TooSmall, UnusablePicture
from progan.datasets.format.codec import Pixels
from progan.datasets.format.options import Options


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def square(data: bytes, resolution: int = 8, channels: int = 3, **options: Any) -> Pixels:
    return square_picture(data, resolution, Options(**options), channels).pixels


def test_picture_of_the_right_size_is_unchanged() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert (square(encode(Image.fromarray(pixels))) == pixels).all()


def test_default_crop_is_the_center() -> None:
    image = Image.new("RGB", (24, 8), "red")
    image.paste("blue", (8, 0, 16, 8))
    assert (square(encode(image)) == (0, 0, 255)).all()


def test_small_pictures_are_enlarged() -> None:
    assert (square(encode(Image.new("RGB", (3, 2), "lime"))) == (0, 255, 0)).all()


def test_exif_orientation_is_applied() -> None:
    image = Image.new("RGB", (8, 8), "red")
    image.paste("blue", (0, 0, 8, 4))
    exif = Image.Exif()
    exif[0x0112] = 3  # rotated by 180 degrees
    assert (square(encode(image, exif=exif))[7] == (0, 0, 255)).all()


def test_transparent_pixels_show_the_background() -> None:
    assert (square(encode(Image.new("RGBA", (8, 8), (255, 0, 0, 0)))) == 255).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_all_modes_are_converted_to_rgb(mode: str) -> None:
    kind = "TIFF" if mode == "CMYK" else "PNG"
    grey = Image.new("L", (8, 8), 255).convert("RGB").convert(mode)
    assert (square(encode(grey, kind)) >= 254).all()


def test_16_bit_grey_is_scaled_not_clipped() -> None:
    grey = Image.fromarray(np.full((8, 8), 0x4000, dtype=np.uint16))
    assert (square(encode(grey)) == 0x40).all()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels(channels: int) -> None:
    pixels = square(encode(Image.new("RGB", (9, 9), "white")), channels=channels)
    assert pixels.shape == (8, 8, channels)
    assert (pixels == 255).all()


def test_four_channels_keep_alpha() -> None:
    half = square(encode(Image.new("RGBA", (8, 8), (255, 0, 0, 128))), channels=4)
    assert (half == (255, 0, 0, 128)).all()


@pytest.mark.parametrize("size", [8, 16])
def test_hidden_colors_are_the_background(size: int) -> None:
    clear = encode(Image.new("RGBA", (size, size), (255, 0, 0, 0)))
    assert (square(clear, channels=4, background=(1, 2, 3)) == (1, 2, 3, 0)).all()


def odd_sources() -> dict[str, Image.Image]:
    """Half grey 64, half transparent, as the modes that hold it."""
    image = Image.new("LA", (8, 8), (64, 255))
    image.paste((0, 0), (0, 0, 8, 4))
    colors = image.convert("RGBA")
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([9, 9, 9, 64, 64, 64])
    palette.paste(0, (0, 0, 8, 4))
    palette.info["transparency"] = 0
    return {"LA": image, "RGBA": colors, "P": palette}


@pytest.mark.parametrize("mode", odd_sources())
def test_alpha_and_palettes_become_grey_or_rgba(mode: str) -> None:
    data = encode(odd_sources()[mode])
    grey, rgba = square(data, channels=1), square(data, channels=4)
    assert (grey[:4] == 255).all() and (grey[4:] == 64).all()
    assert (rgba[:4] == (255, 255, 255, 0)).all() and (rgba[4:] == (64, 64, 64, 255)).all()


def test_background_option() -> None:
    clear = encode(Image.new("RGBA", (8, 8), (255, 0, 0, 0)))
    assert (square(clear, background=(1, 2, 3)) == (1, 2, 3)).all()


def three_colors(size: tuple[int, int]) -> bytes:
    """Red, green, blue; from left to right or from top to bottom."""
    image = Image.new("RGB", size, "lime")
    width, height = size
    end = (width - height, 0) if width > height else (0, height - width)
    image.paste("red", (0, 0, width - end[0], height - end[1]))
    image.paste("blue", (*end, width, height))
    return encode(image)


RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.mark.parametrize(
    ("crop", "size", "color"),
    [("center", (24, 8), (0, 255, 0)), ("top", (8, 24), RED), ("top", (24, 8), (0, 255, 0))],
)
def test_crops(crop: str, size: tuple[int, int], color: tuple[int, int, int]) -> None:
    assert (square(three_colors(size), crop=crop) == color).all()


@pytest.mark.parametrize("size", [(24, 8), (8, 24)])
def test_random_crop_depends_on_its_key(size: tuple[int, int]) -> None:
    def crop(key: int) -> bytes:
        options = Options(crop="random")
        return square_picture(three_colors(size), 8, options, 3, key).pixels.tobytes()

    assert crop(1) == crop(1)
    assert len({crop(key) for key in range(40)}) > 8


@pytest.mark.parametrize("size", [(16, 8), (8, 16)])
def test_padding_keeps_the_whole_picture(size: tuple[int, int]) -> None:
    padded = square(encode(Image.new("RGB", size, "red")), crop="pad", background=BLUE)
    upright = padded if size[0] > size[1] else padded.transpose(1, 0, 2)
    assert (upright[2:6] == RED).all()
    assert (upright[[0, 1, 6, 7]] == BLUE).all()


def test_padding_is_transparent_with_four_channels() -> None:
    padded = square(encode(Image.new("RGB", (16, 8), "red")), channels=4, crop="pad")
    assert (padded[:, 0, 3] == [0, 0, 255, 255, 255, 255, 0, 0]).all()


def test_crop_none_rejects_pictures_that_are_not_square() -> None:
    assert square(encode(Image.new("RGB", (9, 9))), crop="none").shape == (8, 8, 3)
    with pytest.raises(UnusablePicture, match="16 x 8 is not square"):
        square(encode(Image.new("RGB", (16, 8))), crop="none")


@pytest.mark.parametrize("small", ["skip", "error"])
def test_small_picture_raises_too_small(small: str) -> None:
    square(encode(Image.new("RGB", (8, 8))), small=small)
    with pytest.raises(TooSmall, match="8 x 7 is smaller than 8 x 8"):
        square(encode(Image.new("RGB", (8, 7))), small=small)


def test_enlarged_pictures_are_marked() -> None:
    for side, enlarged in [(7, True), (8, False)]:
        made = square_picture(encode(Image.new("RGB", (side, 9))), 8, Options())
        assert made.enlarged == enlarged


def swapped_profile() -> bytes:
    """A profile with red and green swapped: its pure red is pure green in sRGB."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {bytes(profile[at : at + 4]): at for at in range(132, 132 + 12 * profile[131], 12)}
    red, green = (next(at for tag, at in tags.items() if tag == t) for t in (b"rXYZ", b"gXYZ"))
    swap = profile[red + 4 : red + 12], profile[green + 4 : green + 12]
    profile[green + 4 : green + 12], profile[red + 4 : red + 12] = swap
    return bytes(profile.replace(b"s\0R\0G\0B", b"x\0R\0G\0B").replace(b"sRGB", b"xRGB"))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_icc_profile_is_applied(mode: str) -> None:
    picture = Image.new(mode, (8, 8), "red")
    assert (square(encode(picture)) == RED).all()
    converted = square(encode(picture, icc_profile=swapped_profile()))
    assert np.abs(converted.astype(int) - (0, 255, 0)).max() < 8


@pytest.mark.parametrize(
    "profile",
    [b"no profile", swapped_profile()[:200]],
    ids=["no profile", "cut"],  # has the time
)
def test_damaged_icc_profile_is_ignored(profile: bytes) -> None:
    assert (square(encode(Image.new("RGB", (8, 8), "red"), icc_profile=profile)) == RED).all()


def test_draft_decoding_of_large_jpeg_is_close_to_full_decoding() -> None:
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
def test_files_that_are_not_pictures_raise_unusable_picture(data: bytes) -> None:
    with pytest.raises(UnusablePicture):
        square(data)


def test_too_many_pixels_raise_unusable_picture() -> None:
    with pytest.raises(UnusablePicture, match="too many"):
        square(encode(Image.new("1", (9000, 9000))))
