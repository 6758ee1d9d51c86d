"""The requests to a tracking server or file, all of which can be repeated.

A request whose answer is lost is sent again. So requests that create something first look for it,
and MLflow's own retries, which do not, are off.
"""

import os
import re
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image

from progan.pipeline.tracking.mlflow import names
from progan.pipeline.tracking.mlflow.database import prepare_database
from progan.pipeline.tracking.queue.destination import TrackingError
from progan.pipeline.tracking.queue.mlflow_import import import_mlflow

MAX_PARAMS = 100
"""MLflow's limit for one request"""
PROGRESS = "images_seen"
"""The metric whose last value says how far a stage's metrics have been sent"""
KIND, TRAINING = "mlflow.experimentKind", "custom_model_development"
"""The experiment's tag by which the user interface opens the page of training runs"""
PARENT = "mlflow.parentRunId"
GRIDS = "samples"
"""The key of the sample grids among the images of a run"""
GRID_FILE = re.compile(rf"images/{GRIDS}[+%]step[+%](\d+)[+%].*[+%]compressed\.")
"""The smaller file of a logged image, which MLflow writes last"""


def store_uri(folder: Path, place: str) -> str:
    """The URI of `tracking.mlflow`; `sqlite` is a database in the run's parent folder."""
    return sqlite_uri(folder / "mlflow.db") if place == "sqlite" else place


def sqlite_uri(file: Path) -> str:
    """The URI of a database file.

    MLflow and SQLAlchemy differ in how they unquote one. So a folder with ?, # or % in its path,
    which would have to be quoted, is opened, and named by its descriptor.
    """
    if not re.search("[?#%]", str(file)):
        return f"sqlite:///{file}"
    return f"sqlite:////proc/self/fd/{_opened(file.parent)}/{file.name}"


@cache
def _opened(folder: Path) -> int:
    """A descriptor of a folder, for as long as the process lives."""
    return os.open(folder, os.O_RDONLY)


class Store:
    """An MLflow client with the requests that tracking needs."""

    def __init__(self, uri: str, artifacts: str | None) -> None:
        """`artifacts`: the location for a new experiment; by default the server's."""
        mlflow = import_mlflow()
        prepare_database(uri)
        self.client = mlflow.tracking.MlflowClient(uri)
        self._artifacts = artifacts

    def experiment(self, name: str) -> str:
        """The id of an experiment, created if it does not exist, and marked as one of trainings.

        TrackingError if it was deleted.
        """
        name = names.experiment_name(name)
        found = self.client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self.client.create_experiment(name, self._artifacts, {KIND: TRAINING}))
            except Exception as error:
                if not _is("RESOURCE_ALREADY_EXISTS", error):
                    raise
            found = self.client.get_experiment_by_name(name)  # another run has just created it
            assert found
        if found.lifecycle_stage == "deleted":
            raise TrackingError(
                f"the MLflow experiment {name} was deleted; choose another name, "
                "tracking.experiment=NAME, or restore it: "
                f"mlflow experiments restore --experiment-id {found.experiment_id}"
            )
        if KIND not in found.tags:
            self.client.set_experiment_tag(found.experiment_id, KIND, TRAINING)
        return str(found.experiment_id)

    def has(self, run_id: str) -> bool:
        """Whether a run exists and is not deleted."""
        try:
            return bool(self.client.get_run(run_id).info.lifecycle_stage == "active")
        except Exception as error:
            if _is("RESOURCE_DOES_NOT_EXIST", error) or _is("INVALID_PARAMETER_VALUE", error):
                return False  # the latter: no run has such an id
            raise

    def run(
        self,
        experiment_id: str,
        name: str,
        *,
        key_tags: dict[str, str],
        tags: dict[str, str],
        start_time: float,
    ) -> str:
        """The id of the run with the tags `key_tags`, created if it does not exist.

        A run whose parent was deleted gets the parent in `tags`.
        """
        query = " and ".join(f"tags.`{key}` = '{value}'" for key, value in key_tags.items())
        oldest = ["attributes.start_time ASC"]
        runs = self.client.search_runs([experiment_id], query, max_results=1, order_by=oldest)
        if runs:
            run_id = str(runs[0].info.run_id)
            if runs[0].data.tags.get(PARENT) != tags.get(PARENT):
                self.set_tags(run_id, {PARENT: tags[PARENT]})
            return run_id
        milliseconds = round(start_time * 1000)
        all_tags = names.tags(tags) | key_tags
        created = self.client.create_run(
            experiment_id, milliseconds, all_tags, names.run_name(name)
        )
        return str(created.info.run_id)

    def resume(self, run_id: str) -> int:
        """Mark a run as running; returns the images_seen of its last metrics."""
        run = self.client.get_run(run_id)
        if run.info.status != "RUNNING":
            self.client.update_run(run_id, status="RUNNING")
        return int(run.data.metrics.get(PROGRESS, 0))

    def next_step(self, run_id: str, metric: str) -> int:
        """The step after the last one of a metric."""
        history = self.client.get_metric_history(run_id, metric)
        return max((point.step + 1 for point in history), default=0)

    def log_points(self, run_id: str, points: list[Any]) -> None:
        """Log metrics in one request. MLflow's databases drop exact duplicates."""
        self.client.log_batch(run_id, metrics=points)

    def log_params(self, run_id: str, params: dict[str, str]) -> None:
        """Log parameters that the run does not have; MLflow's cannot be changed."""
        from mlflow.entities import Param

        known = self.client.get_run(run_id).data.params
        wanted = names.params(params).items()
        new = [Param(key, value) for key, value in wanted if key not in known]
        for start in range(0, len(new), MAX_PARAMS):
            self.client.log_batch(run_id, params=new[start : start + MAX_PARAMS])

    def set_tags(self, run_id: str, tags: dict[str, str]) -> None:
        """Set or change tags."""
        from mlflow.entities import RunTag

        accepted = names.tags(tags).items()
        self.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in accepted])

    def log_dataset(self, run_id: str, dataset: Any) -> None:
        """Log a data set as an input; MLflow keeps one of the same name and digest once."""
        self.client.log_inputs(run_id, [dataset])

    def last_grid(self, run_id: str) -> int:
        """The images_seen of the last sample grid that was logged as a whole."""
        paths = (file.path for file in self.client.list_artifacts(run_id, "images"))
        steps = (int(found[1]) for path in paths if (found := GRID_FILE.match(path)))
        return max(steps, default=0)

    def log_grid(self, run_id: str, grid: Image.Image, images_seen: int) -> None:
        """Log a sample grid as an image with a step, of which the user interface makes a slider."""
        self.client.log_image(run_id, grid, key=GRIDS, step=images_seen, synchronous=True)

    def model_of(self, experiment_id: str, run_id: str) -> Any | None:
        """The logged model that a run has made, if there is one."""
        query = f"source_run_id = '{run_id}'"
        return next(iter(self.client.search_logged_models([experiment_id], query)), None)

    def link_model(self, run_id: str, model_id: str, step: int) -> None:
        """Make a logged model an output of a run, at a step."""
        from mlflow.entities import LoggedModelOutput

        outputs = self.client.get_run(run_id).outputs
        linked = outputs.model_outputs if outputs else []
        if all(output.model_id != model_id for output in linked):
            self.client.log_outputs(run_id, [LoggedModelOutput(model_id, step)])

    def create_registered_model(self, name: str, description: str) -> None:
        """Create a registered model, unless another run has just done so."""
        try:
            self.client.create_registered_model(name, description=description)
        except Exception as error:
            if not _is("RESOURCE_ALREADY_EXISTS", error):
                raise

    def log_files(self, run_id: str, files: Iterable[Path], folder: str | None = None) -> None:
        """Upload files, replacing those of the same name."""
        for file in files:
            self.client.log_artifact(run_id, str(file), folder)

    def log_text(self, run_id: str, text: str, name: str) -> None:
        """Upload a text as a file, replacing that of the same name."""
        self.client.log_text(run_id, text, name)

    def end(self, run_id: str, status: str, end_time: float) -> None:
        """End a run."""
        self.client.set_terminated(run_id, status, round(end_time * 1000))

    def supersede(self, run_id: str, name: str) -> None:
        """End a run whose stage was rolled back or re-opened, and mark it in its name and a tag."""
        now = datetime.now()
        self.set_tags(run_id, {"progan.superseded": "true"})
        self.client.set_terminated(run_id, "KILLED")
        superseded = f"{name}, superseded {now:%Y-%m-%d %H:%M:%S}"
        self.client.update_run(run_id, name=names.run_name(superseded))


def _is(code: str, error: Exception) -> bool:
    """Whether an error is MLflow's with this code."""
    from mlflow.exceptions import MlflowException

    return isinstance(error, MlflowException) and error.error_code == code
