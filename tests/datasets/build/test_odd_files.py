"""A folder of broken, hostile and odd files: a build uses the pictures and rejects the rest."""

import csv
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
from PIL import Image

from progan.datasets.build.prepare import prepare
from progan.datasets.errors import DataError
from progan.datasets.format.manifest import Manifest
from progan.datasets.format.reader import Level

READS_YCBCR_TIFF = int(PIL.__version__.partition(".")[0]) >= 13
"""Older versions of Pillow read YCbCr from JPEG files only"""
# Most pictures have this one grey level, so that the right pixels are known.
GREY = 191


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def plain(mode: str = "L", size: tuple[int, int] = (32, 32)) -> Image.Image:
    return Image.new("L", size, GREY).convert("RGB").convert(mode)


def photo(kind: str, **options: Any) -> bytes:
    return encode(Image.effect_noise((200, 200), 60).convert("RGB"), kind, **options)


def png(width: int, height: int, body: bytes, kind: bytes = b"IDAT", color: int = 2) -> bytes:
    """A PNG assembled by hand: no library would write these."""

    def chunk(name: bytes, data: bytes) -> bytes:
        content = name + data
        return struct.pack(">I", len(data)) + content + struct.pack(">I", zlib.crc32(content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(kind, body) + chunk(b"IEND", b"")


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def sixteen(dtype: str = "<u2") -> Image.Image:
    return Image.fromarray(np.full((32, 32), GREY << 8, dtype=dtype))


def animation(kind: str) -> bytes:
    frames = [plain("RGB"), Image.new("RGB", (32, 32)), Image.new("RGB", (32, 32), "red")]
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    return encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(plain("RGB", (48, 32)), "JPEG", exif=exif, quality=100)


def clear() -> Image.Image:
    image = plain("RGBA")
    image.putalpha(255)
    return image


# Name -> content of a usable picture, which decodes to GREY.
USABLE: dict[str, Callable[[], bytes]] = {
    "rgb.png": lambda: encode(plain("RGB")),
    "grey.png": lambda: encode(plain("L")),
    "grey with alpha.png": lambda: encode(plain("LA")),
    "palette.png": lambda: encode(plain("RGB").quantize(4)),
    "palette.gif": lambda: encode(plain("RGB").quantize(4), "GIF"),
    "palette with a transparent color.gif": lambda: encode(
        plain("RGB").quantize(4), "GIF", transparency=200
    ),
    "opaque.png": lambda: encode(clear()),
    "sixteen bits.png": lambda: encode(sixteen()),
    "sixteen bits.tif": lambda: encode(sixteen(), "TIFF"),
    "sixteen bits.pgm": lambda: b"P5 32 32 65535\n" + struct.pack(">H", GREY << 8) * 32 * 32,
    "plain.ppm": lambda: encode(plain("RGB"), "PPM"),
    "plain.bmp": lambda: encode(plain("RGB"), "BMP"),
    "plain.tiff": lambda: encode(plain("RGB"), "TIFF", compression="tiff_lzw"),
    "cmyk.tif": lambda: encode(plain("CMYK"), "TIFF"),
    **({"ycbcr.tif": lambda: encode(plain("YCbCr"), "TIFF")} if READS_YCBCR_TIFF else {}),
    "cmyk.jpg": lambda: encode(plain("CMYK"), "JPEG", quality=100),
    "progressive.jpg": lambda: encode(plain("RGB"), "JPEG", progressive=True, quality=100),
    "grey.jpg": lambda: encode(plain("L"), "JPEG", quality=100),
    "turned.jpg": turned,
    "lossless.webp": lambda: encode(plain("RGB"), "WEBP", lossless=True),
    "jpeg 2000.jp2": lambda: encode(plain("RGB"), "JPEG2000"),
    "a gif named.jpg": lambda: encode(plain("RGB").quantize(4), "GIF"),
    "a jpeg named.png": lambda: encode(plain("RGB"), "JPEG", quality=100),
    "CAPITALS.PNG": lambda: encode(plain("RGB")),
    "animated.gif": lambda: animation("GIF"),
    "animated.webp": lambda: animation("WEBP"),
    "animated.png": lambda: animation("PNG"),
    "several pages.tif": lambda: animation("TIFF"),
    "one pixel.png": lambda: encode(plain("RGB", (1, 1))),
    "one row.png": lambda: encode(plain("RGB", (300, 1))),
    "very wide.png": lambda: encode(plain("RGB", (4000, 20))),
    "no profile.png": lambda: encode(plain("RGB"), icc_profile=b"garbage"),
    "no exif.jpg": lambda: encode(plain("RGB"), "JPEG", exif=b"Exif\0\0garbage", quality=100),
    "text after it.png": lambda: encode(plain("RGB")) + b"<?php ?>",
    "größe 日本 🙂.png": lambda: encode(plain("RGB")),
    "new\nline.png": lambda: encode(plain("RGB")),
    'quote", comma.png': lambda: encode(plain("RGB")),
    "=formula.png": lambda: encode(plain("RGB")),
    "x" * 200 + ".png": lambda: encode(plain("RGB")),
}

# Name -> (content of an unusable file, part of the reason).
UNUSABLE: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.png": (lambda: b"", "empty file"),
    "text.jpg": (lambda: b"this is not a picture", "not a picture of a known format"),
    "html.png": (lambda: b"<!DOCTYPE html><title>404</title>", "not a picture"),
    "zeros.png": (lambda: bytes(5000), "not a picture"),
    "magic only.png": (lambda: b"\x89PNG\r\n\x1a\n", ""),
    "magic only.jpg": (lambda: b"\xff\xd8\xff\xe0", ""),
    "magic only.webp": (lambda: b"RIFF\x10\0\0\0WEBPVP8 ", ""),
    "magic only.gif": (lambda: b"GIF89a", ""),
    "cut.jpg": (lambda: photo("JPEG")[:3000], "truncated"),
    "cut.png": (lambda: photo("PNG")[:3000], "truncated"),
    "cut.webp": (lambda: photo("WEBP")[:3000], ""),
    "cut.gif": (lambda: photo("GIF")[:1200], "truncated"),
    "cut.tif": (lambda: photo("TIFF")[:1000], ""),
    "cut.bmp": (lambda: photo("BMP")[:1000], "truncated"),
    "cut.jp2": (lambda: photo("JPEG2000")[:200], ""),
    "flipped.png": (lambda: flipped(photo("PNG"), 500), ""),
    "flipped header.png": (lambda: flipped(photo("PNG"), 18), ""),
    "no data.png": (lambda: png(32, 32, b""), ""),
    "data that are too short.png": (lambda: png(32, 32, zlib.compress(b"abc")), ""),
    "no palette.png": (lambda: png(32, 32, zlib.compress(bytes(33 * 32)), color=3)[:50], ""),
    "no width.png": (lambda: png(0, 32, zlib.compress(b"")), ""),
    "bomb.png": (lambda: png(60_000, 60_000, zlib.compress(b"0")), "decompression bomb"),
    "half a bomb.png": (lambda: encode(Image.new("1", (9000, 9000))), "pixels are too many"),
    "bomb in a text chunk.png": (
        lambda: png(8, 8, b"k\0\0" + zlib.compress(bytes(200 << 20)), kind=b"zTXt"),
        "",
    ),
    "unknown range.tif": (lambda: encode(Image.new("F", (32, 32)), "TIFF"), "unknown range"),
    "postscript.jpg": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a"),
    "svg.png": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
    "pdf.png": (lambda: b"%PDF-1.4 ", "not a picture"),
    "zip.png": (lambda: b"PK\3\4" + bytes(100), "not a picture"),
    "pickle.png": (lambda: b"\x80\x04\x95cos\nsystem\n(S'true'\ntR.", "not a picture"),
}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all of them, and with links, pipes and folders that are named like pictures."""
    folder = tmp_path_factory.mktemp("odd")
    for name, make in USABLE.items():
        (folder / name).write_bytes(make())
    for name, (make, _) in UNUSABLE.items():
        (folder / name).write_bytes(make())
    with open(os.fsencode(folder) + b"/not utf-8 \xff.png", "wb") as file:
        file.write(encode(plain("RGB")))
    (folder / "a folder.png").mkdir()
    (folder / "a folder.png" / "inside.png").write_bytes(encode(plain("RGB")))
    (folder / "link.png").symlink_to("rgb.png")
    (folder / "dangling.png").symlink_to("nowhere.png")
    (folder / "loop").symlink_to(".")
    (folder / "itself.png").symlink_to("itself.png")
    os.mkfifo(folder / "pipe.png")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "notes.txt").write_text("no picture's name")
    with (folder / "huge and empty.png").open("wb") as file:
        file.truncate(1 << 40)
    return folder


EXTRA_USABLE = {"not utf-8 \\xff.png", "a folder.png/inside.png", "link.png"}
EXTRA_UNUSABLE = {
    "dangling.png": "cannot be opened",
    "loop": "a link to a folder",
    "itself.png": "cannot be opened",
    "pipe.png": "not a regular file",
    "huge and empty.png": "too large",
}


@pytest.fixture(scope="module")
def built(odd: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    path = tmp_path_factory.mktemp("built") / "data"
    return path, prepare(odd, path, 16, workers=2, max_rejected=1.0)


def rejected(dataset: Path) -> dict[str, str]:
    with (dataset / "rejected.csv").open(newline="", encoding="utf-8") as file:
        return {row["picture"]: row["reason"] for row in csv.DictReader(file)}


def test_number_of_odd_files() -> None:
    assert len(UNUSABLE) + len(EXTRA_UNUSABLE) > 30
    assert len(USABLE) + len(EXTRA_USABLE) > 40


def test_unusable_files_are_listed_with_the_reason(built: tuple[Path, Manifest]) -> None:
    found = rejected(built[0])
    assert set(found) == set(UNUSABLE) | set(EXTRA_UNUSABLE)
    reasons = {name: reason for name, (_, reason) in UNUSABLE.items()} | EXTRA_UNUSABLE
    for name, reason in reasons.items():
        assert reason in found[name], (name, found[name])
    assert not any("0x" in reason or not reason for reason in found.values())


def test_usable_files_have_the_right_pixels(built: tuple[Path, Manifest]) -> None:
    path, manifest = built
    assert manifest.num_samples == len(USABLE) + len(EXTRA_USABLE)
    assert manifest.rejected == len(UNUSABLE) + len(EXTRA_UNUSABLE)
    level = Level(path, manifest, 16)
    pictures = level.pictures(np.arange(len(level)))
    level.close()
    assert np.abs(pictures.astype(int) - GREY).max() <= 4


def test_rejects_are_deterministic(built: tuple[Path, Manifest], odd: Path) -> None:
    again = built[0].with_name("again")
    prepare(odd, again, 16, workers=1, max_rejected=1.0)
    for name in ("rejected.csv", "manifest.json"):
        assert (again / name).read_bytes() == (built[0] / name).read_bytes()


def test_too_many_rejects_raise_data_error_with_the_commonest_reason(
    odd: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="not a picture of a known format") as caught:
        prepare(odd, tmp_path / "d", 16, workers=1, max_rejected=0.3)
    assert "more than 30 %" in str(caught.value)
    assert rejected(tmp_path / "d")
    prepare(
        odd, tmp_path / "d", 16, workers=1, max_rejected=0.5
    )  # resumes with the finished shards
