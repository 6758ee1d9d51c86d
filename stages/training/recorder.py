"""What is kept of a stage while it trains: ticks, sample grids, checkpoints, the heartbeat."""

import json
import logging
import os
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from progan.datasets.files import write_whole
from progan.stages import schedule
from progan.stages.engine.update import StepReport
from progan.stages.images import grid, png
from progan.stages.networks.conditioning import cycling_labels, with_conditions
from progan.stages.rng import grid_latents
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.checkpoint import CheckpointWriter
from progan.stages.storage.metrics_log import RunningMeans, append_tick, rewind
from progan.stages.storage.stage_folder import StageFolder
from progan.stages.training.measuring import MetricSchedule
from progan.stages.training.stage import Stage
from progan.stages.training.stop_request import StopRequest
from progan.stages.training.usage import memory

log = logging.getLogger(__name__)
HEARTBEAT_SECONDS = 1.0
SIGNALS = ("checkpoint_due", "stop_asked", "data_wait_seconds")
STEPS_AHEAD = 1
DRAWN_AT_ONCE = 16


class StageRecorder:
    """Writes into a stage's folder; only the first rank does, and only after whole steps."""

    def __init__(
        self, stage: Stage, folder: StageFolder, tally: RunningMeans, stop: StopRequest, nodes: int
    ) -> None:
        self.folder = folder
        self.stop = stop
        self.tally = tally
        self._first = stage.world.is_first
        self._waiting = stage.waiting
        self._waited_seconds = 0.0
        self._unread: deque[StepReport] = deque()
        self._pulse = Heartbeat(folder.progress, stage, nodes)
        self._quality = MetricSchedule()
        self._writer = CheckpointWriter(folder, stage.spec.checkpoint)
        self._tick_began = self._checkpoint_written = time.monotonic()
        self._tick_images_seen = stage.images_seen
        self._due = False
        if self._first:
            folder.samples.mkdir(parents=True, exist_ok=True)
            rewind(folder, stage.images_seen)
            if not folder.reals.exists():
                side = stage.spec.tick.grid
                reals = stage.batches.fixed(0, side * side).images
                write_whole(folder.reals, png(grid(reals, side)))

    def signals(self) -> dict[str, float]:
        """Whether a checkpoint is due by the first rank's clock, whether to stop, the data wait."""
        due = float(self._first and self._due)
        said = due, float(self.stop.asked), self._waiting.take()
        return dict(zip(SIGNALS, said, strict=True))

    def after_step(self, stage: Stage, report: StepReport) -> bool:
        """Count the step; write what falls due. All ranks must call it after every step.

        A step is counted, and seen to be finite, after the one that follows it, so that a device
        always has work queued; or at once, if something is to be written. False, on all ranks and
        with a checkpoint on its way, if any rank was asked to stop.
        """
        self._unread.append(report)
        spec = stage.spec
        here = stage.images_seen, spec.images_per_step
        tick_ends = schedule.ends_tick(*here, spec.growth, spec.tick)
        every = spec.checkpoint.every_kimg
        checkpoint_due = every is not None and schedule.crosses(*here, every * 1000)
        heard = self._hear(0 if tick_ends or checkpoint_due else STEPS_AHEAD)
        if heard["checkpoint_due"] or heard["stop_asked"]:
            checkpoint_due = True
            heard += self._hear(0)
        if tick_ends:
            self._end_tick(stage)
        if checkpoint_due:
            self._write_checkpoint(stage)
        self._beat(stage)
        if every_minutes := spec.checkpoint.every_minutes:
            minutes = (time.monotonic() - self._checkpoint_written) / 60
            self._due = minutes >= every_minutes and not self._writer.busy
        return not heard["stop_asked"]

    def _hear(self, unread: int) -> Counter[str]:
        """Count all steps but so many; the sums of the signals that came with them."""
        heard: Counter[str] = Counter()
        while len(self._unread) > unread:
            scalars = self._unread.popleft().read()
            heard.update({name: scalars.pop(name) for name in SIGNALS})
            self.tally.add(scalars)
        self._waited_seconds += heard["data_wait_seconds"]
        return heard

    def wait(self) -> None:
        """Return when all checkpoints are on the disk."""
        self._writer.wait()

    def _beat(self, stage: Stage) -> None:
        if self._first:
            self._pulse.beat(stage)

    def _end_tick(self, stage: Stage) -> None:
        means = self.tally.take()
        seconds = time.monotonic() - self._tick_began
        quality = self._quality.values(stage, beat=lambda: self._beat(stage))
        if not self._first:
            return
        images = stage.images_seen - self._tick_images_seen
        self._tick_began, self._tick_images_seen = time.monotonic(), stage.images_seen
        tick = where(stage) | rates(stage.spec) | means | quality
        clock = {
            "time": time.time(),
            "seconds": seconds,
            "images_per_second": images / seconds,
            "data_wait_share": self._waited_seconds / seconds,
        }
        self._waited_seconds = 0.0
        clock |= memory(stage.world.device)
        self._try_to_write(lambda: append_tick(self.folder.metrics, tick | clock))
        number = stage.images_seen // stage.spec.tick.images
        done = schedule.phase(stage.images_seen, stage.spec.growth) == "done"
        if done or number % stage.spec.tick.samples_every == 0:
            self._try_to_write(lambda: self._draw(stage))

    def _try_to_write(self, write: Callable[[], None]) -> None:
        """A full disk is no reason to stop training: what was written before stands."""
        try:
            write()
        except OSError as error:
            log.warning("not written: %s; training goes on", error)

    def _draw(self, stage: Stage) -> None:
        """A grid of the average's pictures, from the same latents at every stage.

        With classes, they take turns.
        """
        side = stage.spec.tick.grid
        alpha = schedule.alpha(stage.images_seen, stage.spec.growth)
        model = stage.spec.model
        latents = grid_latents(stage.spec.seed, side * side, model.noise)
        latents = with_conditions(latents, cycling_labels(len(latents), model.classes), model)
        # What training has room for, there is room to draw.
        at_once = min(DRAWN_AT_ONCE, stage.spec.rank_micro_batch(stage.world.size))
        with torch.no_grad():
            parts = [
                stage.ema(part.to(stage.world.device), alpha).cpu()
                for part in torch.split(latents, at_once)
            ]
        write_whole(self.folder.fakes(stage.images_seen), png(grid(torch.cat(parts), side)))

    def _write_checkpoint(self, stage: Stage) -> None:
        state = stage.checkpoint(self.tally.state())
        if self._first:
            self._writer.write(state)
        self._checkpoint_written = time.monotonic()


class Heartbeat:
    """progress.json: where the stage stands and how fast it goes, about once a second."""

    def __init__(self, path: Path, stage: Stage, nodes: int) -> None:
        self.path = path
        self._nodes = nodes
        self._last = time.monotonic()
        self._last_images_seen = stage.images_seen

    def beat(self, stage: Stage) -> None:
        """Rewrite the file if it is time. A failure to do so is no reason to stop training."""
        now = time.monotonic()
        seconds = now - self._last
        if seconds < HEARTBEAT_SECONDS:
            return
        speed = (stage.images_seen - self._last_images_seen) / seconds
        self._last, self._last_images_seen = now, stage.images_seen
        progress = where(stage) | {
            "images_per_second": speed,
            "time": time.time(),
            "nodes": self._nodes,
            "ranks": stage.world.size,
        }
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        try:
            temporary.write_text(json.dumps(progress))
            os.replace(temporary, self.path)
        except OSError:
            return


def rates(spec: StageSpec) -> dict[str, float]:
    """The learning rate; the discriminator's too if it is another."""
    if spec.discriminator_lr in (None, spec.lr):
        return {"lr": spec.lr}
    return {"lr": spec.lr, "discriminator_lr": spec.rates["discriminator"]}


def where(stage: Stage) -> dict[str, Any]:
    """Where a stage stands."""
    return {
        "images_seen": stage.images_seen,
        "phase": schedule.phase(stage.images_seen, stage.spec.growth),
        "alpha": schedule.alpha(stage.images_seen, stage.spec.growth),
    }
