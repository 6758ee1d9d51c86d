"""Values of `launch.env` stay in files that the user alone can read."""

import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from progan.pipeline.cli.main import main
from progan.pipeline.config.schema import load_config
from progan.pipeline.run_folder import RunFolder, freeze_config

SECRET = "s3cr3t-v4lue"
CLUSTER = ("launch.backend=slurm", "launch.nodes=1", "launch.gpus_per_node=2")


@pytest.fixture
def sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of a Slurm that accepts every job."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, code in {"sbatch": "echo 7", "squeue": "echo PENDING", "scancel": ":"}.items():
        (programs / name).write_text(f"#!/bin/sh\n{code}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)


def progan(*words: object) -> Result:
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result


def holders(folder: Path, text: str) -> dict[str, int]:
    """The files below a folder that hold a text, and who may read them."""
    files = [file for file in folder.rglob("*") if file.is_file() and text in file.read_text()]
    return {str(f.relative_to(folder)): stat.S_IMODE(f.stat().st_mode) for f in files}


def test_only_private_files_of_a_run_hold_them(sbatch: None, shapes: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = (f"data.path={shapes}", "growth.last=8", *CLUSTER)
    shown = progan("train", "demo", *words, f"launch.env.TOKEN={SECRET}1", "--run", run, "--detach")
    shown2 = progan("resume", run, f"launch.env.TOKEN={SECRET}2", "--detach")
    progan("report", run)
    private = {
        "config.yaml": 0o600,
        "stages/0004/slurm.sbatch": 0o600,
        "stages/0008/slurm.sbatch": 0o600,
    }
    assert holders(run, SECRET) == private
    assert "launch.env.TOKEN=***" in (run / "events.jsonl").read_text()
    assert "TOKEN: '***'" in (run / "report.html").read_text().replace("&#39;", "'")
    assert SECRET not in shown.output + shown2.output


def test_configuration_without_them_can_be_read_by_all(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    before = os.umask(0o022)
    try:
        freeze_config(run, load_config("demo", ("launch.env.A=b",)))
        assert stat.S_IMODE(run.config.stat().st_mode) == 0o600
        freeze_config(run, load_config("demo"))
        assert stat.S_IMODE(run.config.stat().st_mode) == 0o644
    finally:
        os.umask(before)
