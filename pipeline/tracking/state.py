"""tracking.json: which of MLflow's runs are this run's, and which files they have.

Which figures MLflow has is not written here: MLflow is asked.
"""

from pathlib import Path
from uuid import uuid4

from pydantic import BaseModel, Field

from progan.datasets.files import write_whole


class StageState(BaseModel):
    """A stage's run in MLflow."""

    run_id: str
    lineage: str = "0.0"
    """Which history of the stage it holds (`Sender`)"""
    samples_until: int = 0
    """images_seen of the last grid sent"""
    reals: bool = False
    ended: bool = False
    model_version: str | None = None
    """In the model registry, of the last stage's generator"""


class TrackingState(BaseModel):
    """A run's runs in MLflow."""

    key: str = Field(default_factory=lambda: uuid4().hex)
    """A tag of them all: those whose making was never confirmed are found by it"""
    store: str = "sqlite"
    """`tracking.mlflow` as it was"""
    experiment_id: str | None = None
    run_id: str | None = None
    machine_lines: int = 0
    """Lines of machine.jsonl sent"""
    stages: dict[int, StageState] = {}


def read_state(path: Path, store: str) -> TrackingState:
    """What a store has been told; if the run was tracked in another one, nothing yet."""
    told = (
        TrackingState.model_validate_json(path.read_bytes())
        if path.exists()
        else TrackingState(store=store)
    )
    return told if told.store == store else TrackingState(key=told.key, store=store)


def write_state(path: Path, told: TrackingState) -> None:
    """Write it down, whole or not at all."""
    write_whole(path, told.model_dump_json(indent=2).encode())
