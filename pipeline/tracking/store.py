"""A tracking server or file, asked only what can be asked twice.

A request whose answer is lost is sent again. So what makes something first looks whether it is
there, and MLflow's own retries, which do not look, are off.
"""

import logging
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
PARAMS_AT_ONCE = 100
PROGRESS = "images_seen"
"""The metric whose last value says what a stage's run has got"""


class Store:
    """What the tracker asks of MLflow."""

    def __init__(self, uri: str, artifacts: str | None) -> None:
        """`artifacts`: where those of a new experiment go; by default a server knows."""
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
        logging.getLogger("alembic").setLevel(logging.WARNING)
        from mlflow.tracking import MlflowClient

        self.client = MlflowClient(uri)
        self._artifacts = artifacts

    def experiment(self, name: str) -> str:
        """The id of an experiment, made if it is not there."""
        found = self.client.get_experiment_by_name(name)
        if found:
            return str(found.experiment_id)
        return str(self.client.create_experiment(name, self._artifacts))

    def has(self, run_id: str) -> bool:
        """Whether a run is there and not deleted."""
        from mlflow.exceptions import MlflowException

        try:
            return bool(self.client.get_run(run_id).info.lifecycle_stage == "active")
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise

    def run(
        self,
        experiment_id: str,
        name: str,
        *,
        known_by: dict[str, str],
        tags: dict[str, str],
        began: float,
    ) -> str:
        """The id of the run with the tags `known_by`, made if it is not there."""
        wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in known_by.items())
        oldest = ["attributes.start_time ASC"]
        found = self.client.search_runs([experiment_id], wanted, max_results=1, order_by=oldest)
        if found:
            return str(found[0].info.run_id)
        start = round(began * 1000)
        made = self.client.create_run(experiment_id, start, known_by | tags, name)
        return str(made.info.run_id)

    def go_on(self, run_id: str) -> int:
        """Mark a run as running; the images that its figures reach to, by MLflow's own word."""
        run = self.client.get_run(run_id)
        if run.info.status != "RUNNING":
            self.client.update_run(run_id, status="RUNNING")
        return int(run.data.metrics.get(PROGRESS, 0))

    def log_points(self, run_id: str, points: list[Any]) -> None:
        """One request. MLflow's databases keep one of points that are alike in everything."""
        self.client.log_batch(run_id, metrics=points)

    def log_params(self, run_id: str, params: dict[str, str]) -> None:
        """Log those that are not there yet: MLflow's parameters cannot be changed."""
        from mlflow.entities import Param

        known = self.client.get_run(run_id).data.params
        new = [Param(key, value) for key, value in params.items() if key not in known]
        for start in range(0, len(new), PARAMS_AT_ONCE):
            self.client.log_batch(run_id, params=new[start : start + PARAMS_AT_ONCE])

    def set_tags(self, run_id: str, tags: dict[str, str]) -> None:
        """Set tags, which may change."""
        from mlflow.entities import RunTag

        self.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])

    def log_files(self, run_id: str, files: Iterable[Path], folder: str | None = None) -> None:
        """Upload files; one of the same name is replaced."""
        for file in files:
            self.client.log_artifact(run_id, str(file), folder)

    def end(self, run_id: str, status: str, when: float) -> None:
        """End a run."""
        self.client.set_terminated(run_id, status, round(when * 1000))

    def set_aside(self, run_id: str, name: str) -> None:
        """End a run whose stage went back, and say so in its name and a tag."""
        now = datetime.now()
        self.set_tags(run_id, {"progan.superseded": "true"})
        self.client.set_terminated(run_id, "KILLED")
        self.client.update_run(run_id, name=f"{name}, superseded {now:%Y-%m-%d %H:%M:%S}")
