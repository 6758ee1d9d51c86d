"""The toy GAN: it trains with every remedy, and the strongest ones recover modes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from measuring.seeds import helps
from toy_gan.game import SPREAD, centres, score, score_reals

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


def test_fresh_reals_cover_all_modes_and_nearly_all_are_good() -> None:
    for shape, modes in (("ring", 8), ("grid", 25)):
        found = score_reals(shape, seed=0)
        # Within three standard deviations, in the plane: 1 - exp(-9 / 2).
        assert found.modes == modes and found.good == pytest.approx(0.989, abs=0.01)


def test_a_remedy_helps_if_its_worst_seed_beats_the_baselines_best() -> None:
    assert helps([5, 6, 7], [2, 3, 4]) == "yes"
    assert helps([4, 6, 7], [2, 3, 4]) == "within the spread"
    assert helps([2, 3, 4], [4, 3, 2]) == "no"


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
