"""Layout of a run's folder; no other module knows it."""

import fcntl
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from progan.pipeline.config.printable import printable
from progan.pipeline.config.schema import RunConfig, validate
from progan.pipeline.config.yaml_io import read_yaml, write_yaml
from progan.pipeline.errors import ConfigError, RunError
from progan.stages.storage.final import is_published
from progan.stages.storage.stage_folder import StageFolder

CONFIG = "config.yaml"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths in a run's folder."""

    path: Path

    def __post_init__(self) -> None:
        """ConfigError for a name that scripts, servers and terminals would not take as text."""
        text = str(self.path)
        if printable(text) != text or "\n" in text or "\t" in text:
            raise ConfigError(
                f"{text!r} cannot be a run's folder: it has control characters in its "
                "name, or bytes that are not UTF-8"
            )

    @property
    def name(self) -> str:
        """The run's name: that of its folder."""
        return self.path.name

    @property
    def config(self) -> Path:
        """The configuration, frozen, complete."""
        return self.path / CONFIG

    @property
    def events(self) -> Path:
        """Events of the orchestrator, append-only (EventLog)."""
        return self.path / "events.jsonl"

    @property
    def tracking(self) -> Path:
        """State of what MLflow has received."""
        return self.path / "tracking.json"

    @property
    def machine(self) -> Path:
        """Load of this machine's processors, memory and GPUs while the run was tracked."""
        return self.path / "machine.jsonl"

    @property
    def stop(self) -> Path:
        """A user creates it to stop the run; the workers look for it (StageFolder.stop)."""
        return self.path / "STOP"

    @property
    def lock_file(self) -> Path:
        """Held by the run's orchestrator (lock)."""
        return self.path / ".lock"

    @property
    def report(self) -> Path:
        """The report, one HTML page."""
        return self.path / "report.html"

    @property
    def superseded(self) -> Path:
        """Stages that were moved away when an earlier one was re-opened."""
        return self.path / "superseded"

    @property
    def status_command(self) -> str:
        """To be typed in a shell."""
        return f"progan status {shlex.quote(str(self.path))}"

    def stage(self, resolution: int) -> StageFolder:
        """The folder of one stage."""
        return StageFolder(self.path / "stages" / f"{resolution:04d}")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Held by the one orchestrator of this run; released however that process ends."""
        with self.lock_file.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunError(
                    f"{self.path} is being trained by another progan; "
                    f"watch it with: {self.status_command}"
                ) from error
            except OSError as error:
                raise RunError(
                    f"{self.path} cannot be locked against a second progan: {error.strerror}; put "
                    "the run on a disk with locks (NFS: mounted without nolock)"
                ) from error
            yield


def is_run(path: Path) -> bool:
    """Whether a folder is that of a run, unlike those of networks."""
    return (path / CONFIG).is_file()


def existing_run(path: Path) -> RunFolder:
    """The run at a path; ConfigError if there is none."""
    run = RunFolder(path.absolute())
    if not run.config.is_file():
        raise ConfigError(f"{path} is no run: it has no config.yaml; start one with: progan train")
    return run


def frozen_config(run: RunFolder) -> RunConfig:
    """The configuration saved in a run's folder; ConfigError if it is damaged."""
    try:
        config = validate(read_yaml(run.config), source=str(run.config))
        if config.engine.precision == "auto":
            raise ConfigError(
                f"{run.config}: engine.precision: auto was replaced when the run began"
            )
        return config
    except ConfigError as error:
        raise ConfigError(
            f"{error}\nIt was complete when the run began. Restore it, or remove it and give the "
            f"configuration again: progan train CONFIG --run {run.path}; what has begun is compared"
        ) from error


def freeze_config(run: RunFolder, config: RunConfig) -> None:
    """Save the configuration in the run's folder; for the user alone if it may hold secrets."""
    write_yaml(run.config, config, private=bool(config.launch.env))


def finished_stages(run: RunFolder, resolutions: Sequence[int], stage: int | None) -> list[int]:
    """Resolutions of the finished stages, or only `stage`; RunError if none is, or that one not.

    ConfigError if the run has no such stage.
    """
    require_stage(resolutions, stage)
    finished = [each for each in resolutions if is_published(run.stage(each).final)]
    if not finished:
        raise RunError(f"no stage of {run.path} is finished yet: {run.status_command}")
    if stage is not None and stage not in finished:
        raise RunError(f"stage {stage} of {run.path} is not finished; finished are {finished}")
    return finished if stage is None else [stage]


def require_stage(resolutions: Sequence[int], stage: int | None) -> None:
    """ConfigError if a run has no such stage."""
    if stage is not None and stage not in resolutions:
        raise ConfigError(f"--stage {stage}: the run's stages are {list(resolutions)}")
