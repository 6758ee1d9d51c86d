"""What a stage writes while it trains: ticks, sample grids, checkpoints, the heartbeat."""

import logging
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager

from progan.stages import schedule
from progan.stages.engine.update import StepReport
from progan.stages.metrics.holdout import holdout_logits
from progan.stages.storage.checkpoint import CheckpointWriter
from progan.stages.storage.json_lines import append_line
from progan.stages.storage.metrics_log import RunningMeans, rewind
from progan.stages.storage.stage_folder import StageFolder
from progan.stages.training.checkpoint_clock import CheckpointClock
from progan.stages.training.heartbeat import Heartbeat
from progan.stages.training.measuring import MetricSchedule
from progan.stages.training.sample_grids import SampleGrids
from progan.stages.training.stage import Stage
from progan.stages.training.stop_request import StopRequest
from progan.stages.training.tick_log import TickLog

log = logging.getLogger(__name__)
LOCAL_METRICS = ("checkpoint_due", "stop_requested", "data_wait_seconds")
STEPS_AHEAD = 1
"""Steps that may be queued on the device before their scalars are read"""


class StageRecorder:
    """The training loop's Callback. Only the first rank writes, and only after whole steps."""

    def __init__(
        self, stage: Stage, folder: StageFolder, means: RunningMeans, stop: StopRequest, nodes: int
    ) -> None:
        spec, world, seen = stage.spec, stage.world, stage.images_seen
        self._folder = folder
        self._stop = stop
        self._is_first = world.is_first
        self._data_wait = stage.waiting
        self._unread: deque[StepReport] = deque()
        self._ticks = TickLog(spec, world.device, means, seen)
        self._metrics = MetricSchedule(folder)
        self._grids = SampleGrids(folder, spec, world)
        self._clock = CheckpointClock(spec)
        self._checkpoint_due = False
        self._writer = CheckpointWriter(folder, spec.checkpoint)
        self._heartbeat = Heartbeat(
            folder.progress, spec.growth, seen, nodes=nodes, ranks=world.size
        )
        if self._is_first:
            rewind(folder, seen)
            self._grids.write_reals(stage.batches)

    def local_metrics(self) -> dict[str, float]:
        """Whether a checkpoint is due by the first rank's clock, whether to stop, the data wait."""
        due = float(self._is_first and self._checkpoint_due)
        values = due, float(self._stop.requested), self._data_wait.take()
        return dict(zip(LOCAL_METRICS, values, strict=True))

    def after_step(self, stage: Stage, report: StepReport) -> bool:
        """Count the step; write what is due. All ranks must call it after every step.

        A step's scalars are read one step late, so that the device always has work queued; or at
        once, if something is to be written. Returns False, on all ranks and with a checkpoint being
        written, if any rank was asked to stop. Raises NotFiniteError.
        """
        self._unread.append(report)
        seen, spec = stage.images_seen, stage.spec
        tick_ends = schedule.ends_tick(seen, spec.images_per_step, spec.growth, spec.tick)
        checkpoint_due = self._clock.due_by_images(seen)
        sums = self._read_steps(leave=0 if tick_ends or checkpoint_due else STEPS_AHEAD)
        if sums["checkpoint_due"] or sums["stop_requested"]:
            checkpoint_due = True
            sums += self._read_steps(leave=0)
        if tick_ends:
            self._end_tick(stage)
        if checkpoint_due:
            self._write_checkpoint(stage)
        self._beat(stage)
        self._checkpoint_due = self._clock.due_by_time() and not self._writer.busy
        return not sums["stop_requested"]

    def wait(self) -> None:
        """Return when all checkpoints are on the disk."""
        self._writer.wait()

    def _read_steps(self, leave: int) -> Counter[str]:
        """Count all steps but the last `leave`; returns the sums of their local metrics."""
        sums: Counter[str] = Counter()
        while len(self._unread) > leave:
            scalars = self._unread.popleft().read()
            local = {name: scalars.pop(name) for name in LOCAL_METRICS}
            sums.update(local)
            self._ticks.add(scalars, local["data_wait_seconds"])
        return sums

    def _end_tick(self, stage: Stage) -> None:
        def measure() -> dict[str, float]:
            logits = holdout_logits(stage)
            return logits | self._metrics.measure_due(stage, heartbeat=lambda: self._beat(stage))

        line = self._ticks.end(stage.images_seen, measure)
        if not self._is_first:
            return
        with disk_errors_logged():
            append_line(self._folder.metrics, line)
        if self._grids.due(stage.images_seen):
            with disk_errors_logged():
                self._grids.write_fakes(stage.ema, stage.images_seen)

    def _write_checkpoint(self, stage: Stage) -> None:
        state = stage.checkpoint(self._ticks.state())
        if self._is_first:
            self._writer.write(state)
        self._clock.restart()

    def _beat(self, stage: Stage) -> None:
        if self._is_first:
            self._heartbeat.beat(stage.images_seen)


@contextmanager
def disk_errors_logged() -> Iterator[None]:
    """Disk errors are logged, not raised: earlier files stay valid."""
    try:
        yield
    except OSError as error:
        log.warning("not written: %s; training goes on", error)
