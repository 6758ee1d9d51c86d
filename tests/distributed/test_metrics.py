"""Metrics on several ranks: the values do not depend on their number, nor training on metrics."""

from pathlib import Path
from typing import Any

import pytest

from measured import all_values, alone
from progan.stages.metrics.evaluation import read_evaluation
from progan.stages.metrics.safe_collectives import SafeCollectives, rank_slice
from progan.stages.specs.stage import GrowthSpec, MetricsSpec, StageSpec
from progan.stages.storage.stage_folder import StageFolder
from workers import content, figures, kill_launcher, results, run, spec, start, wait_until

MEASURED = ("swd_16", "swd_mean", "ms_ssim")


def test_shares_are_whole_pairs_and_cover_all_pictures() -> None:
    for count in range(2, 60, 2):
        for size in range(1, 9):
            shares = [rank_slice(count, rank, size) for rank in range(size)]
            assert [x for part in shares for x in range(*part)] == list(range(count))
            assert all(len(part) % 2 == 0 for part in shares)
            assert max(map(len, shares)) - min(map(len, shares)) <= 2


@pytest.mark.slow
def test_two_ranks_measure_what_one_does(tmp_path: Path) -> None:
    (measured,) = results("measured.py", output=tmp_path / "log")
    expected = all_values(SafeCollectives(alone()))
    assert len(expected) == 11
    assert measured["values"] == pytest.approx(expected, rel=1e-5)
    # An error on one of them is raised on both, and the collectives go on.
    assert measured["errors"] == ["ValueError: no room (rank 1)"] * 2


def stage(dataset: Path, metrics: MetricsSpec) -> StageSpec:
    growth = GrowthSpec(fade_images=0, steady_images=160)
    return spec(dataset, resolution=16, growth=growth, metrics=metrics)


@pytest.fixture(scope="module")
def measured(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> StageFolder:
    """A stage measured at every tick, by a metric whose weights are missing among others."""
    metrics = MetricsSpec(
        during=("swd", "ms_ssim", "fid"), at_end=("swd", "ms_ssim"), every_ticks=1, images=32
    )
    return run(stage(shapes, metrics), tmp_path_factory.mktemp("measured"), ranks=2)


def unmeasured(folder: StageFolder) -> list[dict[str, Any]]:
    return [{k: v for k, v in t.items() if k not in MEASURED} for t in figures(folder)]


@pytest.mark.slow
def test_metrics_are_computed_at_every_tick_and_at_the_end(measured: StageFolder) -> None:
    ticks = figures(measured)
    assert len(ticks) == 5 and all(tick["swd_16"] > 0 for tick in ticks)
    results = read_evaluation(measured).results
    assert {r.metric: (r.at, r.images) for r in results} == {"swd": (16, 32), "ms_ssim": (16, 32)}
    last = {name: value for r in results for name, value in r.values.items()}
    assert last == {name: ticks[-1][name] for name in MEASURED}


@pytest.mark.slow
def test_unavailable_metric_is_logged_once(measured: StageFolder) -> None:
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
def test_killed_stage_measures_the_same(
    measured: StageFolder, shapes: Path, tmp_path: Path
) -> None:
    folder = StageFolder(tmp_path)
    stage = StageSpec.model_validate_json(measured.spec.read_bytes())
    process = start(stage, tmp_path, ranks=2)
    wait_until(lambda: len(figures(folder)) >= 2, process, folder)
    kill_launcher(folder, process)
    run(stage, tmp_path, ranks=2)
    assert figures(folder) == figures(measured)
    assert content(folder.final) == content(measured.final)
    assert folder.evaluation.read_bytes() == measured.evaluation.read_bytes()
