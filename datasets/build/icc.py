"""Color management: from embedded ICC profiles to sRGB."""

import io
from functools import lru_cache

from PIL import Image, ImageCms

# Mode of a picture -> color space of the profiles that fit it.
_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """L, RGB, CMYK, LAB or RGBA -> L, RGB or RGBA in sRGB.

    Ignores a profile that is damaged or for another color space than the picture's.
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
    assert result is not None  # None only for in-place transforms
    return result


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@lru_cache(maxsize=8)  # pictures of one camera share a profile
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From `profile` to sRGB; None if it is sRGB already, or does not fit."""
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if opened.profile.xcolor_space.strip() != _SPACES.get(mode):
            return None
        if "srgb" in ImageCms.getProfileDescription(opened).lower():
            return None
        return ImageCms.buildTransform(opened, _srgb(), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
