"""A run's folder without training, and its copy at s3://store/runs."""

from progan.pipeline.config.schema import load_config
from progan.pipeline.config.yaml_io import write_yaml
from progan.pipeline.run.mirror.contents import store_of
from progan.pipeline.run.mirror.copier import Copier
from progan.pipeline.run.mirror.fetching import fetch
from progan.pipeline.run_folder import RunFolder
from progan.stages.specs.stage import CheckpointSpec
from progan.stages.storage.json_lines import append_line
from progan.stages.storage.sealed_folder import sealing
from progan.stages.storage.stage_folder import CHECKPOINT_DOCUMENT, StageFolder

MIRROR = "s3://store/runs"
KEEP_TWO = CheckpointSpec(keep=2)


def write_config(run: RunFolder, *words: str) -> None:
    """The run's config.yaml."""
    config = load_config("demo", ("growth.last=8", "data.path=/nowhere", *words))
    run.path.mkdir(parents=True, exist_ok=True)
    write_yaml(run.config, config)


def add_checkpoint(stage: StageFolder, images_seen: int, content: bytes = b"weights") -> None:
    """A checkpoint, and the line of its tick."""
    with sealing(
        stage.checkpoint(images_seen), CHECKPOINT_DOCUMENT, {"images_seen": images_seen}
    ) as folder:
        (folder / "ema.safetensors").write_bytes(content * 1000)
    append_line(stage.metrics, {"images_seen": images_seen, "time": 0.0})


def copier(run: RunFolder, spec: CheckpointSpec = KEEP_TWO) -> Copier:
    """As in a new process."""
    return Copier(run, store_of(MIRROR, run), spec)


def fetched(run: RunFolder) -> list[str]:
    notes: list[str] = []
    fetch(run, MIRROR, notes.append)
    return notes


def files(run: RunFolder) -> dict[str, bytes]:
    found = (path for path in run.path.rglob("*") if path.is_file())
    return {str(path.relative_to(run.path)): path.read_bytes() for path in found}


def checkpoints(run: RunFolder, resolution: int) -> list[str]:
    return sorted(path.name for path in run.stage(resolution).checkpoints.glob("*"))


def names(run: RunFolder) -> list[str]:
    return sorted(store_of(MIRROR, run).sizes())
