"""Tests marked `gpu`, on a CUDA device that computes nothing (fake_gpu/README.md)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fake_device
from required import require

ROOT = Path(__file__).resolve().parents[3]
RANK = ROOT / "tests/helpers/programs/bound_rank.py"
ELSEWHERE = ("datasets/test_loader.py", "stages/engine/test_update.py", "stages/costs")
"""Where tests for a GPU stand beside those for the CPU"""


@pytest.fixture(scope="module")
def switched_on(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that runs on it."""
    require("fake_gpu", fake_device.problem())
    built = fake_device.build(tmp_path_factory.mktemp("fake-gpu"))
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PROGAN_", "PYTEST_"))}
    return inherited | built


def passed(environment: dict[str, str], marked: str, *files: Path) -> int:
    """How many tests pass; none may fail or be skipped."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", marked, *files],
        cwd=ROOT,
        env=environment | {"PROGAN_SKIPS_ALLOWED": "0"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    return int(done.stdout.split(" passed")[0].split()[-1])


@pytest.mark.slow
def test_the_main_pieces_work_on_a_gpu(switched_on: dict[str, str]) -> None:
    count = passed(switched_on, "gpu and not gpu_values and not slow", ROOT / "tests/stages/gpu")
    assert count > 60


@pytest.mark.slow
def test_all_pieces_work_on_a_gpu(switched_on: dict[str, str]) -> None:
    elsewhere = [ROOT / "tests" / file for file in ELSEWHERE]
    assert passed(switched_on, "gpu and not gpu_values", ROOT / "tests/stages/gpu") > 200
    assert passed(switched_on, "gpu and not gpu_values", *elsewhere) > 7


def ranks(environment: dict[str, str], number: int) -> subprocess.CompletedProcess[str]:
    """Ranks that join a group on their GPUs."""
    torchrun = Path(sys.executable).with_name("torchrun")
    argv = [
        str(torchrun),
        "--standalone",
        "--local-addr=127.0.0.1",
        f"--nproc-per-node={number}",
        str(RANK),
    ]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.slow
@pytest.mark.parametrize("visible", ["0,1", "GPU-aaaaaaaa-0000,GPU-bbbbbbbb-0000"])
def test_each_rank_has_a_gpu(switched_on: dict[str, str], visible: str) -> None:
    done = ranks(switched_on | {"CUDA_VISIBLE_DEVICES": visible}, 2)
    assert done.stdout.count("bound") == 2, done.stderr[-3000:]


@pytest.mark.slow
def test_more_ranks_than_gpus_are_refused(switched_on: dict[str, str]) -> None:
    done = ranks(switched_on, 3)
    assert done.returncode == 1
    assert "of the 3 ranks on" in done.stderr
