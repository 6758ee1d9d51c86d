"""One rank's work on one stage, from the process group to the published networks."""

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from progan.datasets.manifest import load_manifest
from progan.stages import checkpoint, handoff
from progan.stages.engine import start_distributed
from progan.stages.errors import StageError
from progan.stages.folder import StageFolder
from progan.stages.keeper import StageKeeper
from progan.stages.loop import train
from progan.stages.spec import StageSpec
from progan.stages.stage import build
from progan.stages.ticks import Tally
from progan.stages.world import World, detect

log = logging.getLogger(__name__)


def run_stage(spec: StageSpec, folder: StageFolder) -> None:
    """Train a stage from its newest checkpoint, or its beginning, and publish what it made.

    Raises StageError or DataError with a message for a person.
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
        _train_and_publish(spec, folder, world)
    torch.distributed.destroy_process_group()


@contextmanager
def alone(folder: StageFolder) -> Iterator[None]:
    """Hold the stage's lock; StageError if other workers train it. Free however this one ends."""
    with folder.lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StageError(f"other workers are training {folder.path}: end them first") from error
        yield


def _train_and_publish(spec: StageSpec, folder: StageFolder, world: World) -> None:
    last = checkpoint.newest(folder)
    if len(set(world.gather(last and last.images_seen))) > 1:
        raise StageError(
            f"the ranks do not see the same checkpoints: {folder.checkpoints} must lie on a disk "
            "that all machines share"
        )
    stage = build(spec, world, last)
    log.info("rank %d of %d: at %d images", world.rank, world.size, stage.images_seen)
    keeper = StageKeeper(stage, folder, Tally(**last.tally) if last else Tally())
    with stage.batches:
        train(stage, keeper)
    if world.is_first:
        networks = {
            "generator": stage.generator,
            "discriminator": stage.discriminator,
            "ema": stage.average,
        }
        handoff.publish(folder.final, stage.final(), networks)
    torch.distributed.barrier()
