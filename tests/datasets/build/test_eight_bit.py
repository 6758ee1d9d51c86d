"""Samples of every depth become 8 bits: compared with TIFFs and PNGs assembled by hand."""

import struct
import zlib
from typing import Any

import numpy as np
import pytest

from progan.datasets.build.picture import square_picture
from progan.datasets.errors import UnusablePicture
from progan.datasets.format.options import Options

SIDE = 16
RAMP = np.arange(SIDE**2).reshape(SIDE, SIDE) / (SIDE**2 - 1)
ALPHA = np.random.default_rng(0).permutation(RAMP.ravel()).reshape(SIDE, SIDE)


def levels(values: np.ndarray, bits: int) -> np.ndarray:
    """From 0 to 1 -> integers of that many bits."""
    rounded: np.ndarray = np.round(values * (2**bits - 1)).astype(int)
    return rounded


def packed(samples: np.ndarray, bits: int, order: str) -> bytes:
    """Rows of samples, each row padded to whole bytes."""
    if bits % 8 == 0:
        return samples.astype(f"{order}u{bits // 8}").tobytes()
    rows = ("".join(f"{value:0{bits}b}" for value in row) for row in samples.reshape(SIDE, -1))
    return b"".join(int(r + "0" * (-len(r) % 8), 2).to_bytes(-(-len(r) // 8)) for r in rows)


TAGS = {"compression": 259, "orientation": 274, "predictor": 317, "extra": 338, "kind": 339}


def tiff(
    samples: np.ndarray, bits: int, photometric: int, order: str = "<", body: bytes = b"",
    **tags: int,
) -> bytes:  # fmt: skip
    count = samples.size // SIDE**2
    body = body or packed(samples, bits, order)
    values = {256: SIDE, 257: SIDE, 258: bits, 259: 1, 262: photometric, 273: 8, 277: count,
              278: SIDE, 279: len(body)}  # fmt: skip
    values = dict(sorted((values | {TAGS[name]: value for name, value in tags.items()}).items()))
    entries = [struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in values.items()]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(body))
    return head + body + struct.pack(f"{order}H", len(entries)) + b"".join(entries) + bytes(4)


def png(samples: np.ndarray, bits: int, color: int, key: bytes | None = None) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        content = name + data
        return struct.pack(">I", len(data)) + content + struct.pack(">I", zlib.crc32(content))

    row = len(packed(samples, bits, ">")) // SIDE
    body = packed(samples, bits, ">")
    rows = b"".join(b"\0" + body[at : at + row] for at in range(0, len(body), row))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, bits, color, 0, 0, 0))
    transparent = b"" if key is None else chunk(b"tRNS", key)
    data = head + transparent + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def decoded(data: bytes) -> np.ndarray:
    """(SIDE, SIDE, 3)"""
    return square_picture(data, SIDE, Options()).pixels.astype(int)


def over_white(grey: Any, alpha: Any) -> np.ndarray:
    """What a picture of levels from 0 to 1 shows: (SIDE, SIDE, 1), 0 to 255."""
    shown: np.ndarray = 255 * (grey * alpha + 1 - alpha)
    return shown[..., None]


DEPTHS = [(1, "<"), (2, "<"), (4, ">"), (8, "<"), (8, ">"), (12, "<"), (16, "<"), (16, ">")]
UNREAD = [(12, "<", 0), (16, ">", 0)]
"""Depth, byte order and photometric interpretation of TIFFs that Pillow does not read"""


@pytest.mark.parametrize(
    ("bits", "order", "photometric"),
    [(*depth, kind) for depth in DEPTHS for kind in (0, 1) if (*depth, kind) not in UNREAD],
)
def test_grey_tiff_is_scaled_by_its_depth(bits: int, order: str, photometric: int) -> None:
    samples = levels(RAMP, bits)
    stored = samples if photometric else 2**bits - 1 - samples  # 0: white is zero
    expected = over_white(samples / (2**bits - 1), 1)
    assert np.abs(decoded(tiff(stored, bits, photometric, order)) - expected).max() <= 1


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize(("extra", "name"), [(0, "unused"), (1, "premultiplied"), (2, "alpha")])
def test_grey_tiff_with_a_second_channel(
    extra: int, name: str, photometric: int, bits: int, order: str
) -> None:
    grey = RAMP if photometric else 1 - RAMP  # 0: white is zero
    grey = grey * ALPHA if name == "premultiplied" else grey
    samples = np.stack([levels(grey, bits), levels(ALPHA, bits)], axis=-1)
    expected = over_white(RAMP, 1 if name == "unused" else ALPHA)
    file = tiff(samples, bits, photometric, order, extra=extra)
    assert np.abs(decoded(file) - expected).max() <= 2


def test_premultiplied_grey_keeps_its_alpha_orientation_and_compression() -> None:
    samples = np.stack([levels(RAMP * ALPHA, 16), levels(ALPHA, 16)], axis=-1)
    plain = tiff(samples, 16, 1, extra=1)
    packed_body = zlib.compress(plain[8 : 8 + samples.size * 2])
    turned = tiff(samples, 16, 1, extra=1, body=packed_body, compression=8, orientation=3)
    pixels = square_picture(turned, SIDE, Options(), channels=4).pixels.astype(int)
    assert np.abs(pixels[::-1, ::-1, 3] - 255 * ALPHA).max() <= 1
    clear = pixels[::-1, ::-1, 0] - 255 * RAMP
    assert np.abs(clear[ALPHA > 0.1]).max() <= 1


def test_grey_tiff_of_a_kind_that_is_not_rearranged_is_refused() -> None:
    samples = np.stack([levels(RAMP, 16), levels(ALPHA, 16)], axis=-1)
    with pytest.raises(UnusablePicture, match="Pillow reads no such TIFF"):
        decoded(tiff(samples, 16, 1, extra=1, predictor=2))


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_transparent_grey_of_a_png_shows_the_background(bits: int) -> None:
    samples = levels(RAMP, bits)
    key = int(samples[5, 7])
    if bits == 16:
        samples[5, 8] = key + 1  # the same 8 bits, but not transparent
    pixels = decoded(png(samples, bits, 0, struct.pack(">H", key)))
    expected = over_white(samples / (2**bits - 1), samples != key)
    assert np.abs(pixels - expected).max() <= 1


@pytest.mark.parametrize("bits", [8, 16])
def test_transparent_color_of_a_png_shows_the_background(bits: int) -> None:
    samples = np.stack([levels(RAMP, bits), levels(ALPHA, bits), levels(ALPHA.T, bits)], axis=-1)
    samples[..., 1] ^= 1  # so that high and low bytes differ
    key = samples[5, 7]
    pixels = decoded(png(samples, bits, 2, struct.pack(">3H", *key.tolist())))
    expected = np.where((samples == key).all(axis=-1, keepdims=True), 255, samples >> bits - 8)
    assert np.abs(pixels - expected).max() <= 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (tiff(levels(RAMP, 8), 8, 1, kind=2), "signed grey levels of unknown range"),
        (tiff(levels(RAMP, 16), 16, 1, kind=2), "integer grey levels of unknown range"),
        (tiff(levels(RAMP, 32), 32, 1), "integer grey levels of unknown range"),
        (tiff(levels(RAMP, 32), 32, 1, kind=3), "floating-point grey levels of unknown range"),
        (b"Pf 16 16 -1.0\n" + RAMP.astype("<f4").tobytes(), "floating-point grey levels"),
        *[(tiff(levels(RAMP, b), b, p, o), f"{b}-bit samples, .* {p},") for b, o, p in UNREAD],
        (tiff(levels(RAMP, 10), 10, 1), "a TIFF of 1 x 10-bit samples, .* 1, byte order II"),
        (tiff(levels(RAMP, 14), 14, 0, ">"), "a TIFF of 1 x 14-bit samples, .* 0, byte order MM"),
        (tiff(levels(RAMP, 8), 64, 1, kind=3), "a TIFF of 1 x 64-bit floating-point samples"),
    ],
)
def test_samples_of_unknown_range_are_refused_by_name(data: bytes, reason: str) -> None:
    with pytest.raises(UnusablePicture, match=reason):
        decoded(data)
