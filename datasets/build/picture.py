"""The bytes of a picture file -> a square of the top resolution."""

import io
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from random import Random
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from progan.datasets.build.eight_bit import eight_bit, scale_key, unsupported_tiff
from progan.datasets.build.grey_alpha_tiff import open_grey_alpha
from progan.datasets.build.icc import to_srgb
from progan.datasets.errors import TooSmall, UnusablePicture
from progan.datasets.format.codec import MODES, Pixels
from progan.datasets.format.options import Options
from progan.datasets.sources.content import describe

# Formats to open, by content. Others start programs (EPS) or are not pictures. MPO opens as JPEG.
_PLUGINS = {
    "JPEG": "Jpeg", "PNG": "Png", "WEBP": "WebP", "BMP": "Bmp", "TIFF": "Tiff", "GIF": "Gif",
    "PPM": "Ppm", "AVIF": "Avif", "JPEG2000": "Jpeg2K",
}  # fmt: skip
_FILTERS = {"lanczos": Image.Resampling.LANCZOS}
# Decoding as many takes 0.7 GB. Pillow itself refuses only twice its own limit.
MAX_PIXELS = 1 << 26

Box = tuple[int, int, int, int]


class Square(NamedTuple):
    """A picture cropped and resized."""

    pixels: Pixels
    """uint8 [resolution, resolution, C]"""
    enlarged: bool


def square_picture(
    data: bytes, resolution: int, options: Options, channels: int = 3, crop_key: int = 0
) -> Square:
    """Decode, apply the EXIF orientation, crop, resize, convert to 8-bit grey, sRGB or RGBA.

    `crop_key` seeds a random crop. Raises UnusablePicture if Pillow cannot decode the file, and
    TooSmall if the picture is too small and the options forbid enlarging it.
    """
    if not data:
        raise UnusablePicture("empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd metadata, which we do not use
            return _square(data, resolution, options, channels, crop_key)
    except UnusablePicture:
        raise
    except UnidentifiedImageError as error:
        kind = describe(data)
        reason = f"not a picture of a known format{f': {kind}' if kind else ''}"
        raise UnusablePicture(unsupported_tiff(data) or reason) from error
    except MemoryError as error:
        raise UnusablePicture("needs too much memory to decode") from error
    except Exception as error:  # damaged files raise many types, SyntaxError among them
        # A reason must not depend on the process, as addresses of objects do.
        text = re.sub(r" at 0x[0-9a-f]+", "", str(error))
        raise UnusablePicture(text or type(error).__name__) from error


@lru_cache(maxsize=1)
def known_formats() -> list[str]:
    """Those of our formats that this Pillow supports. Loads no others: that takes twice as long."""
    for plugin in _PLUGINS.values():
        with suppress(ImportError):
            import_module(f"PIL.{plugin}ImagePlugin")
    return [name for name in _PLUGINS if name in Image.OPEN]


def _square(data: bytes, resolution: int, options: Options, channels: int, crop_key: int) -> Square:
    with _opened(data) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise UnusablePicture(f"{width} x {height} pixels are too many")
        if options.crop == "none" and width != height:
            raise UnusablePicture(f"{width} x {height} is not square: choose to crop or to pad it")
        side = max(width, height) if options.crop == "pad" else min(width, height)
        if side < resolution and options.small != "upscale":
            raise TooSmall(f"{width} x {height} is smaller than {resolution} x {resolution}")
        # JPEG can decode at 1/2, 1/4 or 1/8 of its size: 2.5 times faster at 50 dB PSNR.
        image.draft(None, (options.draft * resolution, options.draft * resolution))
        profile = image.info.get("icc_profile")
        scale_key(image)
        ImageOps.exif_transpose(image, in_place=True)
        decoded = eight_bit(image)
    box = CROPS[options.crop](decoded.width, decoded.height, crop_key)
    scale = resolution / max(box[2] - box[0], box[3] - box[1])
    size = tuple(max(1, round(length * scale)) for length in (box[2] - box[0], box[3] - box[1]))
    resized = decoded.resize((size[0], size[1]), _FILTERS[options.filter], box)
    converted = _converted(to_srgb(resized, profile), options.background, MODES[channels])
    padded = np.asarray(_padded(converted, resolution, options.background))
    pixels = padded.reshape(resolution, resolution, channels)
    if channels == 4:
        pixels = _clear_hidden(pixels, options.background)
    return Square(pixels, enlarged=side < resolution)


def _opened(data: bytes) -> Image.Image:
    """The picture, perhaps not yet decoded. Raises UnidentifiedImageError."""
    try:
        return Image.open(io.BytesIO(data), formats=known_formats())
    except UnidentifiedImageError:
        if (image := open_grey_alpha(data, MAX_PIXELS)) is None:
            raise
        return image


def _converted(image: Image.Image, background: tuple[int, int, int], mode: str) -> Image.Image:
    """To `mode`; transparent pixels show the background unless `mode` has alpha."""
    if image.mode in ("LA", "RGBA") and mode != "RGBA":
        canvas = Image.new("RGBA", image.size, background)
        image = Image.alpha_composite(canvas, image.convert("RGBA"))
    return image if image.mode == mode else image.convert(mode)


def _clear_hidden(pixels: Pixels, background: tuple[int, int, int]) -> Pixels:
    """RGBA whose transparent pixels have the background's color.

    What a file holds there is arbitrary (black after a resize by Pillow), and networks would learn
    to draw it.
    """
    pixels = pixels.copy()
    pixels[pixels[:, :, 3] == 0, :3] = background
    return pixels


def _padded(image: Image.Image, resolution: int, background: tuple[int, int, int]) -> Image.Image:
    """Centered in a square of background, which is transparent if there is alpha."""
    if image.size == (resolution, resolution):
        return image
    canvas = Image.new("RGBA", (resolution, resolution), (*background, 0)).convert(image.mode)
    canvas.paste(image, ((resolution - image.width) // 2, (resolution - image.height) // 2))
    return canvas


def _center(width: int, height: int, key: int) -> Box:
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def _top(width: int, height: int, key: int) -> Box:
    left, _, right, _ = _center(width, height, key)
    return left, 0, right, right - left


def _anywhere(width: int, height: int, key: int) -> Box:
    side = min(width, height)
    offset = Random(key).randint(0, max(width, height) - side)
    left, top = (offset, 0) if width > height else (0, offset)
    return left, top, left + side, top + side


def _whole(width: int, height: int, key: int) -> Box:
    return 0, 0, width, height


CROPS: dict[str, Callable[[int, int, int], Box]] = {
    "center": _center,
    "random": _anywhere,
    "top": _top,
    "none": _whole,
    "pad": _whole,
}
"""Crop policy -> function of (width, height, key) that gives left, top, right, bottom."""
