"""Runs on a real Slurm of two nodes: requeues, lost nodes, preemption, time limits, chains."""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from progan.datasets.format.manifest import load_manifest
from progan.launch.backends.slurm import LOOK_SECONDS, SCRIPT, Slurm
from progan.launch.spec import LaunchSpec
from progan.pipeline.run.events import EventLog
from progan.pipeline.run_folder import RunFolder
from progan.stages.storage.final import is_done
from progan.stages.storage.stage_folder import StageFolder
from required import require
from slurm_cluster import SlurmCluster, missing
from waiting import wait_for
from workers import BIN, checkpoints, content, figures

pytestmark = pytest.mark.slow

PREPARE = SCRIPT.with_name("prepare.sbatch")

CONFIG = """
data: {path: %s}
model: {latent: 16, fmap_base: 64, fmap_max: 16}
growth: {first: 4, last: 8, fade_kimg: 0.64, steady_kimg: 1.28}
batch: 16
ema: {half_life_kimg: 0.2}
engine: {precision: fp32}
checkpoint: {every_minutes: null, every_kimg: 0.32, keep_every_kimg: 0.32}
ticks: {kimg: 0.32, grid: 4}
tracking: {mlflow: "off"}
launch:
  {backend: slurm, nodes: 2, gpus_per_node: 1, cpus_per_rank: 1, interface: lo, time_limit: 10,
   max_restarts: 0, env: {CUDA_VISIBLE_DEVICES: ""}}  # the nodes' GPUs are made up
"""
ONE_STAGE = "growth.last=4"
SETTLE_SECONDS = 15.0
ENDLESS = (ONE_STAGE, "growth.steady_kimg=1000", "checkpoint.every_kimg=1000")
"""One stage that only ends when it is stopped, and writes a checkpoint only then."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """Two idle nodes."""
    require("slurm", missing())
    cluster = SlurmCluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()


@pytest.fixture(scope="module")
def workplace(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a configuration, and a space in its name."""
    folder = tmp_path_factory.mktemp("work") / "a place"
    folder.mkdir()
    (folder / "tiny.yaml").write_text(CONFIG % f'"{shapes}"')
    return folder


@pytest.fixture(scope="module")
def undisturbed(cluster: SlurmCluster, workplace: Path) -> RunFolder:
    """A finished run that was never interrupted."""
    run = RunFolder(workplace / "undisturbed")
    finish(run, train(run))
    return run


def train(run: RunFolder, *words: str) -> "subprocess.Popen[bytes]":
    """`progan train`, in the background."""
    argv = [str(BIN / "progan"), "train", "tiny.yaml", "--run", run.name, *words]
    with output(run).open("ab") as log:
        return subprocess.Popen(argv, cwd=run.path.parent, stderr=log)


def finish(run: RunFolder, process: "subprocess.Popen[bytes]", code: int = 0) -> None:
    """Wait for the end of `progan train` and check its exit code."""
    assert process.wait(300) == code, output(run).read_text()


def output(run: RunFolder) -> Path:
    """The file with what `progan train` printed."""
    return run.path.with_suffix(".log")


def states(run: RunFolder) -> list[str]:
    argv = [str(BIN / "progan"), "status", str(run.path), "--json"]
    printed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return [stage["state"] for stage in json.loads(printed)["stages"]]


def training(folder: StageFolder) -> bool:
    """Whether the ranks have started to train the stage."""
    return folder.progress.exists()


def jobs(run: RunFolder) -> list[str]:
    """The numbers of all submitted jobs."""
    events = EventLog(run.events).events()
    return [e.fields["handle"] for e in events if e.kind == "stage_started"]


def job(cluster: SlurmCluster, number: str) -> str:
    """Slurm's description of a job."""
    return cluster.ask("scontrol", "-o", "show", "job", number)


def wait_for_requeue(cluster: SlurmCluster, number: str) -> None:
    """Return when Slurm has requeued a job for the first time."""
    wait_for(lambda: " Restarts=1 " in job(cluster, number))
    ask = ("squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={number}")
    wait_for(lambda: cluster.ask(*ask) == "PENDING")


def start_now(cluster: SlurmCluster, number: str, *changes: str) -> None:
    """Start a requeued job without the two minutes for which Slurm holds it back."""
    for change in (*changes, "StartTime=now"):
        cluster.ask("scontrol", "update", f"JobId={number}", change)


def kinds(run: RunFolder) -> list[str]:
    """The kinds of the events of all stages."""
    return [event.kind for event in EventLog(run.events).events() if "resolution" in event.fields]


def assert_same(run: RunFolder, expected: RunFolder, *resolutions: int) -> None:
    for resolution in resolutions:
        found, wanted = run.stage(resolution), expected.stage(resolution)
        assert content(found.final) == content(wanted.final)
        assert figures(found) == figures(wanted)


def test_two_nodes_train_a_run(undisturbed: RunFolder, cluster: SlurmCluster) -> None:
    assert states(undisturbed) == ["done"] * 2
    assert kinds(undisturbed) == ["stage_started", "stage_finished"] * 2
    shown = job(cluster, jobs(undisturbed)[0])
    assert " NodeList=n[1-2] " in shown and "JobState=COMPLETED" in shown
    assert "rank 1 of 2: at 0 images" in undisturbed.stage(4).log.read_text()


def test_script_submitted_by_hand_trains_as_the_backend_does(
    undisturbed: RunFolder, cluster: SlurmCluster, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = StageFolder(workplace / "by hand" / "stages" / "0008")
    folder.path.mkdir(parents=True)
    shutil.copy(undisturbed.stage(8).spec, folder.spec)
    monkeypatch.setenv("PATH", str(BIN), prepend=":")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    options = ["--time=10", "--cpus-per-task=1", "--gpus-per-node=0", f"--output={folder.log}"]
    argv = ["sbatch", "--wait", *options, str(SCRIPT), str(folder.path)]
    assert subprocess.run(argv, timeout=200).returncode == 0, folder.log.read_text()
    assert content(folder.final) == content(undisturbed.stage(8).final)


def test_signalled_job_is_requeued_and_ends_with_the_same_bytes(
    undisturbed: RunFolder, cluster: SlurmCluster, workplace: Path
) -> None:
    run = RunFolder(workplace / "requeued")
    process = train(run)
    # To the ranks, as in a preemption; then to the batch script, as before the time limit.
    for folder, batch in ((run.stage(4), []), (run.stage(8), ["--batch"])):
        wait_for(partial(checkpoints, folder))
        number = jobs(run)[-1]
        cluster.ask("scancel", "--signal=USR1", *batch, number)
        wait_for_requeue(cluster, number)
        assert not folder.final.exists()
        start_now(cluster, number)
    finish(run, process)
    assert kinds(run) == ["stage_started", "stage_finished"] * 2
    assert_same(run, undisturbed, 4, 8)


def test_lost_node_does_not_change_the_result(
    undisturbed: RunFolder, cluster: SlurmCluster, workplace: Path
) -> None:
    run = RunFolder(workplace / "lost")
    process = train(run, ONE_STAGE)
    wait_for(lambda: checkpoints(run.stage(4)))
    (number,) = jobs(run)
    cluster.power_off("n2")
    wait_for_requeue(cluster, number)
    cluster.start("n2")
    # Slurm would take the end of the first start's script for the end of the second start; and a
    # node that has just come back may still report that it runs no job, which ends those it has.
    wait_for(lambda: not cluster.has_steps("n1"))
    cluster.wait_for_nodes("idle", 2)
    time.sleep(SETTLE_SECONDS)
    start_now(cluster, number)
    finish(run, process)
    assert kinds(run) == ["stage_started", "stage_finished"]
    assert_same(run, undisturbed, 4)


@pytest.mark.parametrize("way", ["Ctrl-C", "STOP", "scancel"])
def test_user_stop_writes_checkpoint_and_does_not_requeue(
    cluster: SlurmCluster, workplace: Path, way: str
) -> None:
    run = RunFolder(workplace / way)
    process = train(run, *ENDLESS)
    wait_for(lambda: run.stage(4).metrics.exists())
    (number,) = jobs(run)
    if way == "Ctrl-C":
        process.send_signal(signal.SIGINT)
    elif way == "STOP":
        (run.path / "STOP").touch()
    else:
        cluster.ask("scancel", number)
    finish(run, process, code=75)
    assert len(checkpoints(run.stage(4))) == 1 and states(run) == ["stopped"]
    shown = job(cluster, number)
    expected = "JobState=CANCELLED" if way == "scancel" else "JobState=FAILED"
    assert expected in shown and " Restarts=0 " in shown


def test_preempted_job_resumes_on_fewer_nodes(cluster: SlurmCluster, workplace: Path) -> None:
    """Preempted within its grace time, on nodes whose GPUs it does not request."""
    run = RunFolder(workplace / "preempted")
    process = train(run, *ENDLESS, "launch.sbatch=[--gpus-per-node=0]")
    wait_for(lambda: run.stage(4).metrics.exists())
    (number,) = jobs(run)
    urgent = ["sbatch", "--parsable", "--partition=urgent", "--nodes=2", "--ntasks-per-node=2",
              "--wrap=true", "--output=/dev/null"]  # fmt: skip
    assert cluster.ask(*urgent)
    wait_for_requeue(cluster, number)
    (images_seen,) = checkpoints(run.stage(4))
    start_now(cluster, number, "NumNodes=1", "NumTasks=1")
    log = run.stage(4).log
    wait_for(lambda: f"rank 0 of 1: at {images_seen} images" in log.read_text())
    assert "rank 1 of 2: at 0 images" in log.read_text()
    process.send_signal(signal.SIGINT)
    finish(run, process, code=75)
    assert kinds(run) == ["stage_started", "stopped"]


def test_job_requeues_itself_before_its_time_limit(cluster: SlurmCluster, workplace: Path) -> None:
    run = RunFolder(workplace / "limited")
    process = train(run, *ENDLESS)
    wait_for(lambda: training(run.stage(4)))
    (number,) = jobs(run)
    # The script asks for a signal 120 s before the limit: Slurm sends it within 30 s.
    cluster.ask("scontrol", "update", f"JobId={number}", "TimeLimit=2")
    wait_for_requeue(cluster, number)
    (images_seen,) = checkpoints(run.stage(4))
    start_now(cluster, number, "TimeLimit=10")
    log = run.stage(4).log
    wait_for(lambda: f"rank 1 of 2: at {images_seen} images" in log.read_text())
    process.send_signal(signal.SIGINT)
    finish(run, process, code=75)


def test_error_contains_what_slurm_says(cluster: SlurmCluster, workplace: Path) -> None:
    run = RunFolder(workplace / "refused")
    assert train(run, "launch.partition=nowhere").wait(60) == 1
    expected = "invalid partition specified: nowhere; Batch job submission failed"
    assert expected in output(run).read_text()


def test_detached_run_can_be_attached_to_and_survives_an_absent_controller(
    undisturbed: RunFolder, cluster: SlurmCluster, workplace: Path
) -> None:
    run = RunFolder(workplace / "detached")
    fade = "growth.fade_kimg=6.4"  # the second stage must outlast the controller's absence
    finish(run, train(run, "--detach", fade))
    assert states(run) == ["waiting"] * 2
    submitted = jobs(run)
    finish(run, train(run, "--detach", fade))
    wait_for(lambda: training(run.stage(8)))
    attached = train(run, fade)
    cluster.stop("slurmctld")
    time.sleep(LOOK_SECONDS + 1)  # `progan train` asks it in vain at least once
    cluster.start("slurmctld")
    finish(run, attached)
    assert jobs(run) == submitted
    assert kinds(run) == [*["stage_started"] * 2, "stage_finished"]
    assert states(run) == ["done"] * 2
    assert_same(run, undisturbed, 4)


def test_detached_job_restarts_its_ranks(
    undisturbed: RunFolder, cluster: SlurmCluster, workplace: Path
) -> None:
    run = RunFolder(workplace / "alone")
    finish(run, train(run, "--detach", ONE_STAGE, "launch.max_restarts=1"))
    wait_for(lambda: checkpoints(run.stage(4)))
    subprocess.run(["scancel", "--signal=KILL", f"{jobs(run)[0]}.0"], check=True)
    wait_for(lambda: is_done(run.stage(4).final))
    assert states(run) == ["done"]
    assert run.stage(4).log.read_text().count("rank 0 of 2: at ") == 2
    assert_same(run, undisturbed, 4)


def test_two_nodes_prepare_the_same_data_set_as_one_machine(
    cluster: SlurmCluster, shapes: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(BIN), prepend=":")
    log, built = workplace / "prepare.out", workplace / "built"
    argv = ["sbatch", "--wait", "--nodes=2", "--cpus-per-task=1", "--time=10", f"--output={log}"]
    argv += [str(PREPARE), str(shapes.parent / "pictures"), str(built), "--resolution", "16"]
    assert subprocess.run(argv, timeout=200).returncode == 0, log.read_text()
    assert load_manifest(built).fingerprint == load_manifest(shapes).fingerprint


def test_failed_stage_ends_its_chain(cluster: SlurmCluster, workplace: Path) -> None:
    run = RunFolder(workplace / "failed")
    finish(run, train(run, "--detach"))
    backend = Slurm(LaunchSpec(backend="slurm", nodes=1, gpus_per_node=1))
    first, second = jobs(run)
    wait_for(lambda: checkpoints(run.stage(4)))
    subprocess.run(["scancel", "--signal=KILL", f"{first}.0"], check=True)
    wait_for(lambda: backend.poll(first) == "ended" and backend.poll(second) == "ended")
    assert "JobState=CANCELLED" in job(cluster, second)
    assert not run.stage(8).progress.exists() and not run.stage(4).final.exists()
