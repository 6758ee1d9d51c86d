"""What makes the bytes of a data set: this program and the libraries it encodes with."""

from functools import lru_cache
from importlib.metadata import version

import PIL
from PIL import features

from progan.datasets.format.manifest import Versions


@lru_cache(maxsize=1)
def current_versions() -> Versions:
    """Of this process."""
    libwebp = features.version("webp") or "unknown"
    return Versions(progan=version("progan"), pillow=PIL.__version__, libwebp=libwebp)
