"""engine.precision=auto is replaced when a run begins, and stays what it was."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from progan.pipeline.cli.main import main
from progan.pipeline.config.schema import load_config
from progan.pipeline.errors import ConfigError
from progan.pipeline.run_folder import RunFolder, freeze_config, frozen_config

CPUS = "launch.sbatch=[--gpus-per-node=0]"


@pytest.fixture
def train(shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words that queue a run of one stage at a Slurm that accepts every job."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, code in {"sbatch": "echo 7", "squeue": "echo PENDING", "scancel": ":"}.items():
        (programs / name).write_text(f"#!/bin/sh\n{code}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    return ["train", "demo", f"data.path={shapes}", "growth.last=4", "launch.backend=slurm",
            "launch.nodes=1", "launch.gpus_per_node=2", "--run", str(tmp_path / "run"),
            "--detach"]  # fmt: skip


def progan(*words: str) -> Result:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    return result


def precisions(folder: Path) -> tuple[str, str]:
    """Of a run's configuration and of its stage."""
    run = RunFolder(folder)
    stage = json.loads(run.stage(4).spec.read_text())
    return frozen_config(run).engine.precision, stage["engine"]["precision"]


def test_choice_is_said_frozen_and_kept(train: list[str], tmp_path: Path) -> None:
    said = progan(*train).stderr
    assert "progan: precision bf16: for the GPUs that are asked for\n" in said
    assert precisions(tmp_path / "run") == ("bf16", "bf16")
    again = progan(*train, CPUS)  # where another run would get fp32
    resumed = progan("resume", str(tmp_path / "run"), "engine.precision=auto", "--detach")
    assert "precision" not in again.output + resumed.output
    assert precisions(tmp_path / "run") == ("bf16", "bf16")


def test_plan_says_what_would_be_chosen(train: list[str]) -> None:
    words = ("plan", *train[1:-3], "--json")
    assert "progan: precision fp32: the CPU is no faster in bf16" in progan(*words, CPUS).stderr
    assert "precision" not in progan(*words, "engine.precision=fp16").stderr


def test_edited_auto_is_refused(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    freeze_config(run, load_config("demo"))
    run.config.write_text(run.config.read_text().replace("fp32", "auto"))
    with pytest.raises(ConfigError, match="engine.precision: auto was replaced when the run"):
        frozen_config(run)


def test_gpus_without_bf16_are_refused_before_anything_starts(
    train: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("progan.launch.precision.gpu_capabilities", lambda env: [(7, 5)])
    local = ("launch.backend=local", "launch.env.CUDA_VISIBLE_DEVICES='0'")
    words = [*train[:-1], *local, "launch.nodes=1", "engine.precision=bf16"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2 and not (tmp_path / "run").exists()
    assert "engine.precision: a GPU has compute capability 7.5, and bf16 needs" in result.stderr


def test_slower_bf16_is_warned_of(train: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    local = ("plan", *train[1:-3], "launch.backend=local", "engine.precision=bf16", "--json")
    assert "this CPU is slower in bf16 than in fp32" in progan(*local).stderr
    monkeypatch.setattr("progan.launch.precision.bf16_units", lambda: "AMX")
    assert "slower" not in progan(*local).stderr
