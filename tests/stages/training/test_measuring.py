"""Metrics during training: when they are due, and evaluation.json."""

from pathlib import Path

import pytest
from torch import nn

from progan.stages.metrics.evaluation import Result, add_results, read_evaluation, results_at_end
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.stage import GrowthSpec, MetricsSpec, StageSpec
from progan.stages.storage import handoff
from progan.stages.storage.final import Final
from progan.stages.storage.stage_folder import StageFolder
from progan.stages.training.measuring import due
from workers import spec


@pytest.fixture
def stage(shapes: Path) -> StageSpec:
    metrics = MetricsSpec(during=("swd", "kid"), at_end=("ms_ssim", "swd"), every_ticks=3)
    growth = GrowthSpec(fade_images=0, steady_images=480)
    return spec(shapes, resolution=16, metrics=metrics, growth=growth)


def test_metrics_are_due_every_few_ticks_and_at_the_end(stage: StageSpec) -> None:
    ticks = range(stage.tick.images, 481, stage.tick.images)
    found = {seen: due(seen, stage) for seen in ticks}
    assert {seen: names for seen, names in found.items() if names} == {
        96: ["swd", "kid"], 192: ["swd", "kid"], 288: ["swd", "kid"], 384: ["swd", "kid"],
        480: ["ms_ssim", "swd"],
    }  # fmt: skip


def test_swd_is_not_due_at_small_resolutions(stage: StageSpec) -> None:
    small = stage.model_copy(update={"resolution": 8})
    assert due(96, small) == ["kid"] and due(480, small) == ["ms_ssim"]


def publish(folder: StageFolder, network: nn.Module) -> None:
    final = Final(resolution=16, images_seen=480, model=ModelSpec(), seed=0, data_fingerprint="x")
    handoff.publish(folder.final, final, {"ema": network})


def result(metric: str, at: int, **values: float) -> Result:
    return Result.model_validate({"metric": metric, "at": at, "images": 8, "values": values})


def test_results_are_replaced_by_metric_and_resolution(tmp_path: Path) -> None:
    folder = StageFolder(tmp_path)
    publish(folder, nn.Linear(2, 2))
    add_results(folder, [result("swd", 16, swd_16=5.0), result("ms_ssim", 16, ms_ssim=0.3)])
    add_results(folder, [result("swd", 32, swd_32=9.0), result("swd", 16, swd_16=4.0)])
    found = read_evaluation(folder)
    assert (found.resolution, found.images_seen) == (16, 480)
    assert [(r.metric, r.at, r.values) for r in found.results] == [
        ("swd", 16, {"swd_16": 4.0}),
        ("ms_ssim", 16, {"ms_ssim": 0.3}),
        ("swd", 32, {"swd_32": 9.0}),
    ]


@pytest.mark.parametrize("cause", ["other weights", "damaged"])
def test_results_of_other_weights_are_dropped(tmp_path: Path, cause: str) -> None:
    folder = StageFolder(tmp_path)
    publish(folder, nn.Linear(2, 2))
    add_results(folder, [result("swd", 16, swd_16=5.0)])
    if cause == "damaged":
        folder.evaluation.write_bytes(folder.evaluation.read_bytes()[:-9])
    else:
        publish(folder, nn.Linear(2, 2))
    assert read_evaluation(folder).results == ()


def test_results_at_the_end_come_from_the_last_tick(stage: StageSpec) -> None:
    tick = {"images_seen": 480, "alpha": 1.0, "swd_16": 3.0, "swd_mean": 3.0, "fid": 9.0}
    (found,) = results_at_end(stage, tick, images=96)
    assert (found.metric, found.at, found.images) == ("swd", 16, 96)
    assert found.values == {"swd_16": 3.0, "swd_mean": 3.0}
