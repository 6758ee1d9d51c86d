"""`progan train` in a terminal that closes, and with its output in a pipe."""

import os
import pty
import select
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from progan.pipeline.run.orchestrator import read_progress
from progan.pipeline.run_folder import RunFolder
from soak import CONFIG, end, workers
from workers import BIN, checkpoints

FOURS = ("growth.last=4", "checkpoint.every_kimg=null")
"""One stage, of which only its end or a request to stop writes a checkpoint"""


@pytest.fixture
def train(shapes: Path, tmp_path: Path) -> Iterator[list[str]]:
    """The command of a small run; what still runs at the end is killed."""
    config, run = tmp_path / "tiny.yaml", tmp_path / "run"
    config.write_text(CONFIG % shapes)
    yield [str(BIN / "progan"), "train", str(config), *FOURS, "--run", str(run)]
    end(workers(RunFolder(run), ""))


def read_until(reached: Callable[[], bool], terminal: int) -> bytes:
    """What is shown in a terminal until something is reached."""
    shown = b""
    while not reached():
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 65536)
    return shown


@pytest.mark.slow
def test_closed_terminal_ends_a_run_with_a_checkpoint(train: list[str], tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    train.append("growth.steady_kimg=4")
    master, terminal = pty.openpty()
    # util-linux's setsid: the leader of a session whose terminal this is, as a login shell; under
    # nohup, which tests may run under, SIGHUP would be ignored
    argv = ["env", "--default-signal=HUP", "setsid", "--ctty", *train]
    process = subprocess.Popen(argv, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)

    def trains() -> bool:
        assert process.poll() is None
        return bool((at := read_progress(run.stage(4))) and at["images_seen"])

    shown = read_until(trains, master)
    assert b"4x4" in shown and checkpoints(run.stage(4)) == []
    os.close(master)
    assert process.wait(60) == 75
    (seen,) = checkpoints(run.stage(4))
    assert 0 < seen < 4000
    assert workers(run, "") == []
    again = subprocess.run(train, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr
    assert f": at {seen} images" in run.stage(4).log.read_text()


@pytest.mark.slow
def test_reader_that_ends_does_not_end_training(train: list[str], tmp_path: Path) -> None:
    shell = ["bash", "-c", 'set -o pipefail; "$@" 2>&1 | head -1', "-", *train]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout.count("\n")) == (0, 1), done
    assert RunFolder(tmp_path / "run").stage(4).final.is_dir()


@pytest.mark.slow
def test_piped_output_is_progans_own_and_each_line_once(train: list[str], tmp_path: Path) -> None:
    train.append(f"tracking.mlflow=sqlite:///{tmp_path}/mlflow.db")
    done = subprocess.run(train, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, "")
    lines = Counter(done.stderr.splitlines())
    assert set(lines.values()) == {1}, done.stderr
    starts = ("progan: ", "      4x4 ", "run: ", "report: ", "MLflow: ", "pictures: ", "next: ")
    assert [line for line in lines if not line.startswith(starts)] == []
