"""progan-worker before training starts."""

import json
import subprocess
from pathlib import Path

from progan.stages.storage.stage_folder import StageFolder
from workers import CONSOLE_SCRIPT, spec


def test_worker_refuses_a_stage_whose_previous_one_is_not_done(
    shapes: Path, tmp_path: Path
) -> None:
    folder = StageFolder(tmp_path)
    folder.spec.write_text(spec(shapes, grown_from=tmp_path / "0004/final").model_dump_json())
    assert subprocess.run([*CONSOLE_SCRIPT, "--spec", str(folder.spec)], timeout=60).returncode == 1
    failure = json.loads(folder.failure.read_text())
    assert failure["message"] == f"the stage before is not done: {tmp_path}/0004/final is not there"
    assert not failure["transient"]
