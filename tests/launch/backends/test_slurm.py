"""Slurm's script and answers, with stand-ins for its commands; the real one is in tests/cluster."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from progan.launch import environment
from progan.launch.backends import slurm
from progan.launch.backends.slurm import SCRIPT, Slurm, script, state
from progan.launch.errors import LaunchError
from progan.launch.spec import LaunchSpec
from progan.launch.task import Task
from progan.stages.storage.stage_folder import StageFolder

SPEC = LaunchSpec(backend="slurm", nodes=2, gpus_per_node=4)
IN_A_JOB = {
    "SLURM_JOB_ID": "712345",
    "SLURM_JOB_NODELIST": "n[1-2]",
    "SLURM_PROCID": "5",
    "SLURM_NNODES": "2",
    "SLURM_NTASKS": "12",  # of the nodes that it had at first
    "SLURM_NTASKS_PER_NODE": "4",
    "SLURM_LOCALID": "1",
    "SLURM_CPUS_PER_TASK": "6",
}


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of commands that stands before all others."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder


def stand_in(folder: Path, name: str, code: str) -> None:
    (folder / name).write_text(f"#!/bin/bash\n{code}\n")
    (folder / name).chmod(0o755)


def task(folder: Path) -> Task:
    folder.mkdir(parents=True, exist_ok=True)
    argv = ("progan-worker", "--spec", str(folder / "spec.json"))
    return Task(name="faces-0064", argv=argv, log=folder / "worker.log")


def requests(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("#SBATCH")]


def test_the_script_asks_for_what_the_configuration_says(tmp_path: Path) -> None:
    fields = {"partition": "gpu", "account": "it's", "time_limit": 90,
              "sbatch": ["--cpus-per-task=12", "#SBATCH --mem=0"]}  # fmt: skip
    spec = LaunchSpec.model_validate(SPEC.model_dump() | fields)
    assert requests(script(spec, task(tmp_path / "100%"))) == [
        "#SBATCH --job-name=faces-0064",
        "#SBATCH --nodes=2",
        "#SBATCH --ntasks-per-node=4",
        "#SBATCH --gpus-per-node=4",
        "#SBATCH --cpus-per-task=8",
        "#SBATCH --time=90",
        f"#SBATCH --output={tmp_path}/100%%/worker.log",
        "#SBATCH --open-mode=append",
        "#SBATCH --requeue",
        "#SBATCH --signal=B:USR1@120",
        "#SBATCH --partition=gpu",
        "#SBATCH --account='it'\"'\"'s'",
        "#SBATCH --cpus-per-task=12",
        "#SBATCH --mem=0",
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "8"),
        ({"cpus_per_rank": 3}, "3"),
        ({"sbatch": ["--gpus-per-node=0"]}, None),
        ({"sbatch": ["--gpus-per-node=0"], "cpus_per_rank": 3}, "3"),
        ({"sbatch": ["--gpus-per-node=a100:4", "--mem=0"]}, "8"),
    ],
)
def test_ranks_with_a_gpu_get_cpus_that_decode_for_it(
    fields: dict[str, Any], expected: str | None, tmp_path: Path
) -> None:
    text = script(SPEC.model_copy(update=fields), task(tmp_path))
    found = re.search("#SBATCH --cpus-per-task=(.*)", text)
    assert (found and found[1]) == expected


def test_without_a_time_limit_the_partitions_holds(tmp_path: Path) -> None:
    assert "--time" not in script(SPEC, task(tmp_path))


def test_an_image_brings_its_own_worker(tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"image": "a b.sqsh", "mounts": ["/data:/data", "/runs:/runs"]})
    inside = Task(name="x", argv=("/opt/env/bin/progan-worker", "--spec", "s"), log=tmp_path / "l")
    text = script(spec, inside)
    assert "\ncommand=(progan-worker --spec s)\n" in text
    mounts = "--container-mounts=/data:/data,/runs:/runs"
    assert f"\ncontainer=('--container-image=a b.sqsh' {mounts})\n" in text


def test_gpus_of_the_configuration_replace_those_that_srun_sets(tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"env": {"CUDA_VISIBLE_DEVICES": "2,3"}})
    command = "\ncommand=(env CUDA_VISIBLE_DEVICES=2,3 progan-worker --spec "
    assert command in script(spec, task(tmp_path)) and command not in script(SPEC, task(tmp_path))


def test_gpus_must_be_counted_for_slurm() -> None:
    with pytest.raises(ValueError, match="gpus_per_node: the slurm backend needs it"):
        LaunchSpec(backend="slurm", nodes=2)


def test_the_script_is_in_order_and_short(tmp_path: Path) -> None:
    (tmp_path / "made.sbatch").write_text(script(SPEC, task(tmp_path)))
    shellcheck = Path(sys.executable).with_name("shellcheck")
    subprocess.run([shellcheck, SCRIPT, tmp_path / "made.sbatch"], check=True)
    assert len(SCRIPT.read_text().splitlines()) < 60


def test_the_script_knows_a_stages_folder() -> None:
    folder = StageFolder(Path("/run/stages/0064"))
    text = SCRIPT.read_text()
    assert '"$stage/final"' in text and folder.final.name == "final"
    assert '"$stage/spec.json"' in text and folder.spec.name == "spec.json"
    assert '"$stage"/{failure,progress}.json' in text
    assert (folder.failure.name, folder.progress.name) == ("failure.json", "progress.json")
    assert "$stage/../../STOP" in text and folder.stop == Path("/run/STOP")


@pytest.mark.slow
def test_by_hand_and_by_progan_the_same_is_started(
    stand_ins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in environment.rank_variables(SPEC):
        monkeypatch.delenv(name, raising=False)  # Dask, in this process before, sets some of them
    stand_in(stand_ins, "scontrol", "echo n1; echo n2")
    tell = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))"
    stand_in(stand_ins, "progan-worker", f"exec {sys.executable} -c '{tell}' \"$@\" >> $TOLD")
    stand_in(stand_ins, "srun", 'while [[ $1 == --* ]]; do shift; done; exec "$@"')
    made = tmp_path / "stage" / "slurm.sbatch"
    described = task(made.parent)
    made.write_text(script(SPEC, described))
    told = []
    for words in ([str(SCRIPT), str(made.parent)], [str(made)]):
        found = {"PATH": f"{stand_ins}:/usr/bin:/bin", "TOLD": str(tmp_path / "told")} | IN_A_JOB
        assert subprocess.run(["bash", *words], env=found).returncode == 1  # nothing is published
        told.append(json.loads((tmp_path / "told").read_text().splitlines()[-1]))
    assert told[0] == told[1]
    argv, found = told[0]
    assert argv == list(described.argv[1:])
    expected = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "MASTER_ADDR": "n1",
                "MASTER_PORT": "22345", "OMP_NUM_THREADS": "6", "LOCAL_WORLD_SIZE": "4",
                "SRUN_CPUS_PER_TASK": "6"}  # fmt: skip
    assert expected.items() <= found.items()


FATAL = """echo '{"transient": false}' > $STAGE/failure.json; exit 1"""


@pytest.mark.parametrize(
    ("ranks", "starts"),
    [
        ("exit 1", 4),
        (FATAL, 1),
        ("n=$(wc -l < starts); mkdir -p $STAGE/checkpoints/$((n < 3 ? n : 3)); exit 1", 3 + 3),
        ("[ $(wc -l < starts) = 3 ] && mkdir $STAGE/final; exit 1", 3),
    ],
)
def test_ranks_are_started_again_after_a_crash_while_that_may_help(
    ranks: str, starts: int, stand_ins: Path, tmp_path: Path
) -> None:
    stand_in(stand_ins, "sleep", "")
    stand_in(stand_ins, "scontrol", "echo n1")
    stand_in(stand_ins, "srun", f"cd {tmp_path}; echo >> starts; {ranks}")
    found = {"PATH": f"{stand_ins}:/usr/bin:/bin", "STAGE": str(tmp_path)} | IN_A_JOB
    ended = subprocess.run(["bash", str(SCRIPT), str(tmp_path)], env=found, timeout=30)
    assert len((tmp_path / "starts").read_text().splitlines()) == starts
    assert ended.returncode == (0 if (tmp_path / "final").exists() else 1)


@pytest.mark.parametrize(
    ("ranks", "environment", "code", "requeued"),
    [
        ("mkdir $STAGE/final; exit 1", {}, 0, ""),
        ("exit 0", {}, 1, ""),
        ("exit 1", {}, 1, ""),
        ("exit 75", {}, -9, "712345"),
        (f"[ -e again ] && {FATAL}; touch again; exit 76", {}, 1, ""),
        ("[ -e again ] && mkdir $STAGE/final; touch again; exit 76", {}, 0, ""),
        ("kill -USR1 $PPID; exit 75", {}, -9, "712345"),
        ("kill -TERM $PPID; /bin/sleep 0.3; exit 75", {}, 75, ""),
        ("kill -USR2 $PPID; /bin/sleep 0.3; exit 75", {}, 75, ""),
        ("touch $STAGE/../../STOP; exit 75", {}, 75, ""),
        ("exit 75", {"SLURM_RESTART_COUNT": "1"}, 75, ""),
        ("exit 75", {"SLURM_ARRAY_JOB_ID": "71", "SLURM_ARRAY_TASK_ID": "3"}, -9, "71_3"),
    ],
)
def test_how_a_job_ends(
    ranks: str, environment: dict[str, str], code: int, requeued: str,
    stand_ins: Path, tmp_path: Path,
) -> None:  # fmt: skip
    stage = tmp_path / "run" / "stages" / "0008"
    stage.mkdir(parents=True)
    stand_in(stand_ins, "sleep", "")
    stand_in(stand_ins, "srun", f"trap '' USR1; cd {tmp_path}; {ranks}")
    stand_in(
        stand_ins,
        "scontrol",
        f"case $1$2 in showjob) echo 'Requeue=1 Restarts=0 BatchFlag=1';; showhostnames) echo n1;;"
        f" requeue*) echo $2 >> {tmp_path}/requeued; kill -KILL $PPID;; esac",
    )
    found = {"PATH": f"{stand_ins}:/usr/bin:/bin", "STAGE": str(stage)} | IN_A_JOB | environment
    ended = subprocess.run(["bash", str(SCRIPT), str(stage)], env=found, timeout=30)
    assert ended.returncode == code
    asked = tmp_path / "requeued"
    assert (asked.read_text().strip() if asked.exists() else "") == requeued


@pytest.mark.parametrize(
    ("returncode", "stdout", "stderr", "expected"),
    [
        (0, "RUNNING\n", "", "RUNNING"),
        (0, "", "", "COMPLETED"),
        (1, "", "slurm_load_jobs error: Invalid job id specified\n", "COMPLETED"),
        (1, "", "slurm_load_jobs error: Unable to contact slurm controller", None),
        (1, "", "slurm_load_jobs error: Socket timed out on send/recv operation", None),
    ],
)
def test_what_squeue_answers(
    returncode: int, stdout: str, stderr: str, expected: str | None
) -> None:
    assert state(subprocess.CompletedProcess([], returncode, stdout, stderr)) == expected


def test_a_job_ends_only_when_slurm_will_not_start_it_again(
    stand_ins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = tmp_path / "answer"
    stand_in(stand_ins, "squeue", f". {answer}")
    monkeypatch.setattr(slurm, "LOOK_SECONDS", 0.0)
    backend = Slurm(SPEC)
    seen = []
    for line in ("echo PENDING", "exit 1", "echo RUNNING", "echo COMPLETING", "exit 1",
                 "echo NODE_FAIL", "echo PENDING", "echo NEW_WORD", "echo TIMEOUT"):  # fmt: skip
        answer.write_text(line)
        seen.append(backend.poll("7"))
    assert seen == ["waiting"] * 2 + ["running"] * 3 + ["waiting"] * 2 + ["running", "ended"]
    answer.write_text("echo NODE_FAIL")
    assert backend.poll("8") == "waiting"
    monkeypatch.setattr(slurm, "SETTLE_SECONDS", 0.0)
    assert backend.poll("8") == "ended"


def test_what_sbatch_says_is_told(stand_ins: Path, tmp_path: Path) -> None:
    stand_in(stand_ins, "sbatch", "echo 'sbatch: error: Invalid account' >&2; exit 1")
    with pytest.raises(LaunchError, match="refused .*slurm.sbatch: Invalid account"):
        Slurm(SPEC).submit(task(tmp_path))


@pytest.mark.parametrize("cpus", [None, 64])
def test_refusal_for_want_of_cpus_names_the_key(
    cpus: int | None, stand_ins: Path, tmp_path: Path
) -> None:
    refusal = "Batch job submission failed: Requested node configuration is not available"
    stand_in(stand_ins, "sbatch", f"echo 'sbatch: error: {refusal}' >&2; exit 1")
    with pytest.raises(LaunchError, match="is not available") as caught:
        Slurm(SPEC.model_copy(update={"cpus_per_rank": cpus})).submit(task(tmp_path))
    assert ("launch.cpus_per_rank" in str(caught.value)) == (cpus is None)


def test_a_job_is_submitted_when_the_controller_is_back(
    stand_ins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = "sbatch: error: Batch job submission failed: Unable to contact slurm controller"
    once = f"[ -e {tmp_path}/once ] || {{ touch {tmp_path}/once; echo '{away}' >&2; exit 1; }}"
    stand_in(stand_ins, "sbatch", f"{once}\necho '12;cluster'; echo $@ > {tmp_path}/asked")
    monkeypatch.setattr(slurm, "LOOK_SECONDS", 0.1)
    assert Slurm(SPEC).submit_after("11", task(tmp_path)) == "12"
    asked = (tmp_path / "asked").read_text()
    assert asked.startswith("--parsable --dependency=afterok:11 --kill-on-invalid-dep=yes ")


def test_without_slurm_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LaunchError, match="sbatch is not here"):
        Slurm(SPEC).submit(task(tmp_path))
