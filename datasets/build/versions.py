"""The versions that decide the bytes of a data set: of this program and of its encoders."""

from functools import lru_cache
from importlib.metadata import version

import PIL
from PIL import features

from progan.datasets.format.manifest import Versions


@lru_cache(maxsize=1)
def current_versions() -> Versions:
    """Those of this process."""
    libwebp = features.version("webp") or "unknown"
    return Versions(progan=version("progan"), pillow=PIL.__version__, libwebp=libwebp)
