"""tracking.json: ids of the run's MLflow runs, and which files have been sent to them.

Which metrics have been sent is not stored here but queried from MLflow.
"""

from pathlib import Path
from uuid import uuid4

from pydantic import BaseModel, Field

from progan.datasets.files import write_whole


class StageState(BaseModel):
    """A stage's run in MLflow."""

    run_id: str
    lineage: str = "0.0"
    """Which history of the stage it holds, see `Sender`"""
    samples_until: int = 0
    """images_seen of the last sample grid sent"""
    reals: bool = False
    """Whether the grid of reals has been sent"""
    ended: bool = False
    model_version: str | None = None
    """Of the last stage's generator in the model registry"""


class TrackingState(BaseModel):
    """A run's MLflow runs: a parent, and one per stage."""

    key: str = Field(default_factory=lambda: uuid4().hex)
    """Tag of all of them, to find a run whose creation was not confirmed"""
    store: str = "sqlite"
    """`tracking.mlflow` when they were created"""
    experiment_id: str | None = None
    run_id: str | None = None
    machine_lines: int = 0
    """Number of lines of machine.jsonl that have been sent"""
    stages: dict[int, StageState] = {}


def read_state(path: Path, store: str) -> TrackingState:
    """What has been sent to a store: nothing if the run was tracked in another one before."""
    state = (
        TrackingState.model_validate_json(path.read_bytes())
        if path.exists()
        else TrackingState(store=store)
    )
    return state if state.store == store else TrackingState(key=state.key, store=store)


def write_state(path: Path, state: TrackingState) -> None:
    """Write tracking.json atomically."""
    write_whole(path, state.model_dump_json(indent=2).encode())
