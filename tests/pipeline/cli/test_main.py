"""The command line: messages, exit codes, imports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGAN = str(Path(sys.executable).with_name("progan"))


def progan(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    argv = [PROGAN, *map(str, words)]
    return subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=60)


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    result = progan("--debug", "status", "nowhere", cwd=tmp_path)
    assert result.returncode == 1 and "Traceback" in result.stderr


def test_plan_prints_one_json_document(tmp_path: Path) -> None:
    result = progan("plan", "celebahq-1024-1gpu", "growth.first=512", "--json", cwd=tmp_path)
    document = json.loads(result.stdout)
    assert document["total_kimg"] == 600 + 3_000
    last = document["stages"][-1]
    assert last["generator_parameters"] == 23_071_507 + 99
    weights = 4 * (last["generator_parameters"] + last["discriminator_parameters"])
    constants = 4 * 16 * (9 * 16)  # of the 16 layers that resample
    assert last["memory_bytes_by_use"]["weights"] == weights + constants
    assert last["memory_bytes"] == sum(last["memory_bytes_by_use"].values())


@pytest.mark.parametrize(
    "module",
    ["cli.main", "cli.views.evaluate", "cli.views.plan", "plan.memory", "run.join", "run.status",
     "train"],
)  # fmt: skip
def test_orchestrator_loads_no_torch(module: str) -> None:
    code = f"import sys, progan.pipeline.{module}; print(*sys.modules)"
    argv = [sys.executable, "-c", code]
    result = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert not {"torch", "mlflow", "deepspeed"} & set(result.stdout.split())
