"""Worker processes: the number of ranks, a kill and a resume change nothing."""

import json
import signal
import time
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest

from progan.stages.specs.stage import CheckpointSpec, EngineSpec, GrowthSpec
from progan.stages.storage.stage_folder import StageFolder
from workers import checkpoints, content, figures, kill, run, spec, start, wait_until


@pytest.fixture(scope="module")
def on_two(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> StageFolder:
    """The stage on two ranks, not interrupted."""
    return run(spec(shapes), tmp_path_factory.mktemp("on-two"), ranks=2)


@pytest.mark.parametrize(
    ("ranks", "zero", "micro_batch", "recompute_from"),
    [
        pytest.param(1, 0, 8, 8, marks=pytest.mark.slow),
        pytest.param(1, 1, None, None, marks=pytest.mark.slow),
        (2, 2, 4, 4),
    ],
)
def test_ranks_sharding_and_accumulation_give_the_same_figures(
    on_two: StageFolder,
    shapes: Path,
    tmp_path: Path,
    ranks: int,
    zero: Literal[0, 1, 2],
    micro_batch: int | None,
    recompute_from: int | None,
) -> None:
    engine = EngineSpec(zero=zero, precision="fp32", activation_checkpointing=recompute_from)
    other = run(spec(shapes, engine=engine, micro_batch=micro_batch), tmp_path, ranks)
    expected, found = figures(on_two), figures(other)
    assert len(expected) == len(found) == 15
    # Only the order of the sums in the all-reduce differs; Adam lets that grow with the steps.
    for before, after in zip(expected, found, strict=True):
        assert before.pop("phase") == after.pop("phase")
        assert after == pytest.approx(before, rel=2e-3, abs=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("option", [{"activation_checkpointing": 4}, {"overlap_comm": True}])
def test_recomputing_and_overlapped_communication_change_no_byte(
    on_two: StageFolder, shapes: Path, tmp_path: Path, option: dict[str, Any]
) -> None:
    engine = EngineSpec.model_validate({"precision": "fp32"} | option)
    other = run(spec(shapes, engine=engine), tmp_path, ranks=2)
    assert figures(other) == figures(on_two)
    assert content(other.final) == content(on_two.final)


def test_killed_stage_resumes_to_the_same_bytes(
    on_two: StageFolder, shapes: Path, tmp_path: Path
) -> None:
    folder = StageFolder(tmp_path)
    kill(folder, start(spec(shapes), tmp_path, ranks=2), after=3)
    run(spec(shapes), tmp_path, ranks=2)
    assert figures(folder) == figures(on_two)
    assert content(folder.final) == content(on_two.final)


@pytest.mark.slow
@pytest.mark.parametrize("request_by", ["SIGUSR1", "SIGHUP", "stop file"])
def test_stop_request_writes_a_checkpoint_and_loses_nothing(
    on_two: StageFolder, shapes: Path, tmp_path: Path, request_by: str
) -> None:
    folder = StageFolder(tmp_path / "stages" / "0008")
    folder.path.parent.mkdir()
    stage = spec(shapes, checkpoint=CheckpointSpec(every_minutes=99))
    process = start(stage, folder.path, ranks=2)
    wait_until(lambda: len(figures(folder)) >= 2, process, folder)
    last_rank = psutil.Process(process.pid).children()[-1]
    last_rank.suspend()  # or a fast machine would finish before the request is seen
    if request_by == "stop file":
        time.sleep(1.1)  # the ranks look for the file once a second
        folder.stop.touch()
    else:
        last_rank.send_signal(signal.Signals[request_by])
    last_rank.resume()
    assert process.wait(60) != 0
    assert json.loads(folder.failure.read_text())["code"] == 75
    assert len(checkpoints(folder)) == 1
    folder.stop.unlink(missing_ok=True)
    assert figures(run(stage, folder.path, ranks=2)) == figures(on_two)


@pytest.mark.slow
def test_non_finite_loss_is_named_and_nothing_is_published(shapes: Path, tmp_path: Path) -> None:
    folder = StageFolder(tmp_path)
    assert start(spec(shapes, lr=1e30), tmp_path, ranks=2).wait(120) != 0
    failure = json.loads(folder.failure.read_text())
    # The discriminator's first step, of length 1e30, makes logits that overflow.
    assert failure["message"] == "8x8 after 0 images: generator_logits is not finite on rank 0"
    assert not folder.final.exists()


def test_bf16_trains_through_a_growth(on_two: StageFolder, shapes: Path, tmp_path: Path) -> None:
    grown = spec(
        shapes,
        resolution=16,
        grown_from=on_two.final,
        growth=GrowthSpec(fade_images=64, steady_images=64),
        engine=EngineSpec(precision="bf16"),
    )
    folder = run(grown, tmp_path, ranks=2)
    phases = [tick["phase"] for tick in figures(folder)]
    assert phases == ["fading", "steady", "steady", "done"]
    assert folder.reals.exists() and folder.fakes(128).exists()


@pytest.mark.slow
def test_another_data_set_is_refused(shapes: Path, tmp_path: Path) -> None:
    assert start(spec(shapes, data_fingerprint="other"), tmp_path, ranks=1).wait(120) != 0
    message = json.loads(StageFolder(tmp_path).failure.read_text())["message"]
    assert "is not the data set that this run began with" in message
