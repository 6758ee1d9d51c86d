"""One rank's work on one stage, from the process group to the published networks."""

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from progan.datasets.manifest import load_manifest
from progan.stages import checkpoint, handoff
from progan.stages.engine import start_distributed
from progan.stages.errors import StageError, StoppedOnRequestError
from progan.stages.folder import StageFolder
from progan.stages.keeper import StageKeeper
from progan.stages.loop import train
from progan.stages.spec import StageSpec
from progan.stages.stage import build
from progan.stages.stopping import StopRequest
from progan.stages.ticks import Tally
from progan.stages.world import World, detect

log = logging.getLogger(__name__)


def run_stage(spec: StageSpec, folder: StageFolder, stop: StopRequest) -> None:
    """Train a stage from its newest checkpoint, or its beginning, and publish what it made.

    Raises StageError or DataError with a message for a person; StoppedOnRequestError, among them,
    when there is a checkpoint to go on from.
    """
    found = load_manifest(spec.data.path).fingerprint
    if found != spec.data_fingerprint:
        raise StageError(
            f"{spec.data.path} is not the data set that this run began with "
            f"(fingerprint {found[:12]}, not {spec.data_fingerprint[:12]})"
        )
    world = detect()
    start_distributed(world)
    with alone(folder) if world.is_first else nullcontext():
        finished = _train_and_publish(spec, folder, world, stop)
        # A launcher ends all ranks as soon as one has left: not before the files are written.
        torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    if not finished:
        raise StoppedOnRequestError("stopped on request; a checkpoint was written")


@contextmanager
def alone(folder: StageFolder) -> Iterator[None]:
    """Hold the stage's lock; StageError if other workers train it. Free however this one ends."""
    with folder.lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StageError(f"other workers are training {folder.path}: end them first") from error
        yield


def _train_and_publish(
    spec: StageSpec, folder: StageFolder, world: World, stop: StopRequest
) -> bool:
    """Whether the stage is finished; if not, it was asked to stop."""
    last = checkpoint.newest(folder)
    if len(set(world.gather(last and last.images_seen))) > 1:
        raise StageError(
            f"the ranks do not see the same checkpoints: {folder.checkpoints} must lie on a disk "
            "that all machines share"
        )
    stage = build(spec, world, last)
    log.info("rank %d of %d: at %d images", world.rank, world.size, stage.images_seen)
    keeper = StageKeeper(stage, folder, Tally(**last.tally) if last else Tally(), stop)
    with stage.batches:
        finished = train(stage, keeper)
    if finished and world.is_first:
        networks = {
            "generator": stage.generator,
            "discriminator": stage.discriminator,
            "ema": stage.average,
        }
        handoff.publish(folder.final, stage.final(), networks)
    return finished
