"""When a checkpoint is due: by images or by time."""

import time

from progan.stages import schedule
from progan.stages.specs.stage import StageSpec


class CheckpointClock:
    """By images, every rank decides alike; by time, the first rank decides for all."""

    def __init__(self, spec: StageSpec) -> None:
        self._spec = spec.checkpoint
        self._images_per_step = spec.images_per_step
        self._last = time.monotonic()

    def due_by_images(self, images_seen: int) -> bool:
        """Whether the step that ended here passed a multiple of `every_kimg`."""
        kimg = self._spec.every_kimg
        return kimg is not None and schedule.crosses(
            images_seen, self._images_per_step, kimg * 1000
        )

    def due_by_time(self) -> bool:
        """Whether the last checkpoint was taken `every_minutes` ago."""
        minutes = self._spec.every_minutes
        return minutes is not None and (time.monotonic() - self._last) / 60 >= minutes

    def restart(self) -> None:
        """A checkpoint was taken now."""
        self._last = time.monotonic()
