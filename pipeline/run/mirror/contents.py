"""What of a run's folder is copied to `checkpoint.mirror`: all that another machine needs to go on.

Names there are those in the run's folder. Sealed folders are complete when their document is there,
which is stored last; logs are stored before it, so that they reach at least as far.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from progan.datasets.format.objects.store import MOST_ATTEMPTS, ObjectStore
from progan.pipeline.config.schema import RunConfig
from progan.pipeline.config.yaml_io import yaml_text
from progan.pipeline.run_folder import RunFolder, frozen_config
from progan.stages.specs.by_resolution import RESOLUTIONS
from progan.stages.storage.final import DOCUMENT as FINAL_DOCUMENT
from progan.stages.storage.stage_folder import CHECKPOINT_DOCUMENT, StageFolder

DOCUMENTS = (FINAL_DOCUMENT, CHECKPOINT_DOCUMENT)


class Sealed(NamedTuple):
    """A checkpoint, or a finished stage's networks."""

    folder: Path
    document: str
    """Name of the JSON file with the checksums of the others"""


def url_of(mirror: str, run: RunFolder) -> str:
    """Where a run is copied to: a folder of its name, below `checkpoint.mirror`."""
    return f"{mirror.rstrip('/')}/{run.name}"


def store_of(mirror: str, run: RunFolder, attempts: int = MOST_ATTEMPTS) -> ObjectStore:
    """The storage there; see ObjectStore."""
    return ObjectStore(url_of(mirror, run), attempts)


def name_of(run: RunFolder, path: Path) -> str:
    """A file's name there."""
    return path.relative_to(run.path).as_posix()


def stages_of(run: RunFolder) -> list[StageFolder]:
    """The folders of all stages that may be, ascending."""
    return [run.stage(resolution) for resolution in RESOLUTIONS]


def final_of(stage: StageFolder) -> Sealed:
    """The networks of a stage, which may not be finished."""
    return Sealed(stage.final, FINAL_DOCUMENT)


def checkpoint_of(stage: StageFolder, images_seen: int) -> Sealed:
    """A checkpoint of a stage."""
    return Sealed(stage.checkpoint(images_seen), CHECKPOINT_DOCUMENT)


def checkpoints_among(
    run: RunFolder, stage: StageFolder, names: Collection[str]
) -> dict[int, bool]:
    """The checkpoints of a stage that the names there belong to, by count of images: whether each
    is complete."""
    above = f"{name_of(run, stage.checkpoints)}/"
    found = {name.removeprefix(above).partition("/")[0] for name in names if name.startswith(above)}
    counts = {int(count) for count in found if count.isdecimal()}
    documents = {count: checkpoint_of(stage, count) for count in counts}
    return {
        count: name_of(run, sealed.folder / sealed.document) in names
        for count, sealed in documents.items()
    }


def sealed_folders(run: RunFolder) -> Iterator[Sealed]:
    """Those in the run's folder: of each stage its networks, then the newest checkpoint first."""
    for stage in stages_of(run):
        sealed = [final_of(stage)]
        counts = sorted((int(path.name) for path in stage.checkpoints.glob("[0-9]*")), reverse=True)
        sealed += [checkpoint_of(stage, images_seen) for images_seen in counts]
        yield from (each for each in sealed if (each.folder / each.document).is_file())


def logs(stage: StageFolder) -> list[Path]:
    """A stage's files besides sealed folders and pictures."""
    return [stage.spec, stage.starts, stage.rollbacks, stage.metrics, stage.evaluation]


def small_files(run: RunFolder) -> Iterator[Path]:
    """All files that are copied besides sealed folders and the configuration, events first."""
    stages = stages_of(run)
    yield from (file for file in (run.events, run.tracking) if file.is_file())
    yield from (file for stage in stages for file in logs(stage) if file.is_file())
    yield from (file for stage in stages for file in sorted(stage.samples.glob("*.png")))


def public_config(run: RunFolder) -> bytes:
    """config.yaml without `launch.env`, whose values may be secret."""
    config: RunConfig = frozen_config(run)
    launch = config.launch.model_copy(update={"env": {}})
    return yaml_text(config.model_copy(update={"launch": launch})).encode()


def whole_lines(content: bytes) -> bytes:
    """A log up to its last whole line."""
    return content[: content.rfind(b"\n") + 1]
