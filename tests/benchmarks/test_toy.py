"""A toy that plain minimax loses: remedies whose papers claim so cover more of its modes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "objectives.py"
REMEDIES = ["nonsaturating", "minimax + r1", "wgan-gp"]


@pytest.mark.slow
def test_remedies_cover_modes_that_minimax_drops() -> None:
    argv = [sys.executable, str(PROGRAM), "--json", "--only", "minimax", *REMEDIES]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    found = {result["name"]: result for result in json.loads(done.stdout)}
    plain = found["minimax"]["modes"]
    assert len(plain) == 3
    for name in REMEDIES:
        assert sum(found[name]["modes"]) > sum(plain) + 3, found
