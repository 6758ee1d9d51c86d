"""The only place that knows how a run's folder is laid out."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from progan.pipeline.config.schema import RunConfig, validate
from progan.pipeline.config.yaml_io import read_yaml
from progan.pipeline.errors import RunError
from progan.stages.storage.stage_folder import StageFolder


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run and what lies in it."""

    path: Path

    @property
    def name(self) -> str:
        """The run's name for people: that of its folder."""
        return self.path.name

    @property
    def config(self) -> Path:
        """The configuration, frozen, complete."""
        return self.path / "config.yaml"

    @property
    def events(self) -> Path:
        """What the orchestrator did, append-only (EventLog)."""
        return self.path / "events.jsonl"

    @property
    def tracking(self) -> Path:
        """What MLflow has already been told."""
        return self.path / "tracking.json"

    @property
    def machine(self) -> Path:
        """What this machine's processors, memory and GPUs did while the run was tracked."""
        return self.path / "machine.jsonl"

    @property
    def stop(self) -> Path:
        """Made by a person, it stops the run; the workers look for it (StageFolder.stop)."""
        return self.path / "STOP"

    @property
    def report(self) -> Path:
        """What people look at: one HTML page."""
        return self.path / "report.html"

    @property
    def superseded(self) -> Path:
        """Stages that were set aside when an earlier one was re-opened."""
        return self.path / "superseded"

    def stage(self, resolution: int) -> StageFolder:
        """The folder of one stage."""
        return StageFolder(self.path / "stages" / f"{resolution:04d}")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Held by the one orchestrator of this run; free again however that process ends."""
        with (self.path / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunError(
                    f"{self.path} is being trained by another progan; "
                    f"watch it with: progan status {self.path}"
                ) from error
            yield


def existing_run(path: Path) -> RunFolder:
    """The run at a path; RunError if there is none."""
    run = RunFolder(path.absolute())
    if not run.config.is_file():
        raise RunError(f"{path} is no run: it has no config.yaml; start one with: progan train")
    return run


def frozen_config(run: RunFolder) -> RunConfig:
    """The configuration that a run goes by."""
    return validate(read_yaml(run.config), source=str(run.config))
