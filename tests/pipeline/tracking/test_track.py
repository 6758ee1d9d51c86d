"""`progan track`: a finished or running run is sent afterwards, each thing once."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

from networks import published
from progan.pipeline.cli.main import main
from progan.pipeline.errors import ConfigError, RunError
from progan.pipeline.run.events import EventLog
from progan.pipeline.tracking import destinations
from progan.pipeline.tracking.queue.lock import sending_lock
from progan.pipeline.tracking.track import track
from tracked import TrackedRun, mlflow_runs, steps

# MLflow and TensorBoard emit warnings.
pytestmark = pytest.mark.filterwarnings("ignore")


def finished(path: Path, *overrides: str) -> TrackedRun:
    run = TrackedRun(path / "run", "tracking.mlflow=off", *overrides)
    for resolution in (4, 8):
        published(run.train(resolution, ticks=2).final, resolution)
    return run


def test_finished_run_is_sent_once(tmp_path: Path, uri: str) -> None:
    run = finished(tmp_path)
    for _ in range(2):
        command, page = track(run.folder.path, "mlflow")
    found = mlflow_runs(uri)
    assert {name: each["status"] for name, each in found.items()} == dict.fromkeys(
        ("run", "run-0004", "run-0008"), "FINISHED"
    )
    assert steps(found["run-0008"]) == [100, 200]
    assert command == f"mlflow ui --backend-store-uri {uri}"
    assert page.endswith(found["run"]["id"])


def test_stopped_run_is_shown_as_stopped(tmp_path: Path, uri: str) -> None:
    run = TrackedRun(tmp_path / "run")
    run.train(4, ticks=1)
    for kind, status in (("stage_started", "RUNNING"), ("stopped", "KILLED")):
        EventLog(run.folder.events).append(kind, resolution=4, handle="")  # type: ignore[arg-type]
        track(run.folder.path, "mlflow")
        assert mlflow_runs(uri)["run"]["status"] == status


def test_other_store_gets_a_running_run_too(tmp_path: Path, uri: str, empty: Path) -> None:
    there = f"sqlite:///{shutil.copy(empty, tmp_path / 'there.db')}"
    run = TrackedRun(tmp_path / "run")
    run.train(4, ticks=2)
    training = run.sender()
    with sending_lock(run.folder, training):
        training.send()
        before = json.loads(run.folder.tracking.read_text())
        for _ in range(2):
            track(run.folder.path, f"mlflow:{there}")
        with pytest.raises(RunError, match="another progan sends .* to MLflow already"):
            track(run.folder.path, "mlflow")
    assert json.loads(run.folder.tracking.read_text()) == before
    for place in (uri, there):
        assert steps(mlflow_runs(place)["run-0004"]) == [100, 200]


def test_command_says_where_to_look(tmp_path: Path) -> None:
    run = finished(tmp_path)
    result = CliRunner().invoke(main, ["track", str(run.folder.path), "--to", "tensorboard"])
    assert result.exit_code == 0, result.output
    assert f"tensorboard --logdir {run.folder.path}/tensorboard" in result.output


def test_offline_run_is_uploaded_by_the_command_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = finished(tmp_path)
    assert track(run.folder.path, "wandb:faces") == [
        f"wandb sync {run.folder.path}/wandb/offline-run-*"
    ]


@pytest.mark.parametrize(
    "to", ["comet", "tensorboard:x", "mlflow:off", "mlflow:host", "wandb:a/b/c", "wandb:off", ""]
)
def test_unknown_tracker_is_refused(tmp_path: Path, to: str) -> None:
    run = finished(tmp_path)
    with pytest.raises(ConfigError, match="--to"):
        track(run.folder.path, to)


def test_credentials_are_refused_and_not_repeated(tmp_path: Path) -> None:
    run = finished(tmp_path)
    with pytest.raises(ConfigError, match="holds credentials") as refused:
        track(run.folder.path, "mlflow:http://me:s3cr3t@host")
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize("extra", ["tensorboard", "wandb"])
def test_missing_package_is_named_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: str
) -> None:
    from progan.pipeline.config.schema import load_config
    from progan.pipeline.train import train

    monkeypatch.setattr(
        destinations, "find_spec", lambda name: None if name == extra else find_spec(name)
    )
    chosen = {"tensorboard": "tracking.tensorboard=true", "wandb": "tracking.wandb=p"}[extra]
    with pytest.raises(ConfigError, match=rf"pip install 'progan\[{extra}\]'"):
        train(load_config("demo", (chosen,)), tmp_path / "run")
    assert not (tmp_path / "run").exists()
