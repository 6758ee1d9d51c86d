"""Stages small enough to train in seconds, on real worker processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from forked_ranks import WORKER, ForkedRanks, fork_ranks
from progan.datasets.format.manifest import load_manifest
from progan.datasets.spec import DataSpec
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.objective import ObjectiveSpec
from progan.stages.specs.optimizers import AdamSpec
from progan.stages.specs.stage import (
    CheckpointSpec,
    EmaSpec,
    EngineSpec,
    GrowthSpec,
    StageSpec,
    TickSpec,
)
from progan.stages.storage.metrics_log import CLOCK, read_ticks
from progan.stages.storage.stage_folder import StageFolder

BIN = Path(sys.executable).parent
CONSOLE_SCRIPT = (str(BIN / "progan-worker"),)
Process = ForkedRanks | subprocess.Popen[bytes]
"""A launcher, whose children are the ranks"""


def spec(dataset: Path, **changes: Any) -> StageSpec:
    """30 steps at 8x8, as the first stage of a run."""
    fields = {
        "resolution": 8,
        "grown_from": None,
        "seed": 1,
        "data": DataSpec(path=dataset),
        "data_fingerprint": load_manifest(dataset).fingerprint,
        "batch": 16,
        "lr": 0.002,
        "growth": GrowthSpec(fade_images=0, steady_images=480),
        "model": ModelSpec(latent=16, fmap_base=64, fmap_max=16),
        "objective": ObjectiveSpec(),
        "optimizer": AdamSpec(),
        "ema": EmaSpec(half_life_kimg=0.1),
        "engine": EngineSpec(precision="fp32"),
        "checkpoint": CheckpointSpec(every_minutes=1e-6),
        "tick": TickSpec(images=32, samples_every=100, grid=2),
    }
    return StageSpec.model_validate(fields | changes)


def start(stage: StageSpec, path: Path, ranks: int, program: str = WORKER) -> ForkedRanks:
    """The stage's ranks in the background, forked; `program` as fork_ranks takes it."""
    folder = _with_spec(stage, path)
    return fork_ranks(program, "--spec", str(folder.spec), ranks=ranks, output=folder.log)


def start_by_torchrun(
    stage: StageSpec, path: Path, ranks: int, program: tuple[str, ...] = CONSOLE_SCRIPT
) -> subprocess.Popen[bytes]:
    """torchrun, in the background."""
    folder = _with_spec(stage, path)
    argv = [str(BIN / "torchrun"), "--standalone", f"--nproc-per-node={ranks}", "--no-python",
            *program, "--spec", str(folder.spec)]  # fmt: skip
    with folder.log.open("ab") as log:
        env = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, env=env)


def _with_spec(stage: StageSpec, path: Path) -> StageFolder:
    """A stage's folder as the orchestrator leaves it to the workers."""
    folder = StageFolder(path)
    path.mkdir(parents=True, exist_ok=True)
    folder.failure.unlink(missing_ok=True)
    folder.spec.write_text(stage.model_dump_json())
    return folder


def run(stage: StageSpec, path: Path, ranks: int) -> StageFolder:
    """The stage, trained to its end."""
    process = start(stage, path, ranks)
    assert process.wait(300) == 0, StageFolder(path).log.read_text()[-3000:]
    return StageFolder(path)


def wait_until(reached: Callable[[], bool], process: Process, folder: StageFolder) -> None:
    """Wait for something that the stage's ranks do; AssertionError if they end before."""
    while not reached():
        assert process.poll() is None, folder.log.read_text()[-3000:]
        time.sleep(0.02)


def kill(folder: StageFolder, process: Process, after: int) -> None:
    """SIGKILL a launcher when its stage has `after` checkpoints; return when its ranks ended."""
    wait_until(lambda: len(checkpoints(folder)) >= after, process, folder)
    kill_launcher(folder, process)


def kill_launcher(folder: StageFolder, process: Process) -> None:
    """SIGKILL a launcher; the kernel ends its ranks: return when it has."""
    ranks = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert not folder.final.exists()
    for _ in range(200):
        if not any(map(_is_running, ranks)):
            return
        time.sleep(0.05)
    raise AssertionError(f"workers of {folder.path} outlive their launcher")


def _is_running(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def results(program: str, *arguments: object, output: Path, ranks: int = 2) -> list[Any]:
    """What a script in programs/ prints as `result JSON`, one a line, perhaps after a warning."""
    process = fork_ranks(program, *map(str, arguments), ranks=ranks, output=output)
    assert process.wait(900) == 0, output.read_text()[-3000:]
    lines = [line.partition("result ") for line in output.read_text().splitlines()]
    return [json.loads(document) for _, found, document in lines if found]


def figures(folder: StageFolder) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without times and rates."""
    return [{k: v for k, v in t.items() if k not in CLOCK} for t in read_ticks(folder.metrics)]


def checkpoints(folder: StageFolder) -> list[int]:
    """The images_seen of each one."""
    return sorted(int(path.name) for path in folder.checkpoints.glob("[0-9]*"))


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a checkpoint or a hand-off."""
    return {file.name: file.read_bytes() for file in folder.iterdir()}
