"""torchrun itself: stages that it starts, kills and resumes, and signals that it passes on."""

import json
import signal
from pathlib import Path

import pytest

from progan.stages.specs.stage import CheckpointSpec
from progan.stages.storage.stage_folder import StageFolder
from workers import checkpoints, content, figures, kill, run, spec, start_by_torchrun, wait_until

pytestmark = pytest.mark.slow
CHECKPOINTS = CheckpointSpec(every_minutes=1e-6, every_kimg=0.48)
"""By time one is left out while another is being written; that of the end is due by images too"""


@pytest.fixture(scope="module")
def forked(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> StageFolder:
    """The stage on two forked ranks, not interrupted."""
    return run(spec(shapes, checkpoint=CHECKPOINTS), tmp_path_factory.mktemp("forked"), ranks=2)


def resume(folder: StageFolder, shapes: Path) -> None:
    stage = spec(shapes, checkpoint=CHECKPOINTS)
    assert start_by_torchrun(stage, folder.path, ranks=2).wait(300) == 0


def test_stage_killed_and_resumed_by_torchrun_ends_with_the_bytes_of_forked_ranks(
    forked: StageFolder, shapes: Path, tmp_path: Path
) -> None:
    folder = StageFolder(tmp_path)
    stage = spec(shapes, checkpoint=CHECKPOINTS)
    kill(folder, start_by_torchrun(stage, tmp_path, ranks=2), after=3)
    resume(folder, shapes)
    assert figures(folder) == figures(forked)
    assert content(folder.final) == content(forked.final)
    assert content(folder.checkpoint(480)) == content(forked.checkpoint(480))


def test_signal_to_torchrun_stops_the_stage_with_a_checkpoint(
    forked: StageFolder, shapes: Path, tmp_path: Path
) -> None:
    folder = StageFolder(tmp_path)
    stage = spec(shapes, checkpoint=CheckpointSpec(every_minutes=99))
    process = start_by_torchrun(stage, tmp_path, ranks=2)
    wait_until(lambda: len(figures(folder)) >= 2, process, folder)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) != 0
    assert json.loads(folder.failure.read_text())["code"] == 75
    assert len(checkpoints(folder)) == 1
    resume(folder, shapes)
    assert figures(folder) == figures(forked)
