"""The bytes of any picture file -> a square of the top resolution."""

import io
import warnings

import numpy as np
from PIL import Image, ImageOps

from progan.datasets.codec import Pixels
from progan.datasets.manifest import Options

# By content, not by name. What is left out either starts other programs (EPS) or is not a picture.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "AVIF", "JPEG2000", "MPO")
MODES = {1: "L", 3: "RGB"}
_FILTERS = {"lanczos": Image.Resampling.LANCZOS}
# Needs 0.7 GB to decode; Pillow itself only refuses at twice its own limit.
MAX_PIXELS = 1 << 26


class UnusablePicture(ValueError):
    """A file that is not a picture we can use. The message says why, not which."""


def square_picture(data: bytes, resolution: int, options: Options, channels: int = 3) -> Pixels:
    """Decode, turn upright, crop the centre square, resize: uint8 [resolution, resolution, C].

    Smaller pictures are enlarged. Raises UnusablePicture for whatever Pillow cannot decode.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata: the pixels are what counts
            return _square(data, resolution, options, channels)
    except UnusablePicture:
        raise
    except Exception as error:  # damaged files raise a dozen kinds, SyntaxError among them
        raise UnusablePicture(str(error) or type(error).__name__) from error


def _square(data: bytes, resolution: int, options: Options, channels: int) -> Pixels:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise UnusablePicture(f"{image.width} x {image.height} pixels are too many")
        # JPEG can decode at 1/2, 1/4 or 1/8 of its size: 2.5 times faster, 50 dB from the whole.
        image.draft(None, (options.draft * resolution, options.draft * resolution))
        upright = ImageOps.exif_transpose(image)
        flat = _flatten(upright, options.background, MODES[channels])
    side = min(flat.size)
    left, top = (flat.width - side) // 2, (flat.height - side) // 2
    square = flat.resize(
        (resolution, resolution), _FILTERS[options.filter], (left, top, left + side, top + side)
    )
    return np.asarray(square).reshape(resolution, resolution, channels)


def _flatten(image: Image.Image, background: tuple[int, int, int], mode: str) -> Image.Image:
    """To 8 bits without transparency. Pillow's plain `convert` drops alpha and clips 16 bits."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise UnusablePicture(f"grey levels of unknown range (Pillow mode {image.mode})")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, background)
        image = Image.alpha_composite(paper, image)
    return image if image.mode == mode else image.convert(mode)
