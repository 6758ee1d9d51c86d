"""The status of a run, from its files alone."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from drawn_run import draw_run
from progan.pipeline.config.schema import load_config
from progan.pipeline.config.yaml_io import write_yaml
from progan.pipeline.run.events import EventLog
from progan.pipeline.run.status import status, status_table
from progan.pipeline.run.terminal import Terminal
from progan.pipeline.run_folder import RunFolder


def ended(code: int, transient: bool = False) -> dict[str, Any]:
    return {"message": "x", "rank": 0, "code": code, "transient": transient}


@pytest.mark.parametrize(
    ("seconds_ago", "failure", "expected"),
    [
        (None, None, "waiting"),
        (1, None, "training"),
        (1000, None, "silent"),
        (1000, ended(75), "stopped"),
        (1000, ended(1), "failed"),
        (None, ended(1, transient=True), "crashed"),
    ],
)
def test_states_of_a_stage_in_a_queue(
    seconds_ago: float | None, failure: dict[str, Any] | None, expected: str, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path)
    words = ("growth.last=8", "launch.backend=slurm", "launch.nodes=1", "launch.gpus_per_node=1")
    write_yaml(run.config, load_config("demo", words))
    for resolution in (4, 8):
        EventLog(run.events).append("stage_started", resolution=resolution, handle="7")
    folder = run.stage(4)
    folder.path.mkdir(parents=True)
    if seconds_ago is not None:
        progress = {"time": time.time() - seconds_ago, "images_seen": 5, "alpha": 1.0,
                    "phase": "steady", "images_per_second": 9.0, "nodes": 12}  # fmt: skip
        folder.progress.write_text(json.dumps(progress))
    if failure is not None:
        folder.failure.write_text(json.dumps(failure))
    document = status(run)
    assert [stage["state"] for stage in document["stages"]] == [expected, "waiting"]
    table = status_table(document)
    nodes = next(column for column in table.columns if column.header == "nodes")
    assert list(nodes.cells) == ["12" if expected == "training" else "-", "-"]


def test_table_fits_a_terminal_of_80_columns() -> None:
    progress = {"phase": "separate", "alpha": 0.4, "images_seen": 555_555, "nodes": 16}
    stage = {
        "resolution": 1024, "state": "training", "total_images": 12_000_000, "seconds_left": 4e5,
        "progress": progress | {"images_per_second": 1234.5}, "last_checkpoint": 500_000,
        "checkpoint_age_seconds": 700,
    }  # fmt: skip
    terminal = Terminal(width=80)
    with terminal.capture() as capture:
        document = {"run": "runs/photos", "seconds_left": 5e5, "ends_at": 0.0, "waits_for": None}
        document["stages"] = [stage]
        terminal.print(status_table(document))
    text = capture.get()
    for cell in ("training", "separate", "0.40", "556/12000", "images/s", "111:06:40", "0:11:40",
                 "whole run: about 5 d 19 h left"):  # fmt: skip
        assert cell in text


def test_time_left_of_the_run_is_the_sum_of_its_stages(tmp_path: Path) -> None:
    words = ("growth.fade_kimg=0.3", "growth.steady_kimg=0.3", "ticks.kimg=0.05", "ticks.grid=1")
    run = draw_run(tmp_path / "run", *words, until=(8, 200))
    document = status(run)
    lefts = [stage["seconds_left"] for stage in document["stages"]]
    assert lefts[0] == 0 < lefts[1] and document["seconds_left"] == pytest.approx(sum(lefts))
    assert document["ends_at"] is None, "it does not train at present"
    progress = {"time": time.time(), "images_seen": 208, "alpha": 0.7, "phase": "fading",
                "images_per_second": 9.0, "nodes": 1}  # fmt: skip
    run.stage(8).progress.write_text(json.dumps(progress))
    document = status(run)
    assert document["ends_at"] == pytest.approx(time.time() + document["seconds_left"], abs=5)


def test_time_left_is_unknown_before_the_start(tmp_path: Path) -> None:
    document = status(draw_run(tmp_path / "run", "growth.last=8", until=(4, 0)))
    assert document["seconds_left"] is None and document["ends_at"] is None
    assert "whole run" not in str(status_table(document).caption)
