"""The requests to a tracking server or file, all of which can be repeated.

A request whose answer is lost is sent again. So requests that create something first look for it,
and MLflow's own retries, which do not, are off.
"""

import logging
import os
import re
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from progan.pipeline.tracking import names

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
MAX_PARAMS = 100
"""MLflow's limit for one request"""
PROGRESS = "images_seen"
"""The metric whose last value says how far a stage's metrics have been sent"""


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
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
        logging.getLogger("alembic").setLevel(logging.WARNING)
        from mlflow.tracking import MlflowClient

        self.client = MlflowClient(uri)
        self._artifacts = artifacts

    def experiment(self, name: str) -> str:
        """The id of an experiment, created if it does not exist."""
        name = names.experiment_name(name)
        experiment = self.client.get_experiment_by_name(name)
        if experiment:
            return str(experiment.experiment_id)
        return str(self.client.create_experiment(name, self._artifacts))

    def has(self, run_id: str) -> bool:
        """Whether a run exists and is not deleted."""
        from mlflow.exceptions import MlflowException

        try:
            return bool(self.client.get_run(run_id).info.lifecycle_stage == "active")
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
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
        """The id of the run with the tags `key_tags`, created if it does not exist."""
        query = " and ".join(f"tags.`{key}` = '{value}'" for key, value in key_tags.items())
        oldest = ["attributes.start_time ASC"]
        runs = self.client.search_runs([experiment_id], query, max_results=1, order_by=oldest)
        if runs:
            return str(runs[0].info.run_id)
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
