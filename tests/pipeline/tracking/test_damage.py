"""Damaged files, deleted runs and odd names cost nothing but what was damaged."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from networks import published
from progan.pipeline.tracking.mlflow.store import Store
from tracked import TrackedRun, mlflow_runs, steps

# MLflow emits FutureWarnings and DeprecationWarnings.
pytestmark = pytest.mark.filterwarnings("ignore")
CPU = "system/cpu_utilization_percentage"


def machine_line(number: float) -> str:
    return json.dumps({"time": 1e9 + number, "cpu_utilization_percentage": number}) + "\n"


def machine_points(uri: str) -> list[tuple[int, float]]:
    history = Store(uri, None).client.get_metric_history(mlflow_runs(uri)["run"]["id"], CPU)
    return sorted((point.step, point.value) for point in history)


@pytest.mark.parametrize(
    "damage",
    [b"", b'{"run_id": "ab', b"\x80\xff", b"[]", b'{"run_id": 1}', b'{"stages": {"x": 1}}'],
)
def test_tracking_goes_on_with_a_damaged_state(
    damage: bytes, tmp_path: Path, uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    run = TrackedRun(tmp_path / "run")
    run.folder.machine.write_text("".join(map(machine_line, range(3))))
    run.train(4, ticks=2)
    run.sender().end("KILLED")
    before = {name: found["id"] for name, found in mlflow_runs(uri).items()}
    run.folder.tracking.write_bytes(damage)
    with run.folder.machine.open("a") as file:
        file.write(machine_line(3))
    run.train(4, ticks=1)
    for _ in range(2):
        run.sender().end("KILLED")
    found = mlflow_runs(uri)
    assert caplog.text.count("tracking.json is damaged") == 1
    assert {name: each["id"] for name, each in found.items()} == before
    assert steps(found["run-0004"]) == [100, 200, 300]
    assert machine_points(uri) == [(0, 0), (1, 1), (2, 2), (3, 3)]


@pytest.mark.parametrize("run_id", ["0" * 32, "none", "a/b'c", ""])
def test_a_state_that_names_no_run_of_mlflow_is_as_good_as_none(
    run_id: str, tmp_path: Path, uri: str
) -> None:
    run = TrackedRun(tmp_path / "run")
    run.train(4, ticks=2)
    run.sender().send()
    state = json.loads(run.folder.tracking.read_text())
    run.folder.tracking.write_text(json.dumps(state | {"run_id": run_id, "stages": {}}))
    run.sender().send()
    found = mlflow_runs(uri)
    assert found["run-0004"]["parent"] == found["run"]["id"]
    assert steps(found["run-0004"]) == [100, 200]


def test_what_mlflow_has_is_not_sent_again(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = TrackedRun(tmp_path / "run")
    run.folder.machine.write_text("".join(map(machine_line, range(3))))
    run.train(4, ticks=2)
    run.sender().send()
    run.folder.tracking.write_bytes(b"{")
    sent: list[Any] = []
    monkeypatch.setattr(Store, "log_points", lambda store, run_id, points: sent.extend(points))
    run.sender().send()
    assert sent == []


@pytest.mark.parametrize(
    "damage", ["\0\0\0", "{", "[]", "null", '{"time": 1e9}', '{"time": "x", "a": 1}', "ÿ",
               '{"time": 1e300, "a": 1}', '{"a": 1}', '{"time": 1e9, "a": 1' + "0" * 500 + "}"],
)  # fmt: skip
def test_damaged_lines_of_the_machine_are_named_and_skipped(
    damage: str, tmp_path: Path, uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    run = TrackedRun(tmp_path / "run")
    text = f"{machine_line(0)}{damage}\n{machine_line(2)}"
    run.folder.machine.write_bytes(text.encode("latin-1"))
    sender = run.sender()
    sender.send()
    with run.folder.machine.open("a") as file:
        file.write(machine_line(3))
    sender.send()
    assert machine_points(uri) == [(0, 0), (2, 2), (3, 3)]
    assert caplog.text.count("machine.jsonl, line 2 is damaged and left out") == 1


def test_run_that_was_deleted_in_mlflow_is_sent_anew(tmp_path: Path, uri: str) -> None:
    run = TrackedRun(tmp_path / "run")
    run.train(4, ticks=2)
    run.sender().end("KILLED")
    deleted = mlflow_runs(uri)["run-0004"]["id"]
    Store(uri, None).client.delete_run(deleted)
    run.train(4, ticks=1)
    run.sender().end("KILLED")
    found = mlflow_runs(uri)["run-0004"]
    assert found["id"] != deleted
    assert steps(found) == [100, 200, 300]


@pytest.mark.parametrize("name", ["2026-11-26 12:35", 'a"b', "it's", "x" * 240, "日本 [v2]"])
def test_any_name_of_a_run_is_tracked_and_registered(
    name: str, tmp_path: Path, uri: str, no_export: None
) -> None:
    run = TrackedRun(tmp_path / name, "tracking.register_as=auto", 'tracking.tags={"a/../b`": x}')
    published(run.train(8, ticks=1).final)
    for _ in range(2):
        run.sender().end("FINISHED")
    found = mlflow_runs(uri)
    assert len(found) == 2 and all(each["status"] == "FINISHED" for each in found.values())
    assert found[run.folder.name]["tags"]["b-"] == "x"
    (version,) = Store(uri, None).client.search_model_versions()
    assert version.name.startswith("progan-")


def test_tags_of_the_user_do_not_replace_those_by_which_runs_are_found(
    tmp_path: Path, uri: str
) -> None:
    tags = '{"progan.key": mine, "mlflow.parentRunId": nobody}'
    run = TrackedRun(tmp_path / "run", f"tracking.tags={tags}")
    run.train(4, ticks=1)
    for _ in range(2):
        run.folder.tracking.unlink(missing_ok=True)
        run.sender().send()
    found = mlflow_runs(uri)
    assert found["run-0004"]["parent"] == found["run"]["id"]


@pytest.mark.parametrize("name", ["what?", "50% #1", "a%41b", 'it\'s "x"'])
def test_database_lies_beside_the_run_whatever_its_folder_is_called(
    name: str, tmp_path: Path, empty: Path
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    shutil.copy(empty, folder / "mlflow.db")
    run = TrackedRun(folder / "run")
    run.train(4, ticks=2)
    run.sender().end("FINISHED")
    assert sorted(path.name for path in folder.iterdir()) == ["mlartifacts", "mlflow.db", "run"]
    assert list(tmp_path.iterdir()) == [folder]
    shutil.copy(folder / "mlflow.db", tmp_path / "copy.db")
    assert steps(mlflow_runs(f"sqlite:///{tmp_path}/copy.db")["run-0004"]) == [100, 200]
