"""TIFFs of grey and a second channel that Pillow does not open: of 16 bits, with white as zero,
or, before Pillow 13, premultiplied.

Pillow decodes them after a change of a few tags, as 8-bit channels of which two hold each sample of
16 bits; what the samples mean is applied here.
"""

import struct
from contextlib import suppress
from io import BytesIO

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin

_BITS, _COMPRESSION, _PHOTOMETRIC, _FILL, _CHANNELS = 258, 259, 262, 266, 277
_PLANES, _PREDICTOR, _EXTRA, _FORMAT = 284, 317, 338, 339
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_UNUSED, _PREMULTIPLIED, _STRAIGHT = 0, 1, 2
_SHORT = 3
# None, LZW, Deflate (two numbers) and PackBits: of bytes, whatever the samples are.
_COMPRESSIONS = (1, 5, 8, 32946, 32773)
_PLAIN = {_PLANES: 1, _FILL: 1, _FORMAT: 1}


def open_grey_alpha(data: bytes, most_pixels: int) -> Image.Image | None:
    """The picture as L or LA of 8 bits, upright; None if it is of another kind or too large."""
    with suppress(Exception):  # damaged files raise many types
        tags = _tags(data)
        bits = int(tags[_BITS][0])
        if _is_grey_alpha(tags) and _is_plain(tags) and tags[256] * tags[257] <= most_pixels:
            with Image.open(BytesIO(_retagged(data, bits)), formats=["TIFF"]) as image:
                profile = image.info.get("icc_profile")
                ImageOps.exif_transpose(image, in_place=True)
                samples = _samples(np.asarray(image), bits, data[:2])
            found = _interpreted(samples, int(tags[_PHOTOMETRIC]), tags[_EXTRA][0])
            if profile:
                found.info["icc_profile"] = profile
            return found
    return None


def _tags(data: bytes) -> TiffImagePlugin.ImageFileDirectory_v2:
    file = BytesIO(data)
    tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
    file.seek(tags.next)
    tags.load(file)
    return tags


def _is_grey_alpha(tags: TiffImagePlugin.ImageFileDirectory_v2) -> bool:
    """Whether there are two channels of 8 or 16 bits, the first of them grey."""
    grey = tags[_PHOTOMETRIC] in (_WHITE_IS_ZERO, _BLACK_IS_ZERO) and tags[_CHANNELS] == 2
    return grey and set(tags[_BITS]) in ({8}, {16})


def _is_plain(tags: TiffImagePlugin.ImageFileDirectory_v2) -> bool:
    """Whether samples are unsigned, interleaved and compressed as bytes."""
    plain = all(np.all(np.equal(tags.get(tag, value), value)) for tag, value in _PLAIN.items())
    predicted = tags[_BITS][0] == 16 and tags.get(_PREDICTOR, 1) != 1
    return plain and not predicted and tags.get(_COMPRESSION, 1) in _COMPRESSIONS


def _retagged(data: bytes, bits: int) -> bytes:
    """The file as one of grey and straight alpha, or of RGBA, with 8 bits a channel."""
    order = "<" if data[:2] == b"II" else ">"
    file = bytearray(data)
    values = {_PHOTOMETRIC: _BLACK_IS_ZERO, _EXTRA: _STRAIGHT}
    if bits == 16:
        values = {_PHOTOMETRIC: _RGB, _EXTRA: _STRAIGHT, _CHANNELS: 4}
        file += bytes(len(file) % 2)
    begin: int = struct.unpack_from(f"{order}I", file, 4)[0]
    (count,) = struct.unpack_from(f"{order}H", file, begin)
    for at in range(begin + 2, begin + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from(f"{order}H", file, at)
        if tag in values:
            struct.pack_into(f"{order}HHIHH", file, at, tag, _SHORT, 1, values[tag], 0)
        elif tag == _BITS and bits == 16:
            struct.pack_into(f"{order}HHII", file, at, tag, _SHORT, 4, len(file))
        elif tag == _FORMAT and bits == 16:
            struct.pack_into(f"{order}HHIHH", file, at, tag, _SHORT, 1, 1, 0)
    return bytes(file) + (struct.pack(f"{order}4H", 8, 8, 8, 8) if bits == 16 else b"")


def _samples(
    channels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], bits: int, order: bytes
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """(H, W, 2 or 4) bytes -> (H, W, 2) from 0 to 1"""
    if bits == 8:
        return channels / 255
    first, second = channels[..., ::2] / 65535, channels[..., 1::2] / 65535
    return first + 256 * second if order == b"II" else 256 * first + second


def _interpreted(
    samples: np.ndarray[tuple[int, ...], np.dtype[np.float64]], photometric: int, extra: int
) -> Image.Image:
    """(H, W, 2) from 0 to 1 -> L, or LA with straight alpha. Alpha has multiplied the stored
    sample, whether that counts from black or from white."""
    grey, alpha = samples[..., 0], samples[..., 1]
    if extra == _PREMULTIPLIED:
        grey = np.divide(grey, alpha, out=np.zeros_like(grey), where=alpha > 0).clip(0, 1)
    if photometric == _WHITE_IS_ZERO:
        grey = 1 - grey
    levels = [Image.fromarray(np.rint(255 * band).astype(np.uint8)) for band in (grey, alpha)]
    return levels[0] if extra == _UNUSED else Image.merge("LA", levels)
