"""Every loss and penalty, on two ranks: bf16, ZeRO 1, parts, a fade, and a checkpoint within it."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from workers import BIN

SCRIPT = Path(__file__).parents[1] / "helpers" / "every_piece.py"


@pytest.mark.slow
def test_each_goes_on_from_a_checkpoint_as_if_nothing_had_been(
    shapes: Path, tmp_path: Path
) -> None:
    torchrun = str(BIN / "torchrun"), "--standalone", "--nproc-per-node=2"
    argv = [*torchrun, str(SCRIPT), str(shapes), str(tmp_path)]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(argv, capture_output=True, text=True, env=env, timeout=900)
    assert result.returncode == 0, result.stderr[-3000:]
    said = [line.partition("piece ")[2] for line in result.stdout.splitlines()]
    found = dict(json.loads(line) for line in said if line)
    assert len(found) == 35
    assert [name for name, same in found.items() if not same] == []
