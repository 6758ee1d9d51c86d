"""progan-worker before it trains."""

import json
import subprocess
from pathlib import Path

from progan.stages.storage.stage_folder import StageFolder
from workers import CONSOLE_SCRIPT, spec


def test_no_stage_begins_before_the_one_it_grows_from_is_done(shapes: Path, tmp_path: Path) -> None:
    folder = StageFolder(tmp_path)
    folder.spec.write_text(spec(shapes, grown_from=tmp_path / "0004/final").model_dump_json())
    assert subprocess.run([*CONSOLE_SCRIPT, "--spec", str(folder.spec)], timeout=60).returncode == 1
    said = json.loads(folder.failure.read_text())
    assert said["message"] == f"the stage before is not done: {tmp_path}/0004/final is not there"
    assert not said["transient"]
