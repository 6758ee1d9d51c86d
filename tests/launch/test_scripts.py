"""The scripts that users copy start ranks exactly as the backends do."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fake_ssh import FAKE_SSH
from progan.launch.backends.backend import BACKENDS
from progan.launch.spec import LaunchSpec
from progan.launch.task import Task

SCRIPTS = Path(__file__).parents[2] / "launch" / "scripts"
FAKE_WORKER = """#!{python}
import json, os, sys
stage = os.path.dirname(sys.argv[2])
said = {{"argv": sys.argv, "env": dict(os.environ)}}
json.dump(said, open(f"{{stage}}/rank-" + os.environ["RANK"], "w"))
os.makedirs(f"{{stage}}/final", exist_ok=True)
open(f"{{stage}}/final/manifest.json", "w")
"""
OTHER_EVERY_TIME = (
    "MASTER_",
    "TORCHELASTIC_",
    "SSH_",
    "COLUMNS",
    "LINES",
    "PWD",
    "OLDPWD",
    "SHLVL",
    "_",
)
SETTING = "NCCL_DEBUG"


def program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stage's folder, with workers on the PATH that only write down how they were started."""
    folder, programs = tmp_path / "run" / "stages" / "0064", tmp_path / "bin"
    folder.mkdir(parents=True)
    programs.mkdir()
    (folder / "spec.json").touch()
    program(programs / "progan-worker", FAKE_WORKER.format(python=sys.executable))
    program(programs / "ssh", FAKE_SSH)
    (programs / "torchrun").symlink_to(Path(sys.executable).with_name("torchrun"))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    for name in ("OMP_NUM_THREADS", "PYTHONSAFEPATH"):
        monkeypatch.delenv(name, raising=False)
    return folder


def started(stage: Path) -> dict[str, Any]:
    """How every rank was started: its arguments and environment, by the file it wrote."""
    found: dict[str, Any] = {}
    for file in sorted(stage.glob("rank-*")):
        said = json.loads(file.read_text())
        assert {"MASTER_ADDR", "MASTER_PORT"} <= said["env"].keys()
        env = {
            f"{name}={value}"
            for name, value in said["env"].items()
            if not name.startswith(OTHER_EVERY_TIME)
        }
        found |= {f"{file.name} argv": said["argv"], f"{file.name} env": env}
        file.unlink()
    return found


def by_backend(stage: Path, tmp_path: Path, spec: LaunchSpec) -> dict[str, Any]:
    backend = BACKENDS[spec.backend](spec)
    argv = (str(tmp_path / "bin" / "progan-worker"), "--spec", str(stage / "spec.json"))
    handle = backend.submit(Task(name="test", argv=argv, log=stage / "log"))
    deadline = time.monotonic() + 60
    while backend.poll(handle) != "ended":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return started(stage)


def by_script(stage: Path, *words: str | Path) -> dict[str, Any]:
    subprocess.run(words, check=True, timeout=90, cwd=stage)
    return started(stage)


def test_local(stage: Path, tmp_path: Path) -> None:
    expected = by_backend(stage, tmp_path, LaunchSpec(gpus_per_node=2))
    assert len(expected) == 2 * 2
    found = by_script(stage, SCRIPTS / "local.sh", "spec.json", "2")
    assert found == expected, differences(found, expected)


@pytest.mark.slow
def test_hostfile(stage: Path, tmp_path: Path) -> None:
    hostfile = tmp_path / "hostfile"
    hostfile.write_text("# here\nlocalhost slots=1\n\n127.0.0.1 slots=2  # and here\n")
    spec = LaunchSpec(backend="ssh", hostfile=hostfile, env={SETTING: "INFO WARN"})
    expected = by_backend(stage, tmp_path, spec)
    assert len(expected) == 2 * 3
    words = (hostfile, "spec.json", f"{SETTING}=INFO WARN")
    found = by_script(stage, SCRIPTS / "hostfile.sh", *words)
    assert found == expected, differences(found, expected)


def differences(found: dict[str, Any], expected: dict[str, Any]) -> str:
    """The variables that only one of the two has."""
    names = [name for name in found if name.endswith("env")]
    return "\n".join(f"{name}: {found[name] ^ expected[name]}" for name in names)


@pytest.mark.parametrize("name", ["local.sh", "hostfile.sh"])
def test_usage(name: str) -> None:
    done = subprocess.run([SCRIPTS / name, "none"], capture_output=True, text=True)
    assert (done.returncode, done.stderr.startswith("usage: ")) == (2, True)


def test_shellcheck() -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    subprocess.run([shellcheck, *SCRIPTS.glob("*.sh")], check=True)


def test_scripts_are_short() -> None:
    assert all(len(s.read_text().splitlines()) < 60 for s in SCRIPTS.glob("*.sh"))
