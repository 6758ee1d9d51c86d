"""Samples of any depth and kind -> 8 bits a channel, with transparency as an alpha channel."""

from contextlib import suppress
from io import BytesIO

import numpy as np
from PIL import Image, TiffImagePlugin

from progan.datasets.errors import UnusablePicture

_BITS, _PHOTOMETRIC, _FORMAT = 258, 262, 339  # tags of a TIFF
_WHITE_IS_ZERO, _SIGNED = 0, 2
_COLORS = ("L", "LA", "RGB", "RGBA", "CMYK", "LAB")


def scale_key(image: Image.Image) -> None:
    """Before a PNG is decoded: scale its transparent color as Pillow will scale its samples.

    Of 16-bit colors Pillow keeps the high bytes only.
    """
    key, tiles = image.info.get("transparency"), getattr(image, "tile", ())
    if image.format != "PNG" or key is None or not tiles:
        return
    match tiles[0].args:
        case "L;2" | "L;4" as samples:
            image.info["transparency"] = key * 255 // (2 ** int(samples[-1]) - 1)
        case "RGB;16B":
            image.info["transparency"] = tuple(value >> 8 for value in key)


def eight_bit(image: Image.Image) -> Image.Image:
    """To L, LA, RGB, RGBA, CMYK or LAB. Pillow's `convert` would clip 16 bits.

    A transparent color becomes alpha. Raises UnusablePicture if it is not known which levels are
    black and white.
    """
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        return _from_16_bits(image)
    if image.mode in ("I", "F") or _tag(image, _FORMAT, 1) == _SIGNED:
        kind = {"I": "integer", "F": "floating-point"}.get(image.mode, "signed")
        raise UnusablePicture(f"{kind} grey levels of unknown range: save it with 8 or 16 bits")
    if image.mode == "La":
        return image.convert("LA")
    if image.has_transparency_data:
        return image.convert("LA" if image.mode in ("1", "L", "LA") else "RGBA")
    if image.mode in _COLORS:
        image.load()
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def unsupported_tiff(data: bytes) -> str | None:
    """What a TIFF that Pillow cannot read consists of; None if it is no TIFF."""
    with suppress(Exception):  # damaged files raise many types
        file = BytesIO(data)
        tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
        file.seek(tags.next)
        tags.load(file)
        bits, photometric = tags.get(_BITS, (1,)), int(tags.get(_PHOTOMETRIC, 0))
        kind = {1: "", _SIGNED: "signed ", 3: "floating-point "}[tags.get(_FORMAT, (1,))[0]]
        return (
            f"a TIFF of {len(bits)} x {int(bits[0])}-bit {kind}samples, photometric interpretation "
            f"{photometric}, byte order {data[:2].decode()}: Pillow reads no such TIFF"
        )
    return None


def _from_16_bits(image: Image.Image) -> Image.Image:
    """To L, or LA if one level is transparent."""
    bits = _tag(image, _BITS, 16)
    levels = np.asarray(image)
    grey = (levels >> (bits - 8)).astype(np.uint8)
    if _tag(image, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO:  # Pillow inverts 8 bits only
        grey = 255 - grey
    key = image.info.get("transparency")
    if key is None:
        return Image.fromarray(grey)
    alpha = np.where(levels == key, 0, 255).astype(np.uint8)
    return Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)])


def _tag(image: Image.Image, tag: int, default: int) -> int:
    """A TIFF's tag, of the first channel; the default for other formats."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return default
    value = image.tag_v2.get(tag, default)
    return int(value[0] if isinstance(value, tuple) else value)
