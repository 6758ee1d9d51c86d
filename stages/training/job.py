"""One rank's run of one stage: process group, training, publishing the networks."""

import fcntl
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta

import torch

from progan.datasets.format.manifest import load_manifest
from progan.stages.distributed.device import require_precision
from progan.stages.distributed.process_group import set_collective_timeout, start_distributed
from progan.stages.distributed.world import World, detect
from progan.stages.engine.numerics import set_numerics
from progan.stages.errors import NotFiniteError, RolledBackError, StageError, StoppedOnRequestError
from progan.stages.metrics.evaluation import add_results, results_at_end
from progan.stages.metrics.names import images_compared
from progan.stages.specs.stage import StageSpec
from progan.stages.storage import checkpoint, handoff
from progan.stages.storage.launch_log import append_start
from progan.stages.storage.metrics_log import RunningMeans, read_ticks, rewind
from progan.stages.storage.rollback import Rollback, add_rollback, read_rollbacks
from progan.stages.storage.stage_folder import StageFolder
from progan.stages.training.hosts import this_start
from progan.stages.training.lazy_imports import leave_out_compiler, leave_out_muon_kernels
from progan.stages.training.loop import train
from progan.stages.training.recorder import StageRecorder
from progan.stages.training.stage import Stage, build
from progan.stages.training.stop_request import StopRequest

log = logging.getLogger(__name__)


def run_stage(
    spec: StageSpec, folder: StageFolder, stop: StopRequest, give_up: Callable[[str], None]
) -> None:
    """Train a stage from its newest checkpoint, or from its start, and publish its networks.

    When other ranks do not reach a collective in time, a thread calls `give_up` with a message: it
    should end the process. Raises StageError or DataError with a message for the user; among them
    StoppedOnRequestError and RolledBackError, after which the stage only has to be started again.
    """
    manifest = load_manifest(spec.data.path)
    if manifest.fingerprint != spec.data_fingerprint:
        raise StageError(
            f"{spec.data.path} is not the data set that this run began with "
            f"(fingerprint {manifest.fingerprint[:12]}, not {spec.data_fingerprint[:12]})"
        )
    if manifest.channels != spec.model.channels:
        raise StageError(
            f"model.channels: {spec.model.channels}, but the pictures of {spec.data.path} have "
            f"{manifest.channels}"
        )
    set_numerics(spec.engine)
    world = detect()
    require_precision(world.device, spec.engine.precision)
    timeout = timedelta(minutes=spec.engine.collective_timeout_minutes)
    start_distributed(world, timeout)
    if spec.compile == "off":
        leave_out_compiler()
        leave_out_muon_kernels()
    lock = stage_lock(folder) if world.is_first else nullcontext()
    with lock, world.watchdog.watched(timeout.total_seconds(), give_up):
        ended_early = _train_and_publish(spec, folder, world, stop)
        # A launcher ends all ranks as soon as one exits, so no rank exits before files are written.
        world.barrier()
    torch.distributed.destroy_process_group()
    if ended_early:
        raise ended_early


@contextmanager
def stage_lock(folder: StageFolder) -> Iterator[None]:
    """Hold the stage's lock; StageError if other workers hold it. The kernel frees it at exit."""
    with folder.lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StageError(f"other workers are training {folder.path}: end them first") from error
        yield


def _train_and_publish(
    spec: StageSpec, folder: StageFolder, world: World, stop: StopRequest
) -> StageError | None:
    """None if the stage is finished; else the reason why it has to be started again."""
    last = checkpoint.newest(folder)
    if len(set(world.all_gather_object(last and last.images_seen))) > 1:
        raise StageError(
            f"the ranks do not see the same checkpoints: {folder.checkpoints} must lie on a disk "
            "that all machines share"
        )
    rollbacks = read_rollbacks(folder.rollbacks)
    stage = build(spec, world, last, rollbacks)
    set_collective_timeout(timedelta(minutes=spec.engine.collective_timeout_minutes))
    log.info("rank %d of %d: at %d images", world.rank, world.size, stage.images_seen)
    start = this_start(world, stage.images_seen)
    if world.is_first:
        append_start(folder.starts, start)
    means = RunningMeans(**last.running_means) if last else RunningMeans()
    recorder = StageRecorder(stage, folder, means, stop, nodes=len(start.hosts))
    try:
        with stage.batches:
            finished = train(stage, recorder)
    except NotFiniteError as error:
        recorder.wait()
        return _roll_back(stage, folder, error, len(rollbacks))
    recorder.wait()
    if not finished:
        return StoppedOnRequestError("stopped on request; started again, it goes on")
    if world.is_first:
        handoff.publish(folder.final, stage.final(), stage.networks())
        _write_evaluation(stage, folder)
    return None


def _write_evaluation(stage: Stage, folder: StageFolder) -> None:
    """Write the last tick's metrics to evaluation.json."""
    images = images_compared(stage.spec.metrics.images, stage.batches.num_samples)
    ticks = [t for t in read_ticks(folder.metrics) if t["images_seen"] == stage.images_seen]
    results = results_at_end(stage.spec, ticks[-1], images) if ticks else []
    try:
        if results:
            add_results(folder, results)
    except OSError as error:
        log.warning("%s not written: %s", folder.evaluation, error)


def _roll_back(
    stage: Stage, folder: StageFolder, error: NotFiniteError, rollbacks: int
) -> RolledBackError:
    """Record a rollback to the newest checkpoint, which also skips the data of the bad step.

    Raises the error itself if the spec wants no rollbacks; StageError after `max_rollbacks`.
    """
    spec = stage.spec.checkpoint
    if spec.on_divergence == "stop":
        raise error
    if rollbacks >= spec.max_rollbacks:
        raise StageError(f"{error}; rolled back {rollbacks} times before, which is the most "
                         "(checkpoint.max_rollbacks)") from error  # fmt: skip
    if stage.world.is_first:
        last = checkpoint.newest(folder)
        rollback = Rollback(
            begin=last.position if last else 0,
            end=error.end,
            reason=str(error),
        )
        rewind(folder, last.images_seen if last else 0)
        add_rollback(folder.rollbacks, rollback)
    return RolledBackError(
        f"{error}; going back to the newest checkpoint and on with other data "
        f"(rollback {rollbacks + 1} of at most {spec.max_rollbacks})"
    )
