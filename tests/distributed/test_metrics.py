"""Metrics on real ranks: their number changes nothing, and training never notices."""

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from measured import all_values, alone
from progan.stages.metrics.evaluation import read_evaluation
from progan.stages.metrics.safe_collectives import SafeCollectives, rank_slice
from progan.stages.specs.stage import GrowthSpec, MetricsSpec, StageSpec
from progan.stages.storage.stage_folder import StageFolder
from workers import BIN, content, figures, run, spec, start

HELPER = Path(__file__).parents[1] / "helpers" / "measured.py"
MEASURED = ("swd_16", "swd_mean", "ms_ssim")


def test_shares_are_whole_pairs_and_leave_nothing_out() -> None:
    for count in range(2, 60, 2):
        for size in range(1, 9):
            shares = [rank_slice(count, rank, size) for rank in range(size)]
            assert [x for part in shares for x in range(*part)] == list(range(count))
            assert all(len(part) % 2 == 0 for part in shares)
            assert max(map(len, shares)) - min(map(len, shares)) <= 2


@pytest.mark.slow
def test_two_ranks_measure_what_one_does() -> None:
    argv = [str(BIN / "torchrun"), "--standalone", "--nproc-per-node=2", str(HELPER)]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]
    said = json.loads(result.stdout.splitlines()[-1])
    expected = all_values(SafeCollectives(alone()))
    assert len(expected) == 9
    assert said["values"] == pytest.approx(expected, rel=1e-5)
    # What fails on one of them is known to both, and the exchanges go on.
    assert said["heard"] == ["ValueError: no room (rank 1)"] * 2


def stage(dataset: Path, metrics: MetricsSpec) -> StageSpec:
    growth = GrowthSpec(fade_images=0, steady_images=160)
    return spec(dataset, resolution=16, growth=growth, metrics=metrics)


@pytest.fixture(scope="module")
def measured(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> StageFolder:
    """A stage measured at every tick, in vain for one metric."""
    metrics = MetricsSpec(
        during=("swd", "ms_ssim", "fid"), at_end=("swd", "ms_ssim"), every_ticks=1, images=32
    )
    return run(stage(shapes, metrics), tmp_path_factory.mktemp("measured"), ranks=2)


def unmeasured(folder: StageFolder) -> list[dict[str, Any]]:
    return [{k: v for k, v in t.items() if k not in MEASURED} for t in figures(folder)]


@pytest.mark.slow
def test_every_tick_and_the_end_are_measured(measured: StageFolder) -> None:
    ticks = figures(measured)
    assert len(ticks) == 5 and all(tick["swd_16"] > 0 for tick in ticks)
    results = read_evaluation(measured).results
    assert {r.metric: (r.at, r.images) for r in results} == {"swd": (16, 32), "ms_ssim": (16, 32)}
    last = {name: value for r in results for name, value in r.values.items()}
    assert last == {name: ticks[-1][name] for name in MEASURED}


@pytest.mark.slow
def test_what_cannot_be_measured_is_said_once(measured: StageFolder) -> None:
    log = measured.log.read_text()
    assert log.count("fid is left out: it needs the weights of InceptionV3: download http") == 1


@pytest.mark.slow
def test_training_is_the_same_with_and_without_metrics(
    measured: StageFolder, shapes: Path, tmp_path: Path
) -> None:
    without = run(stage(shapes, MetricsSpec(during=(), at_end=())), tmp_path, ranks=2)
    assert figures(without) == unmeasured(measured)
    assert content(without.final) == content(measured.final)
    assert not without.evaluation.exists()


@pytest.mark.slow
def test_a_killed_stage_measures_the_same(
    measured: StageFolder, shapes: Path, tmp_path: Path
) -> None:
    folder = StageFolder(tmp_path)
    told = StageSpec.model_validate_json(measured.spec.read_bytes())
    process = start(told, tmp_path, ranks=2)
    while len(figures(folder)) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for _ in range(100):  # until the kernel has ended the workers
        if subprocess.run(["pgrep", "-f", str(folder.spec)], capture_output=True).returncode:
            break
        time.sleep(0.1)
    run(told, tmp_path, ranks=2)
    assert figures(folder) == figures(measured)
    assert content(folder.final) == content(measured.final)
    assert folder.evaluation.read_bytes() == measured.evaluation.read_bytes()
