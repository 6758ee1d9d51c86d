"""Worker processes that diverge or hang."""

import json
import signal
import socket
import time
from pathlib import Path

import psutil
import pytest

from progan.stages.specs.stage import CheckpointSpec, EngineSpec, GrowthSpec
from progan.stages.storage.rollback import EXIT_ROLLED_BACK, read_rollbacks
from progan.stages.storage.stage_folder import StageFolder
from workers import checkpoints, content, figures, kill, run, spec, start, wait_until

POISONED_WORKER = "poisoned_worker.py"
ROLL_BACK = CheckpointSpec(every_minutes=None, every_kimg=0.096, keep=9, on_divergence="rollback")


def failure(folder: StageFolder) -> tuple[int, str]:
    """(exit code, message) in the workers' failure.json."""
    document = json.loads(folder.failure.read_text())
    return document["code"], document["message"]


@pytest.mark.slow
def test_divergence_is_rolled_back_past_the_bad_step(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POISONED_POSITION", "240")
    stage, folder = spec(shapes, checkpoint=ROLL_BACK), StageFolder(tmp_path)
    assert start(stage, tmp_path, 2, POISONED_WORKER).wait(120) != 0
    code, message = failure(folder)
    assert code == EXIT_ROLLED_BACK
    assert message.startswith("8x8 after 240 images: real_logits is not finite on rank 1")
    (rollback,) = read_rollbacks(folder.rollbacks)
    assert (rollback.begin, rollback.end) == (192, 256)
    before = content(folder.checkpoint(192))
    assert start(stage, tmp_path, 2, POISONED_WORKER).wait(120) == 0
    assert content(folder.checkpoint(192)) == before
    assert checkpoints(folder) == [96, 192, 288, 384, 480]
    state = json.loads((folder.checkpoint(288) / "state.json").read_text())
    assert state["position"] == 288 + (256 - 192)


@pytest.mark.slow
def test_divergence_after_max_rollbacks_ends_the_stage(shapes: Path, tmp_path: Path) -> None:
    once = CheckpointSpec(every_minutes=None, on_divergence="rollback", max_rollbacks=1)
    stage, folder = spec(shapes, lr=1e30, checkpoint=once), StageFolder(tmp_path)
    assert start(stage, tmp_path, 1).wait(120) != 0
    assert failure(folder)[0] == EXIT_ROLLED_BACK
    assert start(stage, tmp_path, 1).wait(120) != 0
    code, message = failure(folder)
    assert code == 1 and "rolled back 1 times before" in message


@pytest.mark.slow
def test_watchdog_names_the_missing_rank(shapes: Path, tmp_path: Path) -> None:
    impatient = EngineSpec(precision="fp32", collective_timeout_minutes=0.3)
    long = GrowthSpec(fade_images=0, steady_images=100_000)
    process = start(spec(shapes, engine=impatient, growth=long), tmp_path, ranks=2)
    folder = StageFolder(tmp_path)
    wait_until(lambda: bool(checkpoints(folder)), process, folder)
    time.sleep(3)  # the watchdog tells its host's name after a second
    last = psutil.Process(process.pid).children()[-1]
    last.send_signal(signal.SIGSTOP)
    deadline = time.monotonic() + 60
    while not folder.failure.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    last.send_signal(signal.SIGKILL)
    assert process.wait(60) != 0
    code, message = failure(folder)
    assert code == 1
    assert f"rank 1 of 2 ({socket.gethostname()}) did not arrive within 18 s" in message


@pytest.mark.slow
@pytest.mark.parametrize("zero", [0, 2])
def test_fp16_scales_its_loss_and_resumes_exactly(shapes: Path, tmp_path: Path, zero: int) -> None:
    half = spec(
        shapes,
        engine=EngineSpec(zero=zero, precision="fp16"),
        checkpoint=CheckpointSpec(every_minutes=None, every_kimg=0.096, keep=9),
    )
    uninterrupted = run(half, tmp_path / "uninterrupted", ranks=2)
    # The first scale is too large here: it is halved, and those steps are skipped.
    assert 1 < figures(uninterrupted)[0]["discriminator_loss_scale"] < 2**16
    folder = StageFolder(tmp_path / "killed")
    kill(folder, start(half, folder.path, ranks=2), after=1)
    run(half, folder.path, ranks=2)
    assert figures(folder) == figures(uninterrupted)
    for images_seen in checkpoints(uninterrupted):
        expected = content(uninterrupted.checkpoint(images_seen))
        assert content(folder.checkpoint(images_seen)) == expected
