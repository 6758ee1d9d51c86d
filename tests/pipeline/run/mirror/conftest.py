"""A run on one machine, and its folder on another."""

from pathlib import Path

import pytest

from mirrored import MIRROR, add_checkpoint, write_config
from networks import published
from progan.pipeline.run.events import EventLog
from progan.pipeline.run_folder import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Stage 4 is finished; stage 8 has checkpoints after 100 and 200 images."""
    run = RunFolder(tmp_path / "first" / "faces")
    words = f"checkpoint.mirror={MIRROR}", "launch.env.KEY=secret", "engine.precision=fp32"
    write_config(run, *words)
    EventLog(run.events).append("run_created", data_fingerprint="f" * 64)
    for resolution in (4, 8):
        stage = run.stage(resolution)
        stage.samples.mkdir(parents=True)
        stage.spec.write_text("{}")
        stage.fakes(100).write_bytes(b"grid")
        add_checkpoint(stage, 100)
    add_checkpoint(run.stage(8), 200)
    published(run.stage(4).final, resolution=4)
    return run


@pytest.fixture
def elsewhere(run: RunFolder, tmp_path: Path) -> RunFolder:
    """The run's folder on a machine that has nothing of it."""
    return RunFolder(tmp_path / "second" / run.name)
