"""Where a run is shown in MLflow's user interface."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from progan.pipeline.config.schema import RunConfig
from progan.pipeline.run_folder import RunFolder
from progan.pipeline.tracking.mlflow.state import read_state
from progan.pipeline.tracking.mlflow.store import store_uri

LOCAL = "http://127.0.0.1:5000"
"""Where `mlflow ui` listens"""


@dataclass(frozen=True, slots=True)
class RunPage:
    """A run's page."""

    url: str
    command: str | None
    """What must run for the page to be there; None if a server shows it"""


def run_page(run: RunFolder, config: RunConfig, state_file: Path | None = None) -> RunPage | None:
    """The page of a run's parent MLflow run; None if it is not tracked there, or not yet.

    `mlflow ui` itself opens on a list of experiments. `state_file`: by default RUN/tracking.json.
    """
    if config.tracking.mlflow == "off":
        return None
    state = read_state(state_file or run.tracking, config.tracking.mlflow)
    uri = store_uri(run.path.parent, config.tracking.mlflow)
    if state.run_id is None or uri.startswith("databricks"):
        return None
    page = f"#/experiments/{state.experiment_id}/runs/{state.run_id}"
    if uri.startswith("http"):
        return RunPage(f"{uri.rstrip('/')}/{page}", None)
    return RunPage(f"{LOCAL}/{page}", f"mlflow ui --backend-store-uri {shlex.quote(uri)}")
