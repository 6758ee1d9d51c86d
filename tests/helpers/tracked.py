"""A run's folder as workers would write it, and the contents of MLflow."""

import re
import time
from pathlib import Path
from typing import Any

from PIL import Image

from progan.datasets.files import write_whole
from progan.pipeline.config.schema import RunConfig, load_config
from progan.pipeline.config.yaml_io import write_yaml
from progan.pipeline.plan.plan import stage_specs
from progan.pipeline.run.events import EventLog
from progan.pipeline.run_folder import RunFolder
from progan.pipeline.tracking.mlflow.sender import MLflowSender
from progan.pipeline.tracking.queue.grids import png_bytes
from progan.stages.storage.json_lines import append_line
from progan.stages.storage.stage_folder import StageFolder

GRID = png_bytes(Image.new("RGB", (8, 8), "red"))
FINGERPRINT = "0123456789abcdef" * 4


class TrackedRun:
    """Two stages, 4x4 and 8x8, without training; `overrides` as on a command line."""

    def __init__(self, path: Path, *overrides: str) -> None:
        self.folder = RunFolder(path)
        chosen = ("growth.last=8", "data.path=nowhere", "tracking.register_as=off", *overrides)
        self.config: RunConfig = load_config("demo", chosen)
        self.specs = stage_specs(self.config, self.folder, FINGERPRINT)
        write_yaml(self.folder.config, self.config)
        EventLog(self.folder.events).append("run_created", data_fingerprint=FINGERPRINT)

    def sender(self) -> MLflowSender:
        """The sender that a command that trains the run uses."""
        return MLflowSender(self.folder, self.config, self.specs)

    def train(
        self, resolution: int, ticks: int, loss: float = 1.0, phase: str = "steady"
    ) -> StageFolder:
        """Add ticks of 100 images, and sample grids, to a stage."""
        stage = self.folder.stage(resolution)
        write_whole(stage.spec, b"{}")
        write_whole(stage.reals, GRID)
        lines = stage.metrics.read_text().count("\n") if stage.metrics.exists() else 0
        for seen in range(100 * lines + 100, 100 * (lines + ticks) + 100, 100):
            tick = {"images_seen": seen, "phase": phase, "loss": loss, "time": time.time()}
            append_line(stage.metrics, tick)
            write_whole(stage.fakes(seen), GRID)
        return stage

    def finish(self, resolution: int) -> None:
        """Create the folder by which tracking recognises a finished stage."""
        self.folder.stage(resolution).final.mkdir()


def mlflow_runs(uri: str) -> dict[str, Any]:
    """MLflow's runs by name: status, steps and values of the loss, grids, parent, tags."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    experiments = [e.experiment_id for e in client.search_experiments()]
    runs = {}
    for run in client.search_runs(experiments):
        history = client.get_metric_history(run.info.run_id, "loss")
        assert run.info.run_name not in runs
        runs[run.info.run_name] = {
            "status": run.info.status,
            "losses": sorted((point.step, point.value) for point in history),
            "samples": sorted(a.path for a in client.list_artifacts(run.info.run_id, "samples")),
            "grids": grid_steps(client, run.info.run_id),
            "parent": run.data.tags.get("mlflow.parentRunId"),
            "tags": run.data.tags,
            "params": run.data.params,
            "id": run.info.run_id,
        }
    return runs


def steps(run: dict[str, Any]) -> list[int]:
    """The steps of its loss."""
    return [step for step, _ in run["losses"]]


def grid_steps(client: Any, run_id: str) -> list[int]:
    """The steps of the sample grids, those of the small files that the user interface shows."""
    names = [artifact.path for artifact in client.list_artifacts(run_id, "images")]
    small = [re.split("[+%]", name) for name in names if "compressed" in name]
    return sorted(int(parts[parts.index("step") + 1]) for parts in small)
