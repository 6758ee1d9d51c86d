"""A machine that is lost in mid-stage: another one goes on from the copy at checkpoint.mirror."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faulty_proxy import FaultyProxy
from progan.pipeline.run.mirror.contents import checkpoint_of, name_of, store_of
from progan.pipeline.run.mirror.state import mirror_state
from progan.pipeline.run_folder import RunFolder
from soak import CONFIG, STAGES, end, everything, workers
from workers import BIN, checkpoints, content, figures

MIRROR = "s3://store/runs"


def start(config: Path, machine: Path, *words: str) -> "subprocess.Popen[str]":
    machine.mkdir()
    argv = [str(BIN / "progan"), "train", str(config), *words, "--run", "run"]
    return subprocess.Popen(argv, cwd=machine, stderr=subprocess.PIPE, text=True)


def finished(process: "subprocess.Popen[Any]") -> str:
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    return str(errors)


def copied_checkpoint(process: "subprocess.Popen[Any]", run: RunFolder) -> int:
    """Stop the ranks in the middle of 8x8, and wait for the copy of their newest checkpoint."""
    stage = run.stage(8)
    while len(checkpoints(stage)) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    for rank in workers(run, "progan-worker"):
        rank.suspend()
    assert not stage.final.exists()
    newest = stage.newest_checkpoint
    folder, document = checkpoint_of(stage, newest)
    while name_of(run, folder / document) not in store_of(MIRROR, run).sizes():
        assert process.poll() is None
        time.sleep(0.2)
    return newest


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Path]:
    """A folder for machines; what still runs there at the end is killed."""
    yield tmp_path
    end(workers(RunFolder(tmp_path), ""))


@pytest.mark.slow
def test_another_machine_ends_with_the_bytes_of_an_undisturbed_run(
    s3: FaultyProxy, shapes: Path, machines: Path
) -> None:
    config = machines / "tiny.yaml"
    config.write_text(CONFIG % shapes)
    lost, found, undisturbed = (
        RunFolder(machines / name / "run") for name in ("lost", "found", "undisturbed")
    )
    process = start(config, lost.path.parent, f"checkpoint.mirror={MIRROR}")
    newest = copied_checkpoint(process, lost)
    everything(process, lost)
    process.communicate(timeout=60)
    shutil.rmtree(lost.path.parent)

    told = finished(start(config, found.path.parent, f"checkpoint.mirror={MIRROR}"))
    assert f"{MIRROR}/run: 4x4 finished, 4x4 after" in told
    assert f"8x8 after {newest:,} images" in told
    copy = mirror_state(found, timeout_seconds=60)
    assert copy and copy["state"] == "up_to_date"
    finished(start(config, undisturbed.path.parent))
    for resolution in STAGES:
        stage, expected = found.stage(resolution), undisturbed.stage(resolution)
        assert content(stage.final) == content(expected.final)
        assert figures(stage) == figures(expected)
