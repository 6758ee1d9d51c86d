"""The time that a run still takes, by the rate of its stages and by what was measured before."""

import json
from pathlib import Path

import pytest

from drawn_run import BEGAN, draw_run
from progan.pipeline.plan.costs import step_cost
from progan.pipeline.plan.plan import stage_specs
from progan.pipeline.plan.times import REMEMBERED, Hardware, StageTime
from progan.pipeline.run.time_left import TimeLeft, time_left
from progan.pipeline.run_folder import RunFolder, frozen_config
from progan.stages.storage.final import DOCUMENT
from progan.stages.storage.launch_log import append_start, read_starts

WORDS = ("growth.last=16", "growth.fade_kimg=0.32", "growth.steady_kimg=0.32", "ticks.kimg=0.16",
         "ticks.grid=1", "batch=16")  # fmt: skip
SECONDS_PER_IMAGE = {4: 1.6 / 160, 8: 3.2 / 160}
"""Of drawn runs, whose ticks take 0.4 s times the resolution"""


@pytest.fixture(autouse=True)
def nothing_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Stage 4 is done, stage 8 has shown 320 of 640 images, stage 16 has not begun."""
    folder = draw_run(tmp_path / "run", *WORDS, until=(8, 320))
    folder.stage(4).final.mkdir()
    (folder.stage(4).final / DOCUMENT).write_text('{"sha256": {}}')
    return folder


def left(run: RunFolder, ranks: int | None = None) -> TimeLeft | None:
    config = frozen_config(run)
    return time_left(run, config, stage_specs(config, run, ""), ranks)


def remember(run: RunFolder, seconds: dict[int, float], hardware: tuple[object, ...]) -> None:
    for spec in stage_specs(frozen_config(run), run, ""):
        time = StageTime(step_seconds=seconds[spec.resolution], batch=8, steps=2)
        REMEMBERED.write(time.model_dump(), spec, 2, hardware)


OF_THE_RUN = "A processor", 2, 8, False


def test_later_stages_follow_from_the_newest_rate_by_cost(run: RunFolder) -> None:
    found = left(run)
    assert found and not found.by_steps and not found.on_gpus
    assert found.stages.keys() == {8, 16}
    assert found.stages[8] == pytest.approx(320 * SECONDS_PER_IMAGE[8])
    _, newest, last = stage_specs(frozen_config(run), run, "")
    times = step_cost(last, 8, on_gpus=False) / step_cost(newest, 8, on_gpus=False)
    assert found.stages[16] == pytest.approx(640 * SECONDS_PER_IMAGE[8] * times)
    assert found.seconds == sum(found.stages.values())


def test_measured_steps_are_scaled_by_the_newest_rate(run: RunFolder) -> None:
    remember(run, {4: 0.05, 8: 0.16, 16: 0.4}, OF_THE_RUN)
    found = left(run)
    # A step of 16 images took 0.32 s at 8x8, twice of what was measured.
    assert found and found.by_steps and found.stages[16] == pytest.approx(640 / 16 * 0.4 * 2)


def test_steps_of_another_machine_say_nothing(run: RunFolder) -> None:
    remember(run, {4: 1, 8: 1, 16: 1}, ("Another processor", 2, 8, False))
    found = left(run)
    assert found and not found.by_steps


def test_new_run_is_known_by_measured_steps_only(tmp_path: Path) -> None:
    run = draw_run(tmp_path / "new", *WORDS, until=(4, 0))
    assert left(run) is None and left(run, ranks=2) is None
    here = Hardware.here(frozen_config(run).launch, 2)
    remember(run, {4: 0.1, 8: 0.2, 16: 0.3}, (here.device, here.ranks, here.cpus, here.on_gpus))
    found = left(run, ranks=2)
    assert found and found.stages == pytest.approx({4: 2, 8: 8, 16: 12})


def test_pause_between_two_starts_does_not_count(run: RunFolder) -> None:
    """Stage 8 was stopped after 320 images and has gone on a day later, half as fast."""
    stage = run.stage(8)
    (first,) = read_starts(stage.starts)
    began = BEGAN + 86_400
    append_start(stage.starts, first.model_copy(update={"time": began, "images_seen": 320}))
    at = {"images_seen": 480, "phase": "steady", "alpha": 1.0, "images_per_second": 1.0}
    stage.progress.write_text(json.dumps(at | {"time": began + 160 * 0.04}))
    found = left(run)
    assert found and found.stages[8] == pytest.approx(160 * 0.04)


def test_start_of_each_later_stage_is_added(run: RunFolder) -> None:
    without = left(run)
    lines = [json.loads(line) for line in run.events.read_text().splitlines()]
    for line in lines:
        line["time"] -= 7 * (line["event"] == "stage_started")
    run.events.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = left(run)
    assert found and without and found.stages[8] == without.stages[8]
    assert found.stages[16] == pytest.approx(without.stages[16] + 7)


def test_finished_run_has_no_time_left(tmp_path: Path) -> None:
    run = draw_run(tmp_path / "run", *WORDS)
    for resolution in (4, 8, 16):
        run.stage(resolution).final.mkdir()
        (run.stage(resolution).final / DOCUMENT).write_text('{"sha256": {}}')
    found = left(run)
    assert found and found.seconds == 0
