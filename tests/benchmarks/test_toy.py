"""The toy that remedies are shown by: all can be played, and the strongest do what they claim."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from toy import SPREAD, centres, score

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "objectives.py"


def played(*words: str) -> dict[str, dict[str, Any]]:
    """What the program found, by remedy."""
    argv = [sys.executable, str(PROGRAM), "--json", *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return {result["name"]: result for result in json.loads(done.stdout)}


def test_modes_and_good_samples_are_counted() -> None:
    ring = centres("ring")
    near, far = ring[:3] + SPREAD, ring[3:4] + 4 * SPREAD
    found = score(torch.cat([near, far]).repeat_interleave(100, dim=0), ring)
    assert found == (3, 0.75)


@pytest.mark.slow
def test_every_remedy_can_be_played() -> None:
    found = played("--steps", "10", "--seeds", "1")
    assert len(found) > 30
    for result in found.values():
        assert 0 <= result["modes"][0] <= 8
        assert 0 <= result["good"][0] <= 1
        assert result["beside"] is None or result["beside"] in found


@pytest.mark.nightly
@pytest.mark.parametrize("remedy", ["hinge", "gradient", "rmsprop"])
def test_a_remedy_covers_modes_that_are_lost_without_it(remedy: str) -> None:
    found = played("--only", remedy)
    with_it = found[remedy]
    without = found[with_it["beside"]]
    assert len(with_it["modes"]) == len(without["modes"]) == 3
    assert sum(with_it["modes"]) > sum(without["modes"]) + 3, found
    assert sum(with_it["good"]) > sum(without["good"]), found
