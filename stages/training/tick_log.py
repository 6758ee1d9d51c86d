"""The lines of metrics.jsonl: the means of a tick's scalars, its metrics, its clock."""

import time
from collections.abc import Callable
from typing import Any

import torch

from progan.stages import schedule
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.metrics_log import RunningMeans
from progan.stages.training.usage import memory


class TickLog:
    """Averages the steps of one tick and makes its line of metrics.jsonl."""

    def __init__(
        self, spec: StageSpec, device: torch.device, means: RunningMeans, images_seen: int
    ) -> None:
        self._spec = spec
        self._device = device
        self._means = means
        self._began = time.monotonic()
        self._images_seen = images_seen
        self._data_wait_seconds = 0.0

    def add(self, scalars: dict[str, float], data_wait_seconds: float) -> None:
        """Count one step."""
        self._means.add(scalars)
        self._data_wait_seconds += data_wait_seconds

    def state(self) -> dict[str, Any]:
        """What the unfinished tick has summed up, for a checkpoint (RunningMeans)."""
        return self._means.state()

    def end(self, images_seen: int, measure: Callable[[], dict[str, float]]) -> dict[str, Any]:
        """The line of the tick that ends here; begins the next.

        `measure` returns the metrics; its time belongs to neither tick.
        """
        means, seconds = self._means.take(), time.monotonic() - self._began
        metrics = measure()
        images, waited = images_seen - self._images_seen, self._data_wait_seconds
        self._began, self._images_seen = time.monotonic(), images_seen
        self._data_wait_seconds = 0.0
        progress = schedule.progress(images_seen, self._spec.growth)
        clock = {
            "time": time.time(),
            "seconds": seconds,
            "images_per_second": images / seconds,
            "data_wait_share": waited / seconds,
        }
        return (
            progress | learning_rates(self._spec) | means | metrics | clock | memory(self._device)
        )


def learning_rates(spec: StageSpec) -> dict[str, float]:
    """The learning rate; the discriminator's too if it differs."""
    if spec.discriminator_lr in (None, spec.lr):
        return {"lr": spec.lr}
    return {"lr": spec.lr, "discriminator_lr": spec.rates["discriminator"]}
