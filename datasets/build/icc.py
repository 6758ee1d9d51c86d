"""Color management: from embedded ICC profiles to sRGB."""

import io
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from progan.datasets.format.codec import Pixels

# Color space of a profile -> mode of the pictures that it fits.
_MODES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}
# The same sRGB, in profiles of several programs, differs by a rounding.
_TOLERANCE = 1
# Levels of grey, and colors at steps of 17.
_GREYS = np.arange(256, dtype=np.uint8).reshape(16, 16)
_COLORS = np.mgrid[0:256:17, 0:256:17, 0:256:17].reshape(3, -1, 16).transpose(1, 2, 0).astype("u1")

Conversion = Callable[[Image.Image], Image.Image]


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """L, LA, RGB, RGBA, CMYK or LAB -> L, LA, RGB or RGBA in sRGB.

    Ignores a profile that is damaged or for another color space than the picture's.
    """
    if image.mode == "LAB":
        return _applied(_transform(_builtin("LAB"), "LAB"))(image)
    if profile:
        image = _converted(image, profile)
    return image.convert("RGB") if image.mode == "CMYK" else image


def _converted(image: Image.Image, profile: bytes) -> Image.Image:
    """The picture in sRGB, its alpha unchanged."""
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    colors = image if alpha is None else image.convert(image.mode[:-1])
    mode, conversion = _conversion(profile)
    if mode == "L" and colors.mode == "RGB" and _is_grey(colors):
        colors = colors.getchannel("R")  # a grey file that Pillow opens as RGB
    if conversion is None or mode != colors.mode:
        return image
    converted = conversion(colors)
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def _is_grey(image: Image.Image) -> bool:
    red, green, blue = (band.tobytes() for band in image.split())
    return red == green == blue


@lru_cache(maxsize=8)  # pictures of one camera share a profile
def _conversion(profile: bytes) -> tuple[str | None, Conversion | None]:
    """The mode of the pictures that `profile` fits, and their conversion to sRGB.

    None if the profile is damaged, or if it is sRGB. That is found by converting colors: names of
    profiles are often wrong.
    """
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODES.get(opened.profile.xcolor_space.strip())
        if mode is None:
            return None, None
        conversion = _applied(_transform(opened, mode))
        if mode == "CMYK":
            return mode, conversion
        greys = np.asarray(conversion(Image.fromarray(_GREYS).convert(mode)))[..., 1]
        colors = _COLORS if mode == "L" else np.asarray(conversion(Image.fromarray(_COLORS)))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None, None
    if _is_equal(greys, _GREYS) and _is_equal(colors, _COLORS):
        return mode, None
    return mode, _by_table(greys.ravel().tolist()) if mode == "L" else conversion


def _is_equal(pixels: Pixels, expected: Pixels) -> bool:
    return int(np.abs(pixels.astype(int) - expected).max()) <= _TOLERANCE


def _transform(profile: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    """From `profile` to sRGB."""
    # Interpolation is 20 times faster, but wrong by up to 10 of 255 for dark grey levels.
    flags = ImageCms.Flags.NOOPTIMIZE if mode == "L" else ImageCms.Flags.NONE
    return ImageCms.buildTransform(profile, _builtin("sRGB"), mode, "RGB", flags=flags)


@lru_cache
def _builtin(name: str) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name))  # type: ignore[arg-type]


def _applied(transform: ImageCms.ImageCmsTransform) -> Conversion:
    def apply(image: Image.Image) -> Image.Image:
        result = ImageCms.applyTransform(image, transform)
        assert result is not None  # None only for in-place transforms
        return result

    return apply


def _by_table(levels: list[int]) -> Conversion:
    return lambda image: image.point(levels)
