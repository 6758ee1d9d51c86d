"""How one picture is stored inside a shard: lossless WebP.

Measured against PNG at 256 to 1024 pixels, `method=0, quality=0` is 11 to 25 % smaller, encodes
5 to 9 times faster and decodes a third faster. Below 32 pixels every codec costs the same.
"""

import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]


class Codec(NamedTuple):
    """One way to store a picture. `decode` takes the bytes and the number of channels."""

    extension: str
    encode: Callable[[Pixels], bytes]
    decode: Callable[[bytes, int], Pixels]


def _encode_webp(pixels: Pixels) -> bytes:
    """uint8 [H, W, 1 or 3] -> bytes."""
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)  # WebP knows no grey; equal channels cost nothing
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, method=0, quality=0)
    return buffer.getvalue()


def _decode_webp(data: bytes, channels: int) -> Pixels:
    """Bytes -> uint8 [H, W, channels], possibly read-only."""
    with Image.open(io.BytesIO(data), formats=("WEBP",)) as image:
        return np.asarray(image)[:, :, :channels]


CODECS: dict[str, Codec] = {"webp": Codec("webp", _encode_webp, _decode_webp)}
