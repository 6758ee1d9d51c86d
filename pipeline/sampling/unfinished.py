"""The networks of a stage that still trains, from its newest checkpoint; no torch."""

import logging

from progan.datasets.errors import DataError
from progan.datasets.files import sha256_file
from progan.datasets.format.manifest import load_manifest
from progan.stages import schedule
from progan.stages.errors import StageError
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.pretrained import Published, network_files
from progan.stages.storage.sealed_folder import unseal
from progan.stages.storage.spec_file import read_spec
from progan.stages.storage.stage_folder import CHECKPOINT_DOCUMENT, StageFolder

log = logging.getLogger(__name__)


def read_unfinished(folder: StageFolder) -> Published | None:
    """The networks of the newest checkpoint, checksums verified; None if there is none.

    A damaged checkpoint is skipped with a warning. StageError if the stage's spec is missing or
    damaged.
    """
    for path in sorted(folder.checkpoints.glob("[0-9]*"), reverse=True):
        try:
            seen = int(unseal(path, CHECKPOINT_DOCUMENT)["images_seen"])
        except StageError as error:
            log.warning("%s; using the checkpoint before it", error)
            continue
        spec, files = read_spec(folder.spec), network_files(path)
        return Published(
            resolution=spec.resolution,
            model=spec.model,
            images_seen=seen,
            classes=_classes(spec),
            files=files,
            checksums={name: sha256_file(file) for name, file in files.items()},
            fade=schedule.alpha(seen, spec.growth) if spec.grown_from else None,
        )
    return None


def _classes(spec: StageSpec) -> tuple[str, ...]:
    """Names of the classes by label; their numbers if the data set is out of reach."""
    if not spec.model.classes:
        return ()
    try:
        names = load_manifest(spec.data.path).classes
    except (DataError, OSError):
        names = None
    return tuple(names or map(str, range(spec.model.classes)))
