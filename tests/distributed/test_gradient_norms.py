"""The norm of a gradient that is shared out over ranks is the norm of the whole."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from workers import BIN

SCRIPT = Path(__file__).parents[1] / "helpers" / "gradient_norms.py"


@pytest.mark.slow
def test_the_norm_does_not_depend_on_who_holds_what(shapes: Path) -> None:
    argv = [str(BIN / "torchrun"), "--standalone", "--nproc-per-node=2", str(SCRIPT), str(shapes)]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(argv, capture_output=True, text=True, env=env, timeout=120)
    assert result.returncode == 0, result.stderr[-3000:]
    said = [line.partition("norms ")[2] for line in result.stdout.splitlines()]
    lines = [json.loads(line) for line in said if line]
    assert len(lines) == 2 * 3 * 2
    for zero, precision, found, expected in lines:
        assert found == pytest.approx(expected, rel=1e-5), (zero, precision)
