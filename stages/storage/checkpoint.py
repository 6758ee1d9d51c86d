"""A stage's state on disk, independent of the number of ranks that wrote it or read it."""

import logging
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from progan.stages.errors import StageError
from progan.stages.specs.stage import CheckpointSpec
from progan.stages.storage.sealed_folder import sealing, unseal
from progan.stages.storage.stage_folder import CHECKPOINT_DOCUMENT, StageFolder
from progan.stages.storage.tensors import read_tensors, write_tensors

log = logging.getLogger(__name__)
RUNNING_MEANS = "tally"
"""Key of the running means in state.json"""
FIELDS = {"images_seen", "position", RUNNING_MEANS}


class Checkpoint(NamedTuple):
    """All that the rest of a stage depends on."""

    images_seen: int
    position: int
    """In the stage's stream of images: `images_seen` plus what rollbacks skipped"""
    tensors: dict[str, dict[str, Tensor]]
    """By file: generator, discriminator, ema (parameters by name), optimizer (moments), and where
    there are any, encoder, pieces (state of the objective's terms) and replay (past fakes)"""
    running_means: dict[str, Any]
    """Sums of the unfinished tick (RunningMeans)"""


def save(folder: StageFolder, checkpoint: Checkpoint, spec: CheckpointSpec) -> None:
    """Write a checkpoint atomically, and remove those that `spec` does not keep."""
    fields = {
        "images_seen": checkpoint.images_seen,
        "position": checkpoint.position,
        RUNNING_MEANS: checkpoint.running_means,
    }
    with sealing(folder.checkpoint(checkpoint.images_seen), CHECKPOINT_DOCUMENT, fields) as target:
        for name, tensors in checkpoint.tensors.items():
            write_tensors(target / f"{name}.safetensors", tensors)
    for images_seen in spec.superseded([int(path.name) for path in _newest_first(folder)]):
        shutil.rmtree(folder.checkpoint(images_seen), ignore_errors=True)


def newest(folder: StageFolder) -> Checkpoint | None:
    """The newest valid checkpoint, or None; damaged ones are skipped with a warning."""
    for path in _newest_first(folder):
        try:
            return _read(path)
        except StageError as error:
            log.warning("%s; using the checkpoint before it", error)
    return None


def _read(path: Path) -> Checkpoint:
    """One checkpoint; StageError if anything of it is missing or damaged."""
    fields = unseal(path, CHECKPOINT_DOCUMENT)
    if fields.keys() != FIELDS:
        different = ", ".join(sorted(fields.keys() ^ FIELDS))
        raise StageError(
            f"{path / CHECKPOINT_DOCUMENT} lacks keys or has unknown ones: {different}"
        )
    return Checkpoint(
        images_seen=fields["images_seen"],
        position=fields["position"],
        tensors={file.stem: read_tensors(file) for file in path.glob("*.safetensors")},
        running_means=fields[RUNNING_MEANS],
    )


def _newest_first(folder: StageFolder) -> list[Path]:
    return sorted(folder.checkpoints.glob("[0-9]*"), reverse=True)


class CheckpointWriter:
    """Writes checkpoints in a thread, one at a time; training waits only for the copy in memory."""

    def __init__(self, folder: StageFolder, spec: CheckpointSpec) -> None:
        self._folder = folder
        self._spec = spec
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether the last checkpoint is still being written."""
        return self._writing is not None and not self._writing.done()

    def write(self, state: Checkpoint) -> None:
        """Begin to write a checkpoint; waits for the previous one."""
        self.wait()
        self._writing = self._thread.submit(self._save, state)

    def wait(self) -> None:
        """Return when everything is on the disk."""
        if self._writing:
            self._writing.result()

    def _save(self, state: Checkpoint) -> None:
        try:
            save(self._folder, state, self._spec)
        except OSError as error:
            log.warning("checkpoint after %d images not written: %s; the one before stands and "
                        "training goes on", state.images_seen, error)  # fmt: skip
