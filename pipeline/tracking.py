"""Copies a run's figures and pictures to MLflow, beside the training and never in its way.

The run's folder is the queue: metrics.jsonl and the sample grids are read as they appear, and
tracking.json says what MLflow has already got. So a dead server delays nothing and loses nothing,
and a resumed run goes on in the same MLflow runs without a figure twice.
"""

import json
import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from progan.datasets.files import write_whole
from progan.pipeline.config import RunConfig
from progan.pipeline.rundir import RunFolder
from progan.stages.folder import StageFolder
from progan.stages.spec import StageSpec
from progan.stages.ticks import read_ticks

log = logging.getLogger(__name__)
SYNC_SECONDS = 5.0
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    # Trying again is the tracker's own business: a dead server must not hold a finished run up.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
NOT_METRICS = ("images_seen", "phase", "time")


class StageTold(BaseModel):
    """What MLflow has got of one stage."""

    run_id: str
    ticks_until: int = 0
    """images_seen of the last tick sent"""
    samples_until: int = 0
    reals: bool = False
    ended: bool = False


class Told(BaseModel):
    """tracking.json: what MLflow has got of a run."""

    experiment_id: str
    run_id: str
    stages: dict[int, StageTold] = {}


def store_uri(config: RunConfig, run: RunFolder) -> str:
    """The tracking URI that a configuration means."""
    if config.tracking.mlflow != "sqlite":
        return config.tracking.mlflow
    return f"sqlite:///{run.path.parent / 'mlflow.db'}"


class Tracker:
    """Keeps an MLflow parent run and a nested run per stage up to date, from a thread."""

    def __init__(self, run: RunFolder, config: RunConfig, specs: list[StageSpec]) -> None:
        self.run = run
        self.config = config
        self.specs = specs
        self._client: Any = None
        self._told: Told | None = None
        self._behind = True
        self._status = "FINISHED"
        self._complained = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="tracking", daemon=True)

    def start(self) -> None:
        """Begin to follow the run."""
        self._thread.start()

    def close(self, status: str, patience_seconds: float = 60.0) -> None:
        """Send what is left and end the parent run; `status` as MLflow names it (FINISHED...).

        What cannot be sent in time stays in the run's folder and is sent by the next command that
        trains or resumes the run.
        """
        self._status = status
        self._closing.set()
        self._thread.join(patience_seconds)
        if self._thread.is_alive() or self._behind:
            log.warning("not all of %s has reached MLflow; it will be sent with the next "
                        "`progan resume %s`", self.run.path, self.run.path)  # fmt: skip

    def _follow(self) -> None:
        while not self._closing.wait(SYNC_SECONDS):
            self._try(self._send)
        self._behind = not (self._try(self._send) and self._try(self._end))

    def _try(self, send: Callable[[], None]) -> bool:
        """Tracking never stops a run: a failure is said once and tried again later."""
        try:
            send()
        except Exception as error:
            if not self._complained:
                log.warning("MLflow cannot be told, training goes on: %s", error)
            self._complained = True
            self._told = None
            return False
        self._complained = False
        return True

    def _send(self) -> None:
        client = self._connect()
        told = self._told or self._open(client)
        for spec in self.specs:
            folder = self.run.stage(spec.resolution)
            if folder.metrics.exists():
                self._send_stage(client, told, spec, folder)

    def _connect(self) -> Any:
        if self._client is None:
            for name, value in ENVIRONMENT.items():
                os.environ.setdefault(name, value)
            logging.getLogger("alembic").setLevel(logging.WARNING)
            from mlflow.tracking import MlflowClient

            self._client = MlflowClient(store_uri(self.config, self.run))
        return self._client

    def _open(self, client: Any) -> Told:
        """Go on with the run's MLflow run, or make one."""
        if self.run.tracking.exists():
            told = Told.model_validate_json(self.run.tracking.read_bytes())
            client.update_run(told.run_id, status="RUNNING")
        else:
            name = self.config.tracking.experiment
            experiment = client.get_experiment_by_name(name)
            experiment_id = (
                experiment.experiment_id
                if experiment
                else client.create_experiment(name, self._artifacts())
            )
            made = client.create_run(experiment_id, run_name=self.run.name)
            told = Told(experiment_id=experiment_id, run_id=made.info.run_id)
            self._save(told)
        _log_params(client, told.run_id, flatten(self.config.model_dump(mode="json")))
        client.log_artifact(told.run_id, str(self.run.config))
        self._told = told
        return told

    def _artifacts(self) -> str | None:
        """Beside a sqlite file its artifacts; a server knows its own place."""
        if self.config.tracking.mlflow != "sqlite":
            return None
        return (self.run.path.parent / "mlartifacts").as_uri()

    def _send_stage(self, client: Any, told: Told, spec: StageSpec, folder: StageFolder) -> None:
        stage = told.stages.get(spec.resolution)
        if stage is None:
            made = client.create_run(
                told.experiment_id,
                run_name=f"{self.run.name}-{spec.resolution:04d}",
                tags={"mlflow.parentRunId": told.run_id},
            )
            stage = told.stages[spec.resolution] = StageTold(run_id=made.info.run_id)
            self._save(told)
            _log_params(client, stage.run_id, flatten(spec.model_dump(mode="json")))
        ticks = [t for t in read_ticks(folder.metrics) if t["images_seen"] > stage.ticks_until]
        if ticks and stage.ended:  # re-opened
            client.update_run(stage.run_id, status="RUNNING")
            stage.ended = False
        for tick in ticks:
            client.log_batch(stage.run_id, metrics=_metrics(tick))
            stage.ticks_until = tick["images_seen"]
            self._save(told)
        self._send_samples(client, told, stage, folder)
        if folder.final.exists() and not stage.ended:
            client.set_terminated(stage.run_id)
            stage.ended = True
            self._save(told)

    def _send_samples(self, client: Any, told: Told, stage: StageTold, folder: StageFolder) -> None:
        if not stage.reals and folder.reals.exists():
            client.log_artifact(stage.run_id, str(folder.reals), "samples")
            stage.reals = True
        for path in sorted(folder.samples.glob("fakes_*.png")):
            images_seen = int(path.stem.removeprefix("fakes_"))
            if images_seen > stage.samples_until:
                client.log_artifact(stage.run_id, str(path), "samples")
                stage.samples_until = images_seen
                self._save(told)

    def _end(self) -> None:
        if self._told:
            client = self._connect()
            client.set_terminated(self._told.run_id, self._status)

    def _save(self, told: Told) -> None:
        write_whole(self.run.tracking, told.model_dump_json(indent=2).encode())


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested maps -> one map with dotted keys and values as text."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return flat


def _log_params(client: Any, run_id: str, params: dict[str, str]) -> None:
    """Log what is not logged yet: MLflow's parameters cannot be changed."""
    from mlflow.entities import Param

    known = client.get_run(run_id).data.params
    new = [Param(key, value) for key, value in params.items() if key not in known]
    for start in range(0, len(new), 100):
        client.log_batch(run_id, params=new[start : start + 100])


def _metrics(tick: dict[str, Any]) -> list[Any]:
    """A line of metrics.jsonl as MLflow's metrics, with images_seen as the step."""
    from mlflow.entities import Metric

    when = round(tick["time"] * 1000)
    return [
        Metric(name, float(value), when, tick["images_seen"])
        for name, value in tick.items()
        if name not in NOT_METRICS
    ]
