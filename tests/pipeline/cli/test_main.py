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


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["train", "demo", "growth.lst=8"], 2, "did you mean growth.last?"),
        (["train", "demo", "seed=x"], 2, "seed: input should be a valid integer"),
        (["train", "demo", "batch=6"], 2, "batch.4: 6 images cannot be shared out"),
        (["plan", "demo", "launch.gpus_per_node=5"], 2, "over 5 ranks"),
        (["train", "demo", "--detach"], 2, "--detach: only Slurm"),
        (["plan", "demo", "launch.backend=slurm"], 2, "launch: nodes: the slurm backend needs it"),
        (["train", "demo", "data.path=nowhere"], 3, "make one with: progan prepare"),
        (["prepare", "nowhere", "out", "--resolution", "8"], 3, "nowhere"),
        (["prepare", ".", "out", "--resolution", "48"], 2, "'48' is not one of"),
        (["status", "nowhere"], 1, "nowhere is no run"),
        (["resume", "nowhere"], 1, "nowhere is no run"),
        (["export", "nowhere", "out"], 2, "nowhere is neither a run"),
        (["generate", "nowhere", "grid.png"], 3, "nowhere is no exported generator"),
        (["evaluate", "nowhere"], 1, "nowhere is no run"),
        (["evaluate", ".", "--metrics", "swd,ssim"], 2, "'ssim' is not one of swd, ms_ssim, fid"),
        (["frain"], 2, "No such command 'frain'"),
    ],
)
def test_user_errors_print_one_line_and_exit_with_their_code(
    words: list[str], code: int, text: str, tmp_path: Path
) -> None:
    if words[0] == "train" and "data.path=nowhere" not in words:
        words = [*words, "data.path=nowhere"] if code == 3 else words
    result = progan(*words, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (code, "")
    assert text in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


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
    ["cli.main", "cli.evaluate_view", "cli.plan_view", "plan.memory", "run.join", "run.status",
     "train"],
)  # fmt: skip
def test_orchestrator_loads_no_torch(module: str) -> None:
    code = f"import sys, progan.pipeline.{module}; print(*sys.modules)"
    argv = [sys.executable, "-c", code]
    result = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert not {"torch", "mlflow", "deepspeed"} & set(result.stdout.split())
