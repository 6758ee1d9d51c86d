"""The queue of all trackers: what the stages of a run have written to its folder; no torch."""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from progan.pipeline.run.events import EventLog
from progan.pipeline.run_folder import RunFolder
from progan.pipeline.tracking.queue.destination import Status
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.final import is_published
from progan.stages.storage.metrics_log import read_ticks
from progan.stages.storage.rollback import read_rollbacks
from progan.stages.storage.stage_folder import StageFolder, images_of

NOT_METRICS = ("phase", "time")
"""Fields of a tick that are no metrics"""


@dataclass(frozen=True, slots=True)
class StageHistory:
    """What one stage has recorded since it began, or since it was rolled back or re-opened."""

    spec: StageSpec
    folder: StageFolder
    name: str
    """The run's name and the resolution, such as faces-0064"""
    lineage: str
    """Which history of the stage it is: how often it was re-opened, and rolled back"""
    is_done: bool

    def ticks(self, after: int = 0) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl with more than `after` images_seen, oldest first."""
        return [tick for tick in read_ticks(self.folder.metrics) if tick["images_seen"] > after]

    def grids(self, after: int = 0) -> list[tuple[int, Path]]:
        """The sample grids drawn after more than `after` images, with their images_seen."""
        files = sorted(self.folder.samples.glob("fakes_*.png"))
        return [(images_of(file), file) for file in files if images_of(file) > after]


def histories(run: RunFolder, specs: Sequence[StageSpec]) -> Iterator[StageHistory]:
    """The histories of the stages that have begun, ascending.

    A rollback cuts the metrics before it is recorded, so the lineage is read before the metrics.
    """
    for spec in specs:
        folder = run.stage(spec.resolution)
        if folder.metrics.exists():
            name = f"{run.name}-{spec.resolution:04d}"
            lineage = _lineage(run, spec.resolution)
            yield StageHistory(spec, folder, name, lineage, folder.final.exists())


def scalars(tick: dict[str, Any]) -> dict[str, float]:
    """A tick's metrics by name."""
    return {
        name: float(value)
        for name, value in tick.items()
        if name not in NOT_METRICS and isinstance(value, int | float)
    }


def run_key(run: RunFolder) -> str:
    """32 hexadecimal digits that identify a run by its first event, wherever its folder is.

    By it a run is found again in a tracker when its creation was not confirmed.
    """
    first = next(iter(EventLog(run.events).events()), None)
    identity = [first.time, first.fields] if first else [str(run.path)]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]


def creation_time(run: RunFolder) -> float:
    """The time of the run's first event."""
    return next((event.time for event in EventLog(run.events).events()), time.time())


def run_status(run: RunFolder, specs: Sequence[StageSpec]) -> Status:
    """Where a run stands according to its folder."""
    if all(is_published(run.stage(spec.resolution).final) for spec in specs):
        return "FINISHED"
    newest = EventLog(run.events).newest()
    ends: dict[str, Status] = {"stopped": "KILLED", "stage_failed": "FAILED"}
    return ends.get(newest.kind, "RUNNING") if newest else "RUNNING"


def _lineage(run: RunFolder, resolution: int) -> str:
    events = EventLog(run.events).events()
    reopened = [e.fields["resolution"] for e in events if e.kind == "stage_reopened"]
    rollbacks = len(read_rollbacks(run.stage(resolution).rollbacks))
    return f"{sum(stage <= resolution for stage in reopened)}.{rollbacks}"
