"""The only place that knows how a stage's folder is laid out; no torch."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StageFolder:
    """RUN/stages/0064 and what lies in it."""

    path: Path

    @property
    def spec(self) -> Path:
        """What the workers are told (StageSpec)."""
        return self.path / "spec.json"

    @property
    def progress(self) -> Path:
        """Where the stage stands, rewritten about once a second while it trains."""
        return self.path / "progress.json"

    @property
    def metrics(self) -> Path:
        """One line a tick."""
        return self.path / "metrics.jsonl"

    @property
    def starts(self) -> Path:
        """Every start of the workers: when, at which count, on what (Start)."""
        return self.path / "starts.jsonl"

    @property
    def failure(self) -> Path:
        """Why the last attempt ended early, if a worker could still say so."""
        return self.path / "failure.json"

    @property
    def rollbacks(self) -> Path:
        """What was gone back from after a divergence (Rollbacks)."""
        return self.path / "rollbacks.json"

    @property
    def stop(self) -> Path:
        """RUN/STOP: made by a person, it stops the run."""
        return self.path.parent.parent / "STOP"

    @property
    def lock(self) -> Path:
        """Held by the workers that train the stage."""
        return self.path / ".lock"

    @property
    def log(self) -> Path:
        """What launcher and workers printed, all attempts."""
        return self.path / "worker.log"

    def log_of(self, host: str) -> Path:
        """The same for a host that takes part by `progan join`."""
        return self.path / f"worker.{host}.log"

    @property
    def checkpoints(self) -> Path:
        """One folder a checkpoint, named by its images_seen."""
        return self.path / "checkpoints"

    def checkpoint(self, images_seen: int) -> Path:
        """The checkpoint taken after so many images."""
        return self.checkpoints / f"{images_seen:09d}"

    @property
    def samples(self) -> Path:
        """Grids of pictures."""
        return self.path / "samples"

    @property
    def reals(self) -> Path:
        """A grid of real pictures."""
        return self.samples / "reals.png"

    def fakes(self, images_seen: int) -> Path:
        """The grid of fakes drawn after so many images."""
        return self.samples / f"fakes_{images_seen:09d}.png"

    @property
    def final(self) -> Path:
        """The hand-off to the next resolution; the stage is done when it is there and whole."""
        return self.path / "final"

    @property
    def evaluation(self) -> Path:
        """What was measured of the finished stage (Evaluation)."""
        return self.path / "evaluation.json"


def images_of(grid: Path) -> int:
    """After how many images a grid of fakes was drawn."""
    return int(grid.stem.removeprefix("fakes_"))
