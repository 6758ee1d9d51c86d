"""A build that is killed at any time resumes and ends with the same bytes."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from progan.datasets.build.prepare import prepare
from progan.datasets.synthetic import draw_dataset

KILLS = 20

SCRIPT = """
import sys
from pathlib import Path

from progan.datasets.build.prepare import prepare

if __name__ == "__main__":
    prepare(Path(sys.argv[1]), Path(sys.argv[2]), 128, workers=2)
"""


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def start(script: Path, source: Path, target: Path) -> "subprocess.Popen[bytes]":
    arguments = [sys.executable, str(script), str(source), str(target)]
    return subprocess.Popen(arguments, start_new_session=True)


@pytest.mark.slow
def test_killed_builds_end_with_the_same_bytes(tmp_path: Path) -> None:
    """20 kills at random times of the build, by SIGKILL to its process group."""
    source, script = tmp_path / "pictures", tmp_path / "script.py"
    draw_dataset(source, num=1200, size=128)
    script.write_text(SCRIPT)
    began = time.monotonic()
    subprocess.run([sys.executable, str(script), str(source), str(tmp_path / "whole")], check=True)
    seconds = time.monotonic() - began

    moments, kills, leftovers, builds = random.Random(0), 0, 0, 1
    while kills < KILLS:
        target = tmp_path / f"killed {builds}"
        build = start(script, source, target)
        try:
            build.wait(timeout=moments.uniform(0, seconds))
            assert contents(target) == contents(tmp_path / "whole")
            builds += 1  # it finished before the next kill: start another
        except subprocess.TimeoutExpired:
            os.killpg(build.pid, signal.SIGKILL)
            build.wait()
            kills += 1
            leftovers += sum(1 for _ in target.rglob(".*.tmp"))

    prepare(source, target, 128, workers=2)
    assert contents(target) == contents(tmp_path / "whole")
    print(f"{kills} kills of {builds} builds left {leftovers} half-written files, all removed")
    assert leftovers > 0
