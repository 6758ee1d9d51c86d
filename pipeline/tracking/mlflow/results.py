"""What MLflow shows of a run as a whole: its data set, and the final metrics of its stages."""

import json
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

from progan.pipeline.tracking.mlflow.names import key
from progan.pipeline.tracking.queue.history import StageHistory, scalars
from progan.stages.errors import StageError
from progan.stages.metrics.evaluation import read_evaluation
from progan.stages.specs.stage import StageSpec

DIGEST = 36
"""Characters that MLflow has for a data set's digest"""


def dataset_input(spec: StageSpec) -> Any | None:
    """A stage's data set as an input of its MLflow run; None if its fingerprint is unknown."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    if not spec.data_fingerprint:
        return None
    place = str(spec.data.path)
    dataset = Dataset(
        name=dataset_name(spec),
        digest=spec.data_fingerprint[:DIGEST],
        source_type="progan",
        source=json.dumps({"uri": place}),
        profile=json.dumps({"fingerprint": spec.data_fingerprint}),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])


def dataset_name(spec: StageSpec) -> str:
    """The last part of the data set's path."""
    return PurePosixPath(str(spec.data.path).rstrip("/")).name[:500] or "data"


def final_values(history: StageHistory) -> dict[str, float]:
    """A finished stage's last scalars, and what it was evaluated with, by name."""
    ticks = history.ticks()
    values = scalars(ticks[-1]) if ticks else {}
    with suppress(StageError):  # a damaged result is no reason to send nothing
        for result in read_evaluation(history.folder).results:
            if result.at == history.spec.resolution:
                values |= result.values
    return values


def final_points(history: StageHistory, model_id: str | None = None) -> list[Any]:
    """The same as MLflow metrics of the parent run: their step is the stage's resolution.

    So the newest value is that of the last stage, by which runs are sorted. model_id: the logged
    model that they describe, too. The same files give the same points.
    """
    from mlflow.entities import Metric

    written = [f for f in (history.folder.metrics, history.folder.evaluation) if f.exists()]
    milliseconds = max(round(file.stat().st_mtime * 1000) for file in written)
    resolution = history.spec.resolution
    return [
        Metric(key(name), value, milliseconds, resolution, model_id=model_id)
        for name, value in final_values(history).items()
    ]
