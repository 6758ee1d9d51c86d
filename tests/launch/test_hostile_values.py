"""What a configuration or a path says stays text: in scripts, manifests and command lines."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fake_ssh import FAKE_SSH
from progan.launch.backends.kubernetes import manifest
from progan.launch.backends.slurm import script
from progan.launch.errors import LaunchError
from progan.launch.spec import LaunchSpec
from progan.launch.ssh.hostfile import read_hostfile
from progan.launch.ssh.remote import preflight_all, ssh
from progan.launch.task import Task

SCRIPTS = Path(__file__).parents[2] / "launch" / "scripts"
HOSTILE = "a b;touch pwned;$(touch pwned)`touch pwned`'\"\\$HOME&|>x #"
SLURM = {"backend": "slurm", "nodes": 1, "gpus_per_node": 1}
RECORD = """#!/bin/sh
exec {python} -c 'import json, sys; json.dump(sys.argv[1:], open("{file}", "w"))' "$@"
"""


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stage in a folder with a hostile name; `progan-worker` & co. only record their words."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("progan-worker", "torchrun"):
        code = RECORD.format(python=sys.executable, file=tmp_path / f"{name}.json")
        (programs / name).write_text(code)
    (programs / "ssh").write_text(FAKE_SSH)
    (programs / "scontrol").write_text("#!/bin/sh\necho n1\n")
    (programs / "srun").write_text(
        '#!/bin/bash\nwhile [[ $1 == --* ]]; do shift; done\nexec "$@"\n'
    )
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / HOSTILE / "stages" / "0004"
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text("{}")
    return folder


def task(stage: Path) -> Task:
    argv = (str(stage.parents[2] / "bin" / "progan-worker"), "--spec", str(stage / "spec.json"))
    return Task(name=f"{HOSTILE}-0004", argv=argv, log=stage / "worker.log")


def words_of(program: str, stage: Path) -> list[str]:
    """What a program was called with, when nothing else has been executed."""
    assert not list(stage.parents[2].rglob("pwned"))
    found: list[str] = json.loads((stage.parents[2] / f"{program}.json").read_text())
    return found


TEXTS: list[dict[str, Any]] = [
    {key: "a{}b"} for key in ("partition", "account", "time_limit", "image", "namespace",
                              "volume_claim", "volume_mount", "interface", "hostfile", "rendezvous")
]  # fmt: skip
LISTS: list[dict[str, Any]] = [
    {"mounts": ["/a:/a", "/b{}:/b"]}, {"sbatch": ["--x=1{}"]}, {"env": {"A": "{}"}},
    {"env": {"A{}": "x"}},
]  # fmt: skip


@pytest.mark.parametrize("character", ["\n", "\r", "\0", "\x1b", "\x9b", "\x7f"])
@pytest.mark.parametrize("fields", [*TEXTS, *LISTS], ids=lambda fields: next(iter(fields)))
def test_control_characters_are_refused(fields: dict[str, Any], character: str) -> None:
    escaped = json.dumps(character)[1:-1]
    with pytest.raises(ValidationError):
        LaunchSpec.model_validate(SLURM | json.loads(json.dumps(fields).replace("{}", escaped)))


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A=B", "A;touch pwned", "Ä", "A\n"])
def test_names_of_variables_are_names(name: str) -> None:
    with pytest.raises(ValidationError, match="env: .* cannot be a variable's name|no text"):
        LaunchSpec(env={name: "x"})


@pytest.mark.parametrize(
    "name", ["-oProxyCommand=touch", "-F/tmp/x", "--", "a;b", "$(b)", "a`b`", "me@-x", "-l@x", "a'"]
)
def test_hosts_are_names(name: str, tmp_path: Path) -> None:
    (tmp_path / "hostfile").write_text(f"{name} slots=1\n")
    with pytest.raises(LaunchError, match="line 1: not of the form HOST slots=N"):
        read_hostfile(tmp_path / "hostfile")
    with pytest.raises(ValidationError, match="must be HOST:PORT"):
        LaunchSpec(backend="torchrun", nodes=2, rendezvous=f"{name}:29500")


def test_lines_for_sbatch_are_options() -> None:
    with pytest.raises(ValidationError, match="sbatch: 'touch pwned' is no option of sbatch"):
        LaunchSpec(sbatch=["--mem=0", "touch pwned"])


def test_batch_script_executes_nothing_else(stage: Path) -> None:
    fields = {"partition": HOSTILE, "account": HOSTILE, "image": None, "sbatch": [f"-x{HOSTILE}"]}
    env = {"A": HOSTILE, "stage": "elsewhere", "command": "touch pwned"}
    spec = LaunchSpec.model_validate(SLURM | fields | {"env": env})
    file = stage / "slurm.sbatch"
    file.write_text(script(spec, task(stage)))
    job = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n1", "SLURM_PROCID": "0",
           "SLURM_NNODES": "1", "SLURM_NTASKS_PER_NODE": "1", "SLURM_LOCALID": "0"}  # fmt: skip
    subprocess.run(["bash", "-n", file], check=True)
    (stage / "failure.json").write_text("")
    subprocess.run(["bash", file], env=os.environ | job, timeout=30)
    assert words_of("progan-worker", stage) == ["--spec", str(stage / "spec.json")]
    assert not (stage / "failure.json").exists()


def test_image_and_mounts_reach_srun_as_one_word(stage: Path) -> None:
    fields = {"image": HOSTILE, "mounts": [f"/a{HOSTILE}:/a"]}
    text = script(LaunchSpec.model_validate(SLURM | fields), task(stage))
    (container,) = [line for line in text.splitlines() if line.startswith("container=")]
    shown = subprocess.run(
        ["bash", "-c", container + '\nprintf "%s\\n" "${container[@]}"'],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert shown == [f"--container-image={HOSTILE}", f"--container-mounts=/a{HOSTILE}:/a"]


def test_ssh_takes_hosts_as_hosts_and_folders_as_one_word(stage: Path) -> None:
    argv = ssh("n1", "-m", "x", str(stage))
    assert argv[argv.index("--") + 1] == "n1"
    outputs, unreachable = preflight_all(["localhost"], stage)
    assert list(outputs) == ["localhost"] and not unreachable
    assert not list(stage.parents[2].rglob("pwned"))


def test_scripts_by_hand_take_paths_as_one_word(stage: Path) -> None:
    hostfile = stage / f"hosts {HOSTILE}"
    hostfile.write_text("localhost slots=1\n")
    paths = [SCRIPTS / "hostfile.sh", hostfile, stage / "spec.json"]
    subprocess.run([*paths, f"A={HOSTILE}"], timeout=30)
    found = words_of("torchrun", stage)
    assert found[:2] == ["--nnodes", "1"]
    assert found[-2:] == ["--spec", str(stage / "spec.json")]
    subprocess.run([SCRIPTS / "local.sh", stage / "spec.json", "1"], timeout=30, check=True)
    assert words_of("torchrun", stage)[-1] == str(stage / "spec.json")


def test_kubernetes_expands_nothing(tmp_path: Path) -> None:
    spec = LaunchSpec.model_validate(
        SLURM | {"backend": "kubernetes", "image": HOSTILE, "volume_claim": HOSTILE,
                 "volume_mount": "/x", "env": {"A": "$(SPEC) $HOME"}}
    )  # fmt: skip
    _, job = manifest("it", task(tmp_path / "run" / "stages" / "4"), spec)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert {"name": "A", "value": "$$(SPEC) $$HOME"} in container["env"]
    assert container["image"] == HOSTILE
