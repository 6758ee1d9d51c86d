"""The toy GAN: it trains with every remedy, and the strongest ones recover modes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from toy_gan.game import SPREAD, centres, score

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "objectives.py"


def run_objectives(*words: str) -> dict[str, dict[str, Any]]:
    """The program's results, by remedy."""
    argv = [sys.executable, str(PROGRAM), "--json", *words]
    process = subprocess.run(argv, capture_output=True, text=True, timeout=600)
    assert process.returncode == 0, process.stderr[-2000:]
    return {result["name"]: result for result in json.loads(process.stdout)}


def test_score_counts_modes_and_good_samples() -> None:
    ring = centres("ring")
    near, far = ring[:3] + SPREAD, ring[3:4] + 4 * SPREAD
    samples = torch.cat([near, far]).repeat_interleave(100, dim=0)
    assert score(samples, ring) == (3, 0.75)


@pytest.mark.slow
def test_toy_trains_with_every_remedy() -> None:
    results = run_objectives("--steps", "10", "--seeds", "1")
    assert len(results) > 30
    for result in results.values():
        assert 0 <= result["modes"][0] <= 8
        assert 0 <= result["good"][0] <= 1
        assert result["baseline"] is None or result["baseline"] in results


@pytest.mark.nightly
@pytest.mark.parametrize("remedy", ["hinge", "gradient", "rmsprop"])
def test_remedy_covers_more_modes_than_its_baseline(remedy: str) -> None:
    results = run_objectives("--only", remedy)
    with_remedy = results[remedy]
    baseline = results[with_remedy["baseline"]]
    assert len(with_remedy["modes"]) == len(baseline["modes"]) == 3
    assert sum(with_remedy["modes"]) > sum(baseline["modes"]) + 3, results
    assert sum(with_remedy["good"]) > sum(baseline["good"]), results
