"""The recorder's parts, each alone: tick log, sample grids, checkpoint clock, heartbeat."""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from measured import alone
from progan.datasets.loader import Batches
from progan.stages.images import columns_of
from progan.stages.networks.generator import Generator
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.stage import CheckpointSpec, GrowthSpec, TickSpec
from progan.stages.storage.metrics_log import CLOCK, RunningMeans
from progan.stages.storage.stage_folder import StageFolder
from progan.stages.training.checkpoint_clock import CheckpointClock
from progan.stages.training.heartbeat import Heartbeat
from progan.stages.training.recorder import disk_errors_logged
from progan.stages.training.sample_grids import SampleGrids
from progan.stages.training.tick_log import TickLog
from workers import spec

FADE = GrowthSpec(fade_images=320, steady_images=160)
CPU = torch.device("cpu")
Advance = Callable[[float], None]


@pytest.fixture
def advance(monkeypatch: pytest.MonkeyPatch) -> Advance:
    """Moves the monotonic clock, which stands still otherwise."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def by(seconds: float) -> None:
        now[0] += seconds

    return by


def test_tick_has_means_rates_metrics_and_clock(shapes: Path, advance: Advance) -> None:
    stage = spec(shapes, growth=FADE, discriminator_lr=0.004)
    ticks = TickLog(stage, CPU, RunningMeans(), images_seen=0)
    ticks.add({"generator_loss": 1.0}, data_wait_seconds=1.0)
    ticks.add({"generator_loss": 2.0, "gradient_penalty": 5.0}, data_wait_seconds=0.0)
    advance(4)

    def measure() -> dict[str, float]:
        advance(60)
        return {"swd_16": 7.0}

    tick = ticks.end(32, measure)
    assert tuple(tick) == (
        "images_seen", "phase", "alpha", "lr", "discriminator_lr", "generator_loss",
        "gradient_penalty", "swd_16", "time", "seconds", "images_per_second", "data_wait_share",
        "resident_memory_bytes",
    )  # fmt: skip
    assert (tick["phase"], tick["alpha"]) == ("fading", 0.1)
    assert (tick["lr"], tick["discriminator_lr"]) == (0.002, 0.004)
    assert (tick["generator_loss"], tick["gradient_penalty"]) == (1.5, 5.0)
    assert (tick["seconds"], tick["images_per_second"], tick["data_wait_share"]) == (4, 8, 0.25)


def test_time_of_metrics_belongs_to_no_tick(shapes: Path, advance: Advance) -> None:
    ticks = TickLog(spec(shapes), CPU, RunningMeans(), images_seen=64)

    def measure() -> dict[str, float]:
        advance(60)
        return {}

    for images_seen in (96, 128):
        ticks.add({"generator_loss": images_seen}, data_wait_seconds=0.5)
        advance(2)
        tick = ticks.end(images_seen, measure)
        assert (tick["seconds"], tick["images_per_second"]) == (2, 16)
        assert (tick["generator_loss"], tick["data_wait_share"]) == (images_seen, 0.25)


def test_unfinished_tick_continues_from_its_state(shapes: Path, advance: Advance) -> None:
    stage, means = spec(shapes), RunningMeans()
    whole = TickLog(stage, CPU, means, images_seen=0)
    whole.add({"generator_loss": 0.1}, 0.0)
    resumed = TickLog(stage, CPU, RunningMeans(**json.loads(json.dumps(whole.state()))), 16)
    lines = []
    for ticks in (whole, resumed):
        ticks.add({"generator_loss": 0.2}, 0.0)
        advance(1)
        lines.append({k: v for k, v in ticks.end(32, dict).items() if k not in CLOCK})
    assert lines[0] == lines[1]


def test_checkpoints_by_images_are_due_at_multiples(shapes: Path) -> None:
    clock = CheckpointClock(spec(shapes, checkpoint=CheckpointSpec(every_kimg=0.1)))
    due = [seen for seen in range(16, 321, 16) if clock.due_by_images(seen)]
    assert due == [112, 208, 304]
    never = CheckpointClock(spec(shapes, checkpoint=CheckpointSpec(every_kimg=None)))
    assert not any(never.due_by_images(seen) for seen in range(16, 321, 16))


def test_checkpoints_by_time_are_due_after_the_last_one(shapes: Path, advance: Advance) -> None:
    clock = CheckpointClock(spec(shapes, checkpoint=CheckpointSpec(every_minutes=2)))
    advance(119)
    assert not clock.due_by_time()
    advance(1)
    assert clock.due_by_time()
    clock.restart()
    assert not clock.due_by_time()
    advance(1e9)
    assert not CheckpointClock(
        spec(shapes, checkpoint=CheckpointSpec(every_minutes=None))
    ).due_by_time()


def test_heartbeat_rewrites_progress_once_a_second(tmp_path: Path, advance: Advance) -> None:
    path = tmp_path / "progress.json"
    heartbeat = Heartbeat(path, FADE, images_seen=64, nodes=2, ranks=8)
    advance(0.9)
    heartbeat.beat(80)
    assert not path.exists()
    advance(1.1)
    heartbeat.beat(96)
    advance(0.9)
    heartbeat.beat(112)
    progress = json.loads(path.read_text())
    assert progress.pop("time") > 0
    assert progress == {
        "images_seen": 96, "phase": "fading", "alpha": 0.3, "images_per_second": 16.0,
        "nodes": 2, "ranks": 8,
    }  # fmt: skip
    assert [file.name for file in tmp_path.iterdir()] == ["progress.json"]


def test_heartbeat_ignores_disk_errors(tmp_path: Path, advance: Advance) -> None:
    heartbeat = Heartbeat(tmp_path / "gone" / "progress.json", FADE, 0, nodes=1, ranks=1)
    advance(1)
    heartbeat.beat(16)
    assert not list(tmp_path.iterdir())


def test_other_disk_errors_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), disk_errors_logged():
        raise OSError(28, "No space left on device")
    assert "No space left on device; training goes on" in caplog.text
    with pytest.raises(ValueError), disk_errors_logged():
        raise ValueError


def test_sample_grids_have_the_stages_size(shapes: Path, tmp_path: Path) -> None:
    folder = StageFolder(tmp_path)
    model = ModelSpec(latent=8, fmap_base=64, fmap_max=8)
    stage = spec(shapes, model=model, tick=TickSpec(images=32, samples_every=3, grid=3))
    grids = SampleGrids(folder, stage, alone())
    with Batches(stage.data, 8, seed=1, batch=16, rank=0, world_size=1) as batches:
        grids.write_reals(batches)
        before = folder.reals.stat().st_mtime_ns
        grids.write_reals(batches)
    assert folder.reals.stat().st_mtime_ns == before
    grids.write_fakes(Generator(model, 8, fading=False), 96)
    for path in (folder.reals, folder.fakes(96)):
        with Image.open(path) as sheet:
            assert sheet.width == sheet.height and columns_of(sheet, 8) == 3


def test_sample_grids_are_due_every_few_ticks_and_at_the_end(shapes: Path, tmp_path: Path) -> None:
    stage = spec(shapes, tick=TickSpec(images=32, samples_every=4, grid=2))
    grids = SampleGrids(StageFolder(tmp_path), stage, alone())
    assert [seen for seen in range(32, 481, 32) if grids.due(seen)] == [128, 256, 384, 480]
