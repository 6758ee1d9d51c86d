"""The status of a run, from its files alone."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

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
        terminal.print(status_table({"run": "runs/photos", "stages": [stage]}))
    text = capture.get()
    for cell in ("training", "separate", "0.40", "556/12000", "images/s", "111:06:40", "0:11:40"):
        assert cell in text
