"""Sample grids as trackers show them: no larger than browsers and servers can handle."""

import io
import logging
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from progan.pipeline.tracking.queue.history import StageHistory

log = logging.getLogger(__name__)
_named: set[Path] = set()
"""Damaged grids that were logged"""
MAX_SIDE = 2048
"""Pixels of a grid's longer side. A run's own grids have up to 4096: 40 MB as PNG."""


def new_grids(history: StageHistory, after: int) -> Iterator[tuple[int, Image.Image]]:
    """The sample grids drawn after more than `after` images: images_seen and the picture."""
    for images_seen, file in history.grids(after):
        if image := tracked_grid(file):
            yield images_seen, image


def tracked_grid(file: Path) -> Image.Image | None:
    """A grid, made smaller if it is larger than MAX_SIDE; None, and logged, if it is damaged."""
    try:
        with Image.open(file) as image:
            image.load()
    except OSError as error:
        if file not in _named:
            log.warning("%s is not sent to trackers: %s", file, error)
            _named.add(file)
        return None
    if max(image.size) > MAX_SIDE:
        image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    return image


def png_bytes(image: Image.Image) -> bytes:
    """The PNG file of a picture."""
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return buffer.getvalue()
