"""Databases and experiments that refuse a run: training goes on, and the remedy is said."""

import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from progan.pipeline.tracking import tracker
from progan.pipeline.tracking.mlflow import database
from progan.pipeline.tracking.queue.destination import Status, TrackingError
from progan.pipeline.tracking.tracker import Tracker
from tracked import TrackedRun, mlflow_runs, steps

# MLflow emits FutureWarnings and DeprecationWarnings.
pytestmark = pytest.mark.filterwarnings("ignore")


def test_deleted_experiment_can_be_restored(tmp_path: Path, uri: str) -> None:
    run = TrackedRun(tmp_path / "run")
    run.train(4, ticks=1)
    sender = run.sender()
    sender.send()
    client = MlflowClient(uri)
    client.delete_experiment("1")
    run.train(4, ticks=1)
    with pytest.raises(Exception, match="active"):
        sender.send()
    sender.forget()
    with pytest.raises(TrackingError, match="mlflow experiments restore --experiment-id 1"):
        sender.send()
    client.restore_experiment("1")
    sender.send()
    assert steps(mlflow_runs(uri)["run-0004"]) == [100, 200]


def test_stages_of_a_deleted_run_get_the_new_one_as_parent(tmp_path: Path, uri: str) -> None:
    run = TrackedRun(tmp_path / "run")
    run.train(4, ticks=1)
    run.sender().end("KILLED")
    deleted = mlflow_runs(uri)["run"]["id"]
    MlflowClient(uri).delete_run(deleted)
    run.train(4, ticks=1)
    run.sender().end("KILLED")
    found = mlflow_runs(uri)
    assert found["run-0004"]["parent"] == found["run"]["id"] != deleted
    assert steps(found["run-0004"]) == [100, 200]


def test_run_deleted_while_it_trains_is_sent_whole(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = TrackedRun(tmp_path / "run")
    run.train(4, ticks=1)
    sender = run.sender()
    sender.send()
    MlflowClient(uri).delete_run(mlflow_runs(uri)["run-0004"]["id"])
    run.train(4, ticks=1)
    closed(Tracker(run.folder, [sender]))
    assert steps(mlflow_runs(uri)["run-0004"]) == [100, 200]


def closed(following: Tracker, status: Status = "FINISHED", patience: float = 60.0) -> float:
    """Seconds that the end of training waits."""
    following.start()
    begun = time.monotonic()
    following.close(status, patience)
    return time.monotonic() - begun


def test_locked_database_is_named_and_gets_everything_later(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.1)
    run = TrackedRun(tmp_path / "run")
    run.train(4, ticks=2)
    other = sqlite3.connect(tmp_path / "mlflow.db")
    other.execute("BEGIN EXCLUSIVE")
    assert closed(Tracker(run.folder, [run.sender()])) < 5
    assert "mlflow.db is locked by another program: close what keeps it open" in caplog.text
    assert f"progan track {run.folder.path} --to mlflow" in caplog.text
    other.close()
    closed(Tracker(run.folder, [run.sender()]))
    assert steps(mlflow_runs(uri)["run-0004"]) == [100, 200]


@pytest.mark.parametrize(
    "revision, remedy",
    [("bd07f7e963c5", "older MLflow: .* mlflow db upgrade sqlite:"),
     ("fffffffffff0", "newer MLflow.*: pip install --upgrade mlflow")],
)  # fmt: skip
def test_database_of_another_version_is_left_alone(
    tmp_path: Path, uri: str, revision: str, remedy: str
) -> None:
    file = tmp_path / "mlflow.db"
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [revision])
        connection.execute("DROP TABLE assessments")  # MLflow would migrate without asking
    connection.close()
    before = file.read_bytes()
    with pytest.raises(TrackingError, match=remedy):
        TrackedRun(tmp_path / "run").sender().send()
    assert file.read_bytes() == before


def test_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("notes about flows, which are long enough " * 10)
    with pytest.raises(TrackingError, match="mlflow.db cannot be read as a database"):
        TrackedRun(tmp_path / "run").sender().send()


def test_database_that_another_run_creates_meanwhile_is_kept(
    tmp_path: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mlflow.db"
    copy = shutil.copyfile

    def copy_too_late(source: str, target: Path) -> None:
        copy(empty, file)
        copy(empty, target)

    class NoClient:
        def __init__(self, uri: str) -> None: ...

        def search_experiments(self) -> None: ...

    monkeypatch.setattr("mlflow.tracking.MlflowClient", NoClient)
    monkeypatch.setattr(shutil, "copyfile", copy_too_late)
    database.prepare_database(f"sqlite:///{file}")
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]
    assert file.read_bytes() == empty.read_bytes()


START = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tracked import TrackedRun
run = TrackedRun(Path(sys.argv[1]))
run.train(4, ticks=1)
run.sender().end("KILLED")
"""


@pytest.mark.slow
def test_runs_that_start_together_share_a_new_database(tmp_path: Path) -> None:
    helpers = str(Path(__file__).parents[2] / "helpers")
    starts = [
        subprocess.Popen([sys.executable, "-c", START, str(tmp_path / name), helpers])
        for name in "abc"
    ]
    assert [start.wait(120) for start in starts] == [0, 0, 0]
    found = mlflow_runs(f"sqlite:///{tmp_path}/mlflow.db")
    assert {f"{name}-0004" for name in "abc"} <= found.keys()
    assert len({each["tags"]["progan.key"] for each in found.values()}) == 3


class Stuck:
    """A destination that never returns."""

    title = target = "stuck"
    abandoned = False

    def send(self) -> None: ...

    def end(self, status: Status) -> None:
        time.sleep(60)

    def forget(self) -> None: ...

    def abandon(self) -> None:
        self.abandoned = True


def test_end_of_training_waits_for_trackers_a_bounded_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run, stuck = TrackedRun(tmp_path / "a run"), [Stuck(), Stuck()]
    assert closed(Tracker(run.folder, stuck), patience=0.5) < 30
    assert all(each.abandoned for each in stuck)
    assert caplog.text.count(f"progan track '{run.folder.path}' --to stuck") == 2


def test_remedy_is_said_even_after_another_failure(caplog: pytest.LogCaptureFixture) -> None:
    failures = tracker.Failures()
    for _ in range(2):
        failures.warn("MLflow cannot be told", OSError("broken pipe"))
        failures.warn("MLflow cannot be told", TrackingError("restore it"))
    assert [record.getMessage() for record in caplog.records] == [
        "MLflow cannot be told, training goes on: broken pipe",
        "MLflow cannot be told, training goes on: restore it",
    ]
