"""Tracking to an MLflow database: it has the metrics and pictures of a run's folder, each once."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from progan.pipeline.run.events import EventLog
from progan.stages.storage.json_lines import append_line
from progan.stages.storage.metrics_log import rewind
from progan.stages.storage.rollback import Rollback, add_rollback
from tracked import TrackedRun, mlflow_runs, steps

# MLflow emits FutureWarnings and DeprecationWarnings.
pytestmark = pytest.mark.filterwarnings("ignore")


def test_stages_are_nested_in_the_run_with_their_own_status(tmp_path: Path, uri: str) -> None:
    run = TrackedRun(tmp_path / "run", "tracking.tags.team=faces")
    run.train(4, ticks=3, phase="done")
    run.finish(4)
    run.train(8, ticks=2, phase="separate")
    run.sender().end("KILLED")
    found = mlflow_runs(uri)
    parent, first, second = found["run"], found["run-0004"], found["run-0008"]
    assert [r["status"] for r in (parent, first, second)] == ["KILLED", "FINISHED", "KILLED"]
    assert first["parent"] == second["parent"] == parent["id"]
    assert (steps(first), steps(second)) == ([100, 200, 300], [100, 200])
    assert (second["grids"], second["samples"]) == ([100, 200], ["samples/reals.png"])
    assert parent["params"]["growth.last"] == second["params"]["resolution"] == "8"
    assert (first["tags"]["phase"], second["tags"]["phase"]) == ("done", "separate")
    assert parent["tags"]["team"] == first["tags"]["team"] == "faces"


def test_values_of_the_ranks_variables_are_not_sent(tmp_path: Path, uri: str) -> None:
    run = TrackedRun(tmp_path / "run", "launch.env.TOKEN=s3cr3t")
    run.train(4, ticks=1)
    run.sender().end("FINISHED")
    assert mlflow_runs(uri)["run"]["params"]["launch.env.TOKEN"] == "***"
    (config,) = (tmp_path / "mlartifacts").rglob("config.yaml")
    assert "TOKEN: '***'" in config.read_text()
    assert b"s3cr3t" not in (tmp_path / "mlflow.db").read_bytes()


def test_resumed_run_continues_its_mlflow_run(tmp_path: Path, uri: str) -> None:
    run = TrackedRun(tmp_path / "run")
    stage = run.train(4, ticks=5)
    run.sender().end("KILLED")
    before = mlflow_runs(uri)["run-0004"]
    rewind(stage, 200)  # the last checkpoint
    run.train(4, ticks=7)
    run.sender().end("KILLED")
    after = mlflow_runs(uri)["run-0004"]
    assert after["id"] == before["id"]
    assert steps(after) == list(range(100, 1000, 100))


def test_thousands_of_ticks_are_sent_in_few_requests(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from progan.pipeline.tracking.mlflow.store import Store

    run = TrackedRun(tmp_path / "run")
    run.train(4, ticks=1)
    for number in range(2000):
        tick = {"images_seen": 200 + number, "phase": "steady", "loss": 1.0, "time": 1e9}
        append_line(run.folder.stage(4).metrics, tick)
    sizes: list[int] = []
    log_points = Store.log_points

    def count_points(store: Store, run_id: str, points: list[Any]) -> None:
        sizes.append(len(points))
        log_points(store, run_id, points)

    monkeypatch.setattr(Store, "log_points", count_points)
    run.sender().send()
    assert sizes == [1000, 1000, 1000, 1000, 2]
    assert len(steps(mlflow_runs(uri)["run-0004"])) == 2001


def test_rolled_back_stage_gets_a_new_mlflow_run(tmp_path: Path, uri: str) -> None:
    run = TrackedRun(tmp_path / "run")
    stage = run.train(4, ticks=5, loss=1.0)
    sender = run.sender()
    sender.send()
    rewind(stage, 200)
    add_rollback(stage.rollbacks, Rollback(begin=200, end=600, reason="NaN"))
    sender.send()
    run.train(4, ticks=3, loss=2.0)
    run.finish(4)
    sender.end("FINISHED")
    found = mlflow_runs(uri)
    kept = found.pop("run-0004")
    assert kept["losses"] == [(100, 1), (200, 1), (300, 2), (400, 2), (500, 2)]
    assert kept["grids"] == [100, 200, 300, 400, 500]
    (superseded,) = (r for name, r in found.items() if name.startswith("run-0004, superseded"))
    assert superseded["losses"] == [(seen, 1) for seen in range(100, 600, 100)]
    assert (superseded["status"], superseded["tags"]["progan.superseded"]) == ("KILLED", "true")


def test_reopened_stage_and_later_ones_get_new_mlflow_runs(tmp_path: Path, uri: str) -> None:
    run = TrackedRun(tmp_path / "run")
    for resolution in (4, 8):
        run.train(resolution, ticks=2)
        run.finish(resolution)
    run.sender().end("FINISHED")
    ids = {name: r["id"] for name, r in mlflow_runs(uri).items()}
    EventLog(run.folder.events).append("stage_reopened", resolution=8)
    run.folder.stage(8).final.rmdir()
    run.train(8, ticks=1)
    run.sender().end("KILLED")
    found = mlflow_runs(uri)
    unchanged = {name: found[name]["id"] == ids[name] for name in ids}
    assert unchanged == {"run": True, "run-0004": True, "run-0008": False}
    assert steps(found["run-0008"]) == [100, 200, 300]


def test_changed_tracking_uri_gets_the_whole_run(tmp_path: Path, uri: str, empty: Path) -> None:
    shutil.copy(empty, tmp_path / "there.db")
    here, there = uri, f"sqlite:///{tmp_path}/there.db"
    TrackedRun(tmp_path / "run", f"tracking.mlflow={here}").train(4, ticks=2)
    for uri in (here, there, here):
        run = TrackedRun(tmp_path / "run", f"tracking.mlflow={uri}")
        run.train(4, ticks=1)
        run.sender().send()
    assert steps(mlflow_runs(there)["run-0004"]) == [100, 200, 300, 400]
    assert steps(mlflow_runs(here)["run-0004"]) == [100, 200, 300, 400, 500]


def test_system_metrics_are_sent_once(tmp_path: Path, uri: str) -> None:
    from mlflow import MlflowClient

    from progan.pipeline.tracking.queue.system_metrics import MachineLog

    run = TrackedRun(tmp_path / "run")
    run.folder.machine.write_text('{"time": 1e9, "cpu_utilization_percentage": 5.0}\n{"cut sh')
    machine = MachineLog(run.folder.machine)
    for _ in range(2):
        machine.sample()
        machine.write()
        run.sender().send()
    client = MlflowClient(uri)
    name = "system/cpu_utilization_percentage"
    points = client.get_metric_history(mlflow_runs(uri)["run"]["id"], name)
    assert [point.step for point in points] == [0, 1, 2]
    assert points[0].value == 5.0
