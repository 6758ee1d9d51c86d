"""metrics.jsonl: its lines, and the running means that they are made of."""

import json
from pathlib import Path
from typing import Any

from progan.datasets.files import write_whole
from progan.stages.storage.json_lines import read_lines
from progan.stages.storage.stage_folder import StageFolder, images_of

CLOCK = (
    "time",
    "seconds",
    "images_per_second",
    "data_wait_share",
    "device_memory_bytes",
    "resident_memory_bytes",
)
"""Fields that depend on the machine. All others are the same when the same run is repeated."""


class RunningMeans:
    """Means of named scalars over the steps of one tick; stored in checkpoints."""

    def __init__(
        self, sums: dict[str, float] | None = None, steps: dict[str, int] | None = None
    ) -> None:
        self.sums = dict(sums or {})
        self.steps = dict(steps or {})

    def add(self, scalars: dict[str, float]) -> None:
        """Count one step; it need not have all scalars."""
        for name, value in scalars.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.steps[name] = self.steps.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        """The means since the last call; resets them."""
        means = {name: total / self.steps[name] for name, total in self.sums.items()}
        self.sums, self.steps = {}, {}
        return means

    def state(self) -> dict[str, Any]:
        """A copy for `RunningMeans(**state)`, exact: JSON keeps every bit of a float."""
        return {"sums": dict(self.sums), "steps": dict(self.steps)}


def read_ticks(path: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, if it exists."""
    return read_lines(path, _tick)


def _tick(line: dict[str, Any]) -> dict[str, Any]:
    """The line itself; raises as `read_lines` expects if it cannot be placed."""
    return line | {"images_seen": int(line["images_seen"]), "time": float(line["time"])}


def rewind(folder: StageFolder, images_seen: int) -> None:
    """Drop the lines and sample grids after a checkpoint, which the stage will write again."""
    for grid in folder.samples.glob("fakes_*.png"):
        if images_of(grid) > images_seen:
            grid.unlink()
    if folder.metrics.exists():
        kept = [tick for tick in read_ticks(folder.metrics) if tick["images_seen"] <= images_seen]
        write_whole(folder.metrics, "".join(json.dumps(tick) + "\n" for tick in kept).encode())
