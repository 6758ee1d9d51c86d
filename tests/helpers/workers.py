"""Real worker processes for the tests: stages small enough to train in seconds."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

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
WORKER = (str(BIN / "progan-worker"),)


def spec(dataset: Path, **changes: Any) -> StageSpec:
    """A short stage at 8x8 with a fade, as if it were a run's first."""
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


def start(
    stage: StageSpec, path: Path, ranks: int, worker: tuple[str, ...] = WORKER
) -> subprocess.Popen[bytes]:
    """torchrun, in the background."""
    folder = StageFolder(path)
    path.mkdir(parents=True, exist_ok=True)
    folder.failure.unlink(missing_ok=True)
    folder.spec.write_text(stage.model_dump_json())
    argv = [str(BIN / "torchrun"), "--standalone", f"--nproc-per-node={ranks}", "--no-python",
            *worker, "--spec", str(folder.spec)]  # fmt: skip
    with folder.log.open("ab") as log:
        env = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, env=env)


def run(stage: StageSpec, path: Path, ranks: int) -> StageFolder:
    """The stage, to its end."""
    process = start(stage, path, ranks)
    assert process.wait(300) == 0, StageFolder(path).log.read_text()[-3000:]
    return StageFolder(path)


def kill(folder: StageFolder, process: subprocess.Popen[bytes], after: int) -> None:
    """End a launcher at once when its stage has so many checkpoints; return when all have ended."""
    while len(checkpoints(folder)) < after:
        assert process.poll() is None, folder.log.read_text()[-3000:]
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not folder.final.exists()
    for _ in range(100):  # until the kernel has ended the workers
        if subprocess.run(["pgrep", "-f", str(folder.spec)], capture_output=True).returncode:
            return
        time.sleep(0.1)
    raise AssertionError(f"workers of {folder.path} outlive their launcher")


def figures(folder: StageFolder) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without what the clock put in."""
    return [{k: v for k, v in t.items() if k not in CLOCK} for t in read_ticks(folder.metrics)]


def checkpoints(folder: StageFolder) -> list[int]:
    """images_seen of those that are there."""
    return sorted(int(path.name) for path in folder.checkpoints.glob("[0-9]*"))


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a checkpoint or a hand-off."""
    return {file.name: file.read_bytes() for file in folder.iterdir()}
