"""progress.json: where the stage stands and how fast it trains, about once a second."""

import json
import os
import time
from pathlib import Path

from progan.stages import schedule
from progan.stages.specs.stage import GrowthSpec

SECONDS = 1.0


class Heartbeat:
    """Rewrites progress.json, at most once a second."""

    def __init__(
        self, path: Path, growth: GrowthSpec, images_seen: int, *, nodes: int, ranks: int
    ) -> None:
        self.path = path
        self._growth = growth
        self._machines = {"nodes": nodes, "ranks": ranks}
        self._last = time.monotonic()
        self._last_images_seen = images_seen

    def beat(self, images_seen: int) -> None:
        """Rewrite the file if the last time is a second ago. Disk errors are ignored."""
        now = time.monotonic()
        seconds = now - self._last
        if seconds < SECONDS:
            return
        speed = (images_seen - self._last_images_seen) / seconds
        self._last, self._last_images_seen = now, images_seen
        progress = schedule.progress(images_seen, self._growth) | {
            "images_per_second": speed,
            "time": time.time(),
            **self._machines,
        }
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        try:
            temporary.write_text(json.dumps(progress))
            os.replace(temporary, self.path)
        except OSError:
            return
