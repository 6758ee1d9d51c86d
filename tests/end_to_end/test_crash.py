"""A rank dies in the middle of a stage: `progan train` restarts the stage."""

import subprocess
import time
from pathlib import Path

import pytest

from progan.pipeline.run.events import EventLog
from progan.pipeline.run_folder import RunFolder
from soak import CONFIG, a_rank
from workers import BIN, checkpoints


@pytest.mark.slow
def test_stage_of_a_dead_rank_is_restarted(shapes: Path, tmp_path: Path) -> None:
    config = tmp_path / "tiny.yaml"
    config.write_text(CONFIG % shapes)
    run = RunFolder(tmp_path / "run")
    words = "launch.max_restarts=1", "growth.last=4"
    argv = [str(BIN / "progan"), "train", str(config), *words, "--run", "run"]
    process = subprocess.Popen(argv, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while not checkpoints(run.stage(4)):
        assert process.poll() is None
        time.sleep(0.02)
    a_rank(process, run)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert "starting again in 2 s, from the last checkpoint" in errors
    kinds = [event.kind for event in EventLog(run.events).events() if "resolution" in event.fields]
    assert kinds == ["stage_started", "stage_crashed", "stage_started", "stage_finished"]
