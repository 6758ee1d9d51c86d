"""The trackers that a configuration names, and what they need; no torch."""

from importlib.util import find_spec
from pathlib import Path

from progan.pipeline.config.schema import RunConfig
from progan.pipeline.errors import ConfigError
from progan.pipeline.run_folder import RunFolder
from progan.pipeline.tracking.mlflow.sender import MLflowSender
from progan.pipeline.tracking.queue.destination import Destination
from progan.pipeline.tracking.tensorboard.sender import TensorBoardSender
from progan.pipeline.tracking.wandb.login import require_login
from progan.pipeline.tracking.wandb.sender import WandbSender
from progan.stages.specs.stage import StageSpec


def require_trackers(config: RunConfig) -> None:
    """ConfigError if a tracker's package is missing, or W&B would have to ask who the user is."""
    tracking = config.tracking
    if tracking.tensorboard:
        _require("tracking.tensorboard", "tensorboard")
    if tracking.wandb != "off":
        _require("tracking.wandb", "wandb")
        require_login()


def destinations(
    run: RunFolder, config: RunConfig, specs: list[StageSpec], state_file: Path | None = None
) -> list[Destination]:
    """Where a run is sent to; `state_file` is MLflow's (MLflowSender)."""
    tracking = config.tracking
    found: list[Destination] = []
    if tracking.mlflow != "off":
        found.append(MLflowSender(run, config, specs, state_file))
    if tracking.tensorboard:
        found.append(TensorBoardSender(run, specs))
    if tracking.wandb != "off":
        found.append(WandbSender(run, config, specs))
    return found


def _require(key: str, package: str) -> None:
    if find_spec(package) is None:
        raise ConfigError(f"{key} needs a library that is missing: pip install 'progan[{package}]'")
