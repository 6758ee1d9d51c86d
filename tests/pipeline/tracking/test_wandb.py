"""W&B's client offline: its files have each tick and grid once, also after a kill."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from progan.pipeline.tracking.wandb.sender import WandbSender
from progan.pipeline.tracking.wandb.transaction_log import history_rows
from progan.stages.storage.metrics_log import rewind
from progan.stages.storage.rollback import Rollback, add_rollback
from tracked import TrackedRun

PROGAN = str(Path(sys.executable).with_name("progan"))
pytestmark = pytest.mark.filterwarnings("ignore")  # of W&B's client


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIG", "CACHE", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def tracked(path: Path) -> TrackedRun:
    return TrackedRun(path / "run", "tracking.wandb=faces", "tracking.tags.team=x")


def sender(run: TrackedRun) -> WandbSender:
    return WandbSender(run.folder, run.config, run.specs)


def rows(run: TrackedRun, key: str, resolution: int = 4, lineage: str = "0-0") -> list[int]:
    """The values of a key in all files of a stage's W&B run."""
    pattern = f"wandb/offline-run-*/run-*-{resolution:04d}-{lineage}.wandb"
    return sorted(
        int(row[key])
        for file in run.folder.path.glob(pattern)
        for row in history_rows(file)
        if key in row
    )


def test_scalars_and_grids_arrive(tmp_path: Path) -> None:
    run = tracked(tmp_path)
    run.train(4, ticks=2)
    run.finish(4)
    run.train(8, ticks=1)
    sender(run).end("KILLED")
    assert (rows(run, "images_seen"), rows(run, "loss")) == ([100, 200], [1, 1])
    assert rows(run, "samples_images_seen") == [100, 200]
    assert rows(run, "images_seen", 8) == [100]
    assert len(list(run.folder.path.glob("wandb/offline-run-*-0008-*/files/media/images/*"))) == 1


def test_resumed_run_has_no_point_twice(tmp_path: Path) -> None:
    run = tracked(tmp_path)
    stage = run.train(4, ticks=5)
    sender(run).end("KILLED")
    rewind(stage, 200)
    run.train(4, ticks=4)
    sender(run).end("KILLED")
    assert rows(run, "images_seen") == [100, 200, 300, 400, 500, 600]
    assert rows(run, "samples_images_seen") == [100, 200, 300, 400, 500, 600]


def test_finished_stage_is_not_opened_again(tmp_path: Path) -> None:
    run = tracked(tmp_path)
    run.train(4, ticks=1)
    run.finish(4)
    for _ in range(2):
        sender(run).end("FINISHED")
    assert len(list(run.folder.path.glob("wandb/offline-run-*"))) == 1


def test_rolled_back_stage_gets_a_new_run(tmp_path: Path) -> None:
    run = tracked(tmp_path)
    stage = run.train(4, ticks=3)
    tracking = sender(run)
    tracking.send()
    rewind(stage, 100)
    add_rollback(stage.rollbacks, Rollback(begin=100, end=300, reason="NaN"))
    run.train(4, ticks=1)
    tracking.end("KILLED")
    assert rows(run, "images_seen", lineage="0-1") == [100, 200]
    assert rows(run, "images_seen", lineage="0-0") == [100, 200, 300]


PROGRAM = """
import os, sys
from pathlib import Path
from progan.pipeline.plan.plan import stage_specs
from progan.pipeline.run_folder import RunFolder, frozen_config
from progan.pipeline.tracking.wandb import sender
run, how = RunFolder(Path(sys.argv[1])), sys.argv[2]
config = frozen_config(run)
sender.INIT_SECONDS = 2.0 if how == "unreachable" else 60.0
tracking = sender.WandbSender(run, config, stage_specs(config, run, ""))
tracking.send()
if how == "killed":
    os.kill(os.getpid(), 9)
tracking.abandon()
"""


def in_a_process(run: TrackedRun, how: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Send the run in a process with a client of its own."""
    environment = {k: v for k, v in os.environ.items() if k != "WANDB_SERVICE"} | variables
    argv = [sys.executable, "-c", PROGRAM, str(run.folder.path), how]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, env=environment)


@pytest.mark.slow
def test_killed_process_loses_nothing(tmp_path: Path) -> None:
    run = tracked(tmp_path)
    run.train(4, ticks=3)
    assert in_a_process(run, "killed").returncode == -signal.SIGKILL
    run.train(4, ticks=1)
    sender(run).end("KILLED")
    assert rows(run, "images_seen") == [100, 200, 300, 400]


@pytest.mark.slow
def test_abandoned_client_does_not_keep_the_process(tmp_path: Path) -> None:
    run = tracked(tmp_path)
    run.train(4, ticks=1)
    result = in_a_process(run, "abandoned")
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.slow
def test_unreachable_server_is_an_error_within_the_time(tmp_path: Path) -> None:
    run = tracked(tmp_path)
    run.train(4, ticks=1)
    online = {"WANDB_MODE": "online", "WANDB_BASE_URL": "http://127.0.0.1:9"}
    result = in_a_process(run, "unreachable", WANDB_API_KEY="0" * 40, **online)
    assert result.returncode == 1
    assert "127.0.0.1:9" in result.stderr.splitlines()[-1]


@pytest.mark.slow
def test_missing_login_is_said_before_training(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "WANDB_SERVICE"}
    argv = [PROGAN, "train", "demo", "tracking.wandb=faces", "--run", str(tmp_path / "run")]
    result = subprocess.run(
        argv, capture_output=True, text=True, env=environment | {"WANDB_MODE": "online"}
    )
    assert result.returncode == 2
    assert "run `wandb login`, or set WANDB_API_KEY" in result.stderr
    assert not (tmp_path / "run").exists()
