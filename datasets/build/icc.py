"""Colours as they were meant: embedded ICC profiles to sRGB."""

import io
from functools import lru_cache

from PIL import Image, ImageCms

# What a profile may say it describes, by the mode of the picture it is found in.
_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """L, RGB, CMYK, LAB or RGBA -> L, RGB or RGBA in sRGB.

    A profile that is damaged or of another kind than the picture is left aside.
    """
    if image.mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        return _applied(image, ImageCms.buildTransform(lab, _srgb(), "LAB", "RGB"))
    if image.mode == "RGBA":
        if profile and (transform := _transform(profile, "RGB")):
            alpha = image.getchannel("A")
            image = _applied(image.convert("RGB"), transform)
            image.putalpha(alpha)
        return image
    if profile and (transform := _transform(profile, image.mode)):
        return _applied(image, transform)
    return image.convert("RGB") if image.mode == "CMYK" else image


def _applied(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    result = ImageCms.applyTransform(image, transform)
    assert result is not None  # only where it is done in place
    return result


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@lru_cache(maxsize=8)  # a camera's pictures share one profile
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From `profile` to sRGB; None when it is sRGB already, or of no use."""
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if opened.profile.xcolor_space.strip() != _SPACES.get(mode):
            return None
        if "srgb" in ImageCms.getProfileDescription(opened).lower():
            return None
        return ImageCms.buildTransform(opened, _srgb(), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
