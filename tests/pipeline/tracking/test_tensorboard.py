"""Event files, read back by TensorBoard itself: each tick and grid once."""

from pathlib import Path
from typing import Any

import pytest

from progan.pipeline.tracking.tensorboard.sender import TensorBoardSender
from progan.stages.storage.metrics_log import rewind
from progan.stages.storage.rollback import Rollback, add_rollback
from tracked import TrackedRun

pytestmark = pytest.mark.filterwarnings("ignore")  # of TensorBoard


def read(run: TrackedRun, resolution: int = 4) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = run.folder.path / "tensorboard" / f"{resolution:04d}"
    return EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0}).Reload()


def losses(run: TrackedRun) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in read(run).Scalars("loss")]


def send(run: TrackedRun) -> None:
    TensorBoardSender(run.folder, run.specs).send()


def test_scalars_and_grids_arrive(tmp_path: Path) -> None:
    run = TrackedRun(tmp_path / "run")
    run.train(4, ticks=2)
    run.train(8, ticks=1, loss=0.5)
    TensorBoardSender(run.folder, run.specs).end("FINISHED")
    assert losses(run) == [(100, 1.0), (200, 1.0)]
    found = read(run)
    assert set(found.Tags()["images"]) == {"samples", "reals"}
    images = found.Images("samples")
    assert [image.step for image in images] == [100, 200]
    assert (images[0].width, images[0].encoded_image_string[:4]) == (8, b"\x89PNG")
    assert read(run, 8).Scalars("loss")[0].value == 0.5


def test_resumed_run_has_no_point_twice(tmp_path: Path) -> None:
    run = TrackedRun(tmp_path / "run")
    stage = run.train(4, ticks=5)
    send(run)  # and is killed
    rewind(stage, 200)
    run.train(4, ticks=2)
    send(run)
    run.train(4, ticks=2)
    send(run)
    assert [step for step, _ in losses(run)] == [100, 200, 300, 400, 500, 600]
    assert [image.step for image in read(run).Images("samples")] == [100, 200, 300, 400, 500, 600]
    assert len(read(run).Images("reals")) == 1


@pytest.mark.parametrize("cut", [1, 20, 1000])
def test_what_a_kill_has_cut_off_is_written_again(tmp_path: Path, cut: int) -> None:
    run = TrackedRun(tmp_path / "run")
    run.train(4, ticks=20)
    send(run)
    (file,) = (run.folder.path / "tensorboard" / "0004").iterdir()
    file.write_bytes(file.read_bytes()[:-cut])
    send(run)
    assert [step for step, _ in losses(run)] == list(range(100, 2100, 100))
    assert len(read(run).Images("samples")) == 20


def test_rolled_back_stage_replaces_its_points(tmp_path: Path) -> None:
    run = TrackedRun(tmp_path / "run")
    stage = run.train(4, ticks=4)
    sender = TensorBoardSender(run.folder, run.specs)
    sender.send()
    rewind(stage, 200)
    add_rollback(stage.rollbacks, Rollback(begin=200, end=400, reason="NaN"))
    run.train(4, ticks=1, loss=2.0)
    sender.send()
    assert losses(run) == [(100, 1.0), (200, 1.0), (300, 2.0)]


def test_nothing_new_writes_no_file(tmp_path: Path) -> None:
    run = TrackedRun(tmp_path / "run")
    run.train(4, ticks=1)
    for _ in range(3):
        send(run)
    assert len(list((run.folder.path / "tensorboard" / "0004").iterdir())) == 1


def test_damaged_grid_is_named_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = TrackedRun(tmp_path / "run")
    stage = run.train(4, ticks=2)
    stage.fakes(100).write_bytes(b"no picture")
    send(run)
    assert [image.step for image in read(run).Images("samples")] == [200]
    assert "fakes_000000100.png is not sent to trackers" in caplog.text
