"""The layout of a stage's folder, defined here only; no torch."""

from dataclasses import dataclass
from pathlib import Path

CHECKPOINT_DOCUMENT = "state.json"
"""The document of a checkpoint's folder (sealed_folder.py)"""


@dataclass(frozen=True, slots=True)
class StageFolder:
    """Paths in RUN/stages/0064."""

    path: Path

    @property
    def spec(self) -> Path:
        """What the workers train (StageSpec)."""
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
        """Every start of the workers: when, at which count, on which hosts (Start)."""
        return self.path / "starts.jsonl"

    @property
    def failure(self) -> Path:
        """Why the last attempt ended early, if a worker could still write it."""
        return self.path / "failure.json"

    @property
    def rollbacks(self) -> Path:
        """Rollbacks after a divergence (Rollback)."""
        return self.path / "rollbacks.json"

    @property
    def stop(self) -> Path:
        """RUN/STOP: a user creates it to stop the run."""
        return self.path.parent.parent / "STOP"

    @property
    def lock(self) -> Path:
        """Held by the workers that train the stage."""
        return self.path / ".lock"

    @property
    def log(self) -> Path:
        """Output of launcher and workers, of all attempts."""
        return self.path / "worker.log"

    def log_of(self, host: str) -> Path:
        """The same on a host that takes part by `progan join`."""
        return self.path / f"worker.{host}.log"

    @property
    def checkpoints(self) -> Path:
        """One folder per checkpoint, named by its images_seen."""
        return self.path / "checkpoints"

    def checkpoint(self, images_seen: int) -> Path:
        """The checkpoint at this count of images."""
        return self.checkpoints / f"{images_seen:09d}"

    @property
    def newest_checkpoint(self) -> int:
        """Its count of images; 0 if there is none."""
        return max((int(path.name) for path in self.checkpoints.glob("[0-9]*")), default=0)

    @property
    def samples(self) -> Path:
        """Grids of pictures."""
        return self.path / "samples"

    @property
    def reals(self) -> Path:
        """A grid of real pictures."""
        return self.samples / "reals.png"

    def fakes(self, images_seen: int) -> Path:
        """The grid of fakes at this count of images."""
        return self.samples / f"fakes_{images_seen:09d}.png"

    @property
    def features(self) -> Path:
        """Features of reals that metrics keep (metrics/kept_features.py); may be deleted."""
        return self.path / "features"

    @property
    def final(self) -> Path:
        """The hand-off to the next resolution; the stage is done when this folder is valid."""
        return self.path / "final"

    @property
    def evaluation(self) -> Path:
        """The finished stage's metrics (Evaluation)."""
        return self.path / "evaluation.json"


def images_of(grid: Path) -> int:
    """The count of images after which a grid of fakes was drawn."""
    return int(grid.stem.removeprefix("fakes_"))
