"""Metrics during training: which are due at a tick, and measuring them."""

import logging
import time
from collections.abc import Callable

from progan.stages import schedule
from progan.stages.errors import MetricError
from progan.stages.metrics.measure import Subject, measure
from progan.stages.metrics.names import fits
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.stage_folder import StageFolder
from progan.stages.training.stage import Stage

log = logging.getLogger(__name__)


def due(images_seen: int, spec: StageSpec) -> list[str]:
    """The metrics due at the tick that ends here."""
    metrics = spec.metrics
    period = spec.tick.images * metrics.every_ticks
    if schedule.phase(images_seen, spec.growth) == "done":
        names = metrics.at_end
    elif schedule.crosses(images_seen, spec.images_per_step, period):
        names = metrics.during
    else:
        names = ()
    return [name for name in names if fits(name, spec.resolution)]


class MetricSchedule:
    """Measures the moving average at its present alpha; a failure is logged, not raised."""

    def __init__(self, folder: StageFolder) -> None:
        self._folder = folder
        self._warned: set[str] = set()

    def measure_due(self, stage: Stage, heartbeat: Callable[[], None]) -> dict[str, float]:
        """The metrics due at this tick, on the first rank. All ranks must call it at every tick.

        `heartbeat` is called now and then.
        """
        names = due(stage.images_seen, stage.spec)
        if not names:
            return {}
        began = time.monotonic()
        subject = Subject(
            generator=stage.ema,
            alpha=schedule.alpha(stage.images_seen, stage.spec.growth),
            seed=stage.spec.seed,
            batches=stage.batches,
            resolution=stage.spec.resolution,
            batch_size=stage.spec.rank_micro_batch(stage.world.size),
            features=self._folder.features,
        )
        try:
            found = measure(subject, stage.world, names, stage.spec.metrics, heartbeat)
        except MetricError as error:
            self._warn_once(f"not measured: {error}; training goes on", stage)
            return {}
        for name, reason in found.left_out.items():
            self._warn_once(f"{name} is left out: {reason}", stage)
        if stage.world.is_first:
            seconds = time.monotonic() - began
            log.info("measured %s on %d pictures in %.1f s", names, found.images, seconds)
        return found.values

    def _warn_once(self, text: str, stage: Stage) -> None:
        if stage.world.is_first and text not in self._warned:
            log.warning(text)
        self._warned.add(text)
