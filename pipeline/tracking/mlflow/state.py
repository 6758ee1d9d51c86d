"""tracking.json: ids of the run's MLflow runs, and which files have been sent to them.

Which metrics and sample grids have been sent is not stored here but queried from MLflow.
"""

import logging
from pathlib import Path

from pydantic import BaseModel, ValidationError

from progan.datasets.files import write_whole

log = logging.getLogger(__name__)


class StageState(BaseModel):
    """A stage's run in MLflow."""

    run_id: str
    lineage: str = "0.0"
    """Which history of the stage it holds (StageHistory)"""
    reals: bool = False
    """Whether the grid of reals has been sent"""
    ended: bool = False
    model_version: str | None = None
    """Of the last stage's generator in the model registry"""


class TrackingState(BaseModel):
    """A run's MLflow runs: a parent, and one per stage."""

    store: str = "sqlite"
    """`tracking.mlflow` when they were created"""
    experiment_id: str | None = None
    run_id: str | None = None
    machine_lines: int | None = None
    """Number of lines of machine.jsonl that have been sent; None: MLflow has to be asked"""
    stages: dict[int, StageState] = {}


def read_state(path: Path, store: str) -> TrackingState:
    """What has been sent to a store: nothing if the run was tracked in another one before.

    A damaged file is named in a warning, once, and replaced.
    """
    fresh = TrackingState(store=store)
    if not path.exists():
        return fresh
    try:
        state = TrackingState.model_validate_json(path.read_bytes())
    except ValidationError:
        log.warning("%s is damaged; MLflow is asked for what it has of this run", path)
        write_state(path, fresh)
        return fresh
    return state if state.store == store else fresh


def write_state(path: Path, state: TrackingState) -> None:
    """Write tracking.json atomically."""
    write_whole(path, state.model_dump_json(indent=2).encode())
