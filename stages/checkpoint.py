"""A stage's state on disk, whatever the number of ranks that wrote it or will read it."""

import logging
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from progan.stages.errors import StageError
from progan.stages.folder import StageFolder
from progan.stages.sealed import sealing, unseal
from progan.stages.tensors import read_tensors, write_tensors

log = logging.getLogger(__name__)
DOCUMENT = "state.json"


class Checkpoint(NamedTuple):
    """All that the rest of a stage follows from."""

    images_seen: int
    tensors: dict[str, dict[str, Tensor]]
    """By file: generator, discriminator, ema (parameters by name) and optimizer (Adam's moments)"""
    tally: dict[str, Any]
    """What the unfinished tick has summed up (Tally)"""


def save(folder: StageFolder, checkpoint: Checkpoint, keep: int) -> None:
    """Write a checkpoint, whole or not at all, and remove all but the newest `keep`."""
    fields = {"images_seen": checkpoint.images_seen, "tally": checkpoint.tally}
    with sealing(folder.checkpoint(checkpoint.images_seen), DOCUMENT, fields) as target:
        for name, tensors in checkpoint.tensors.items():
            write_tensors(target / f"{name}.safetensors", tensors)
    for old in _newest_first(folder)[keep:]:
        shutil.rmtree(old, ignore_errors=True)


def newest(folder: StageFolder) -> Checkpoint | None:
    """The newest checkpoint that is whole, or None; a damaged one is passed over, said aloud."""
    for path in _newest_first(folder):
        try:
            fields = unseal(path, DOCUMENT)
        except StageError as error:
            log.warning("%s; using the checkpoint before it", error)
            continue
        tensors = {file.stem: read_tensors(file) for file in path.glob("*.safetensors")}
        return Checkpoint(fields["images_seen"], tensors, fields["tally"])
    return None


def _newest_first(folder: StageFolder) -> list[Path]:
    return sorted(folder.checkpoints.glob("[0-9]*"), reverse=True)
