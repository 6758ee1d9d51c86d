"""Codecs decode what they encode."""

import numpy as np
import pytest

from progan.datasets.format import codec
from progan.datasets.format.codec import CODECS, codec_for


def noise(channels: int, side: int = 32) -> codec.Pixels:
    return np.random.default_rng(0).integers(0, 256, (side, side, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", ["webp", "png", "npy"])
def test_lossless_codecs_round_trip_exactly(name: str, channels: int) -> None:
    pixels = noise(channels)
    if channels == 4:
        pixels[:16, :, 3] = 0  # colors of transparent pixels must be kept
    chosen = CODECS[name]
    assert (chosen.decode(chosen.encode(pixels), channels) == pixels).all()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_both_webp_decoders_agree(channels: int) -> None:
    pixels = noise(channels)
    pixels[:, :, -1] = 255  # WebP omits the alpha of an opaque picture
    data = CODECS["webp"].encode(pixels)
    for decode in (codec._decode_webp_by_pillow, codec._decode_webp_directly):
        assert (decode(data, channels) == pixels).all()


def test_installed_pillow_supports_direct_decoding() -> None:
    assert CODECS["webp"].decode is codec._decode_webp_directly


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_error_is_small(channels: int) -> None:
    smooth = np.repeat(np.arange(128, dtype=np.uint8)[:, None], 128, axis=1)
    pixels = np.repeat(smooth[:, :, None], channels, axis=2)
    jpeg = codec_for("jpeg", 128)
    assert np.abs(jpeg.decode(jpeg.encode(pixels), channels).astype(int) - pixels).max() < 4


def test_levels_below_128_are_not_jpeg() -> None:
    assert codec_for("jpeg", 64).extension == "webp"
    assert codec_for("jpeg", 128).extension == "jpg"


def test_decoded_shape_is_that_of_the_picture() -> None:
    data = CODECS["webp"].encode(noise(3, side=16))
    assert CODECS["webp"].decode(data, 3).shape == (16, 16, 3)
