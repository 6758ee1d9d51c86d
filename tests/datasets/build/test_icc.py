"""Profiles are applied by what they hold, compared with the formulas of ICC.1 and IEC 61966-2-1."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from progan.datasets.build.picture import square_picture
from progan.datasets.format.options import Options

SIDE = 16
RAMP = np.arange(SIDE**2).reshape(SIDE, SIDE) / (SIDE**2 - 1)
RNG = np.random.default_rng(0)
COLORS = np.stack([RAMP, *(RNG.permutation(RAMP.ravel()).reshape(SIDE, SIDE) for _ in "GB")], -1)
ALPHA = RNG.permutation(RAMP.ravel()).reshape(SIDE, SIDE, 1)
# Linear RGB -> XYZ under D50; columns are the colorants (Lindbloom).
SRGB = np.array([[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169],
                 [0.0139322, 0.0971045, 0.7141733]])  # fmt: skip
ADOBE = np.array([[0.6097559, 0.2052401, 0.1492240], [0.3111242, 0.6256560, 0.0632197],
                  [0.0194811, 0.0608902, 0.7448387]])  # fmt: skip


def fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def gamma_curve(gamma: float) -> bytes:
    return b"curv" + struct.pack(">IIHH", 0, 1, round(gamma * 256), 0)


def profile(space: bytes, tags: dict[bytes, bytes], connection: bytes = b"XYZ ") -> bytes:
    """An ICC profile of version 2, which calls itself sRGB."""
    name = b"sRGB IEC61966-2.1\0"
    described = b"desc" + struct.pack(">II", 0, len(name)) + name + bytes(78)
    white = b"XYZ " + bytes(4) + fixed(0.9642, 1, 0.8249)
    tags = {b"desc": described, b"wtpt": white} | tags
    at, table, body = 132 + 12 * len(tags), b"", b""
    for key, value in tags.items():
        table += key + struct.pack(">II", at + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    head = struct.pack(">I4xI4s4s4s12x4s", at + len(body), 0x02400000, kind, space, connection,
                       b"acsp")  # fmt: skip
    return (head.ljust(68, b"\0") + fixed(0.9642, 1, 0.8249)).ljust(128, b"\0") + struct.pack(
        ">I", len(tags)
    ) + table + body  # fmt: skip


def grey_profile(gamma: float) -> bytes:
    return profile(b"GRAY", {b"kTRC": gamma_curve(gamma)})


def rgb_profile(matrix: np.ndarray, gamma: float) -> bytes:
    columns = {b"rXYZ": 0, b"gXYZ": 1, b"bXYZ": 2}
    colorants = {key: b"XYZ " + bytes(4) + fixed(*matrix[:, at]) for key, at in columns.items()}
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma_curve(gamma))
    return profile(b"RGB ", colorants | curves)


def lab(color: np.ndarray) -> np.ndarray:
    """sRGB from 0 to 1 -> CIELAB under D50."""
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    t = linear @ SRGB.T / (0.9642, 1, 0.8249)
    x, y, z = np.moveaxis(np.where(t > 216 / 24389, np.cbrt(t), t * 841 / 108 + 4 / 29), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def printed(inks: Any) -> Any:
    """CMYK from 0 to 1 -> sRGB of a made-up printer."""
    return (1 - 0.8 * inks[..., :3]) * (1 - 0.9 * inks[..., 3:])


def cmyk_profile() -> bytes:
    """A table (lut8Type) of the printer's colors on a grid of 9 points."""
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, 9)] * 4, indexing="ij"), axis=-1)
    table = (lab(printed(grid)) * (2.55, 1, 1) + (0, 128, 128)).round().astype(np.uint8)
    identity = bytes(range(256))
    head = b"mft1" + struct.pack(">4x4B", 4, 3, 9, 0) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    lut = head + identity * 4 + table.tobytes() + identity * 3
    return profile(b"CMYK", {b"A2B0": lut}, b"Lab ")


def encoded(values: np.ndarray, kind: str, mode: str, icc: bytes) -> bytes:
    buffer = io.BytesIO()
    samples = np.round(values * 255).astype(np.uint8).squeeze()
    Image.frombytes(mode, (SIDE, SIDE), samples.tobytes()).save(buffer, kind, icc_profile=icc)
    return buffer.getvalue()


def srgb(linear: Any) -> Any:
    """Linear -> coded, 0 to 1."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def assert_shows(data: bytes, expected: Any, tolerance: float = 1.5) -> None:
    pixels = square_picture(data, SIDE, Options()).pixels
    assert np.abs(pixels - 255 * expected).max() <= tolerance


@pytest.mark.parametrize("gamma", [1, 1.8, 2.2])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_grey_profile_is_applied(mode: str, gamma: float) -> None:
    """Also to RGB with equal channels, as which Pillow opens some grey files."""
    grey = RAMP[..., None].repeat(3 if mode.startswith("RGB") else 1, axis=2)
    values, expected = grey, srgb(grey**gamma)
    if mode.endswith("A"):
        values = np.concatenate([values, ALPHA], axis=-1)
        expected = expected * ALPHA + 1 - ALPHA
    assert_shows(encoded(values, "PNG", mode, grey_profile(gamma)), expected)


@pytest.mark.parametrize(("matrix", "gamma"), [(SRGB, 1), (SRGB, 1.8), (ADOBE, 2.2)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_profile_that_is_only_named_srgb_is_applied(
    mode: str, matrix: np.ndarray, gamma: float
) -> None:
    values, expected = COLORS, srgb(COLORS**gamma @ matrix.T @ np.linalg.inv(SRGB).T)
    if mode == "RGBA":
        values = np.concatenate([values, ALPHA], axis=-1)
        expected = expected * ALPHA + 1 - ALPHA
    assert_shows(encoded(values, "PNG", mode, rgb_profile(matrix, gamma)), expected)


def test_table_of_a_cmyk_profile_is_applied() -> None:
    inks = 0.8 * np.concatenate([COLORS, ALPHA], axis=-1)
    data = encoded(inks, "TIFF", "CMYK", cmyk_profile())
    assert_shows(data, printed(inks), tolerance=6)


@pytest.mark.parametrize(
    ("mode", "values", "icc"),
    [("L", RAMP, rgb_profile(ADOBE, 1)), ("RGB", COLORS, grey_profile(1)),
     ("RGB", COLORS, cmyk_profile())],
)  # fmt: skip
def test_profile_of_another_color_space_is_ignored(
    mode: str, values: np.ndarray, icc: bytes
) -> None:
    expected = values if values.ndim == 3 else values[..., None]
    assert_shows(encoded(values, "PNG", mode, icc), expected)
