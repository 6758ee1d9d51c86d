"""Writes checkpoints beside the training: the steps go on while the disk is busy."""

import logging
from concurrent.futures import Future, ThreadPoolExecutor

from progan.stages import checkpoint
from progan.stages.checkpoint import Checkpoint
from progan.stages.folder import StageFolder
from progan.stages.spec import CheckpointSpec

log = logging.getLogger(__name__)


class CheckpointWriter:
    """One thread, one checkpoint at a time; training waits only for the copy in memory."""

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
        """Begin to write a checkpoint; waits for the one before."""
        self.wait()
        self._writing = self._thread.submit(self._save, state)

    def wait(self) -> None:
        """Return when everything is on the disk."""
        if self._writing:
            self._writing.result()

    def _save(self, state: Checkpoint) -> None:
        try:
            checkpoint.save(self._folder, state, self._spec)
        except OSError as error:
            log.warning("checkpoint after %d images not written: %s; the one before stands and "
                        "training goes on", state.images_seen, error)  # fmt: skip
