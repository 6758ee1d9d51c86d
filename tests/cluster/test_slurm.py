"""Runs on a real Slurm of two nodes, and what schedulers do to them."""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from progan.datasets.format.manifest import load_manifest
from progan.launch.backends.slurm import SCRIPT, Slurm
from progan.launch.spec import LaunchSpec
from progan.pipeline.run.events import EventLog
from progan.pipeline.run_folder import RunFolder
from progan.stages.storage.stage_folder import StageFolder
from slurm_cluster import SlurmCluster
from workers import BIN, checkpoints, content, figures

pytestmark = pytest.mark.slow

PREPARE = SCRIPT.with_name("prepare.sbatch")

CONFIG = """
data: {path: %s}
model: {latent: 16, fmap_base: 64, fmap_max: 16}
growth: {first: 4, last: 16, fade_kimg: 1.6, steady_kimg: 0.64}
batch: 16
ema: {half_life_kimg: 0.2}
engine: {precision: fp32}
checkpoint: {every_minutes: null, every_kimg: 0.32, keep_every_kimg: 0.32}
ticks: {kimg: 0.32, grid: 4}
tracking: {mlflow: "off"}
launch:
  {backend: slurm, nodes: 2, gpus_per_node: 1, interface: lo, time_limit: 10, max_restarts: 0}
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """Two idle nodes."""
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
def unbroken(cluster: SlurmCluster, workplace: Path) -> RunFolder:
    """A run that nobody disturbed."""
    run = RunFolder(workplace / "unbroken")
    process = train(run)
    assert process.wait(300) == 0, said(run).read_text()
    return run


def train(run: RunFolder, *words: str) -> "subprocess.Popen[bytes]":
    """`progan train`, in the background."""
    argv = [str(BIN / "progan"), "train", "tiny.yaml", "--run", run.name, *words]
    with said(run).open("ab") as log:
        return subprocess.Popen(argv, cwd=run.path.parent, stderr=log)


def said(run: RunFolder) -> Path:
    """What `progan train` printed."""
    return run.path.with_suffix(".log")


def states(run: RunFolder) -> list[str]:
    argv = [str(BIN / "progan"), "status", str(run.path), "--json"]
    printed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return [stage["state"] for stage in json.loads(printed)["stages"]]


def until(condition: Callable[[], Any], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def fading(folder: StageFolder) -> bool:
    """Some checkpoints were written, and there are some to come."""
    return len(checkpoints(folder)) >= 2


def jobs(run: RunFolder) -> list[str]:
    """Numbers of all jobs that were submitted."""
    events = EventLog(run.events).events()
    return [e.fields["handle"] for e in events if e.kind == "stage_started"]


def start_again(cluster: SlurmCluster, number: str, restarts: int) -> None:
    """Slurm lets a requeued job wait for two minutes; do not."""
    until(lambda: f" Restarts={restarts} " in cluster.ask("scontrol", "-o", "show", "job", number))
    ask = ("squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={number}")
    until(lambda: cluster.ask(*ask) == "PENDING")
    cluster.ask("scontrol", "update", f"JobId={number}", "StartTime=now")


def kinds(run: RunFolder) -> list[str]:
    return [event.kind for event in EventLog(run.events).events() if "resolution" in event.fields]


def assert_same(run: RunFolder, expected: RunFolder, *resolutions: int) -> None:
    for resolution in resolutions:
        found, wanted = run.stage(resolution), expected.stage(resolution)
        assert content(found.final) == content(wanted.final)
        assert figures(found) == figures(wanted)


def test_two_nodes_train_a_run(unbroken: RunFolder, cluster: SlurmCluster) -> None:
    assert states(unbroken) == ["done"] * 3
    assert kinds(unbroken) == ["stage_started", "stage_finished"] * 3
    shown = cluster.ask("scontrol", "-o", "show", "job", jobs(unbroken)[0])
    assert " NodeList=n[1-2] " in shown and "JobState=COMPLETED" in shown
    assert "rank 1 of 2: at 0 images" in unbroken.stage(4).log.read_text()


def test_the_script_by_hand_does_what_the_backend_does(
    unbroken: RunFolder, cluster: SlurmCluster, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = StageFolder(workplace / "by hand" / "stages" / "0008")
    folder.path.mkdir(parents=True)
    shutil.copy(unbroken.stage(8).spec, folder.spec)
    monkeypatch.setenv("PATH", str(BIN), prepend=":")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    ours = ["--time=10", f"--output={folder.log}"]
    asked = ["sbatch", "--wait", *ours, str(SCRIPT), str(folder.path)]
    assert subprocess.run(asked, timeout=120).returncode == 0, folder.log.read_text()
    assert content(folder.final) == content(unbroken.stage(8).final)


def test_a_job_that_the_scheduler_stops_is_requeued_and_leaves_no_trace(
    unbroken: RunFolder, cluster: SlurmCluster, workplace: Path
) -> None:
    run = RunFolder(workplace / "requeued")
    process = train(run)
    # To the ranks, as preemption does; then to the script, as before the time limit.
    for folder, batch in ((run.stage(8), []), (run.stage(16), ["--batch"])):
        while not fading(folder):
            time.sleep(0.1)
        number = jobs(run)[-1]
        cluster.ask("scancel", "--signal=USR1", *batch, number)
        start_again(cluster, number, restarts=1)
        assert not folder.final.exists()
    assert process.wait(200) == 0, said(run).read_text()
    assert kinds(run) == ["stage_started", "stage_finished"] * 3
    assert_same(run, unbroken, 4, 8, 16)


def test_a_lost_node_costs_nothing_but_time(
    unbroken: RunFolder, cluster: SlurmCluster, workplace: Path
) -> None:
    run = RunFolder(workplace / "lost")
    process = train(run, "growth.last=8")
    until(lambda: fading(run.stage(8)))
    cluster.power_off("n2")
    until(lambda: " Restarts=1 " in cluster.ask("scontrol", "-o", "show", "job", jobs(run)[1]))
    cluster.start("n2")
    time.sleep(20)  # the first start's script must be gone: its end would count for the second
    start_again(cluster, jobs(run)[1], restarts=1)
    assert process.wait(200) == 0, said(run).read_text()
    assert kinds(run) == ["stage_started", "stage_finished"] * 2
    assert_same(run, unbroken, 4, 8)


@pytest.mark.parametrize("way", ["Ctrl-C", "STOP", "scancel"])
def test_a_person_who_stops_a_run_gets_a_checkpoint_and_no_new_start(
    cluster: SlurmCluster, workplace: Path, way: str
) -> None:
    run = RunFolder(workplace / way)
    process = train(run, "growth.last=8", "checkpoint.every_kimg=1000")
    until(lambda: run.stage(8).metrics.exists())
    number = jobs(run)[1]
    if way == "Ctrl-C":
        process.send_signal(signal.SIGINT)
    elif way == "STOP":
        (run.path / "STOP").touch()
    else:
        cluster.ask("scancel", number)
    assert process.wait(100) == 75, said(run).read_text()
    assert len(checkpoints(run.stage(8))) == 1 and states(run) == ["done", "stopped"]
    shown = cluster.ask("scontrol", "-o", "show", "job", number)
    expected = "JobState=CANCELLED" if way == "scancel" else "JobState=FAILED"
    assert expected in shown and " Restarts=0 " in shown


def test_a_job_that_has_to_make_way_comes_back_on_fewer_nodes(
    cluster: SlurmCluster, workplace: Path
) -> None:
    """Preempted within its grace time; on nodes whose GPUs it does not ask for."""
    run = RunFolder(workplace / "preempted")
    process = train(run, "growth.last=8", "launch.sbatch=[--gpus-per-node=0]",
                    "checkpoint.every_kimg=1000")  # fmt: skip
    until(lambda: run.stage(8).metrics.exists())
    number = jobs(run)[1]
    urgent = ["sbatch", "--parsable", "--partition=urgent", "--nodes=2", "--ntasks-per-node=2",
              "--wrap=sleep 1", "--output=/dev/null"]  # fmt: skip
    assert cluster.ask(*urgent)
    until(lambda: " Restarts=1 " in cluster.ask("scontrol", "-o", "show", "job", number))
    assert len(checkpoints(run.stage(8))) == 1
    until(lambda: cluster.ask("squeue", "--noheader", "--format=%T", "-j", number) == "PENDING")
    cluster.ask("scontrol", "update", f"JobId={number}", "NumNodes=1", "NumTasks=1")
    start_again(cluster, number, restarts=1)
    assert process.wait(200) == 0, said(run).read_text()
    log = run.stage(8).log.read_text()
    assert "rank 1 of 2: at 0 images" in log and "rank 0 of 1: at " in log
    assert kinds(run) == ["stage_started", "stage_finished"] * 2


def test_before_its_time_is_up_a_job_requeues_itself(
    cluster: SlurmCluster, workplace: Path
) -> None:
    run = RunFolder(workplace / "limited")
    process = train(run, "growth.last=4", "growth.steady_kimg=1000", "checkpoint.every_kimg=1000",
                    "launch.time_limit=2", "launch.sbatch=[--signal=B:USR1@30]")  # fmt: skip
    until(lambda: run.stage(4).progress.exists())
    (number,) = jobs(run)
    start_again(cluster, number, restarts=1)
    until(lambda: "at 0 images" not in run.stage(4).log.read_text().splitlines()[-1])
    until(lambda: run.stage(4).progress.exists())
    assert len(checkpoints(run.stage(4))) == 1
    process.send_signal(signal.SIGINT)
    assert process.wait(100) == 75


def test_what_slurm_refuses_is_told_in_its_words(cluster: SlurmCluster, workplace: Path) -> None:
    run = RunFolder(workplace / "refused")
    assert train(run, "launch.partition=nowhere").wait(60) == 1
    expected = "invalid partition specified: nowhere; Batch job submission failed"
    assert expected in said(run).read_text()


def test_a_detached_run_trains_itself_and_can_be_taken_up(
    unbroken: RunFolder, cluster: SlurmCluster, workplace: Path
) -> None:
    run = RunFolder(workplace / "detached")
    process = train(run, "--detach")
    assert process.wait(60) == 0 and states(run) == ["waiting"] * 3
    submitted = jobs(run)
    until(lambda: states(run) == ["done", "training", "waiting"])
    assert train(run, "--detach").wait(60) == 0
    taken_up = train(run)
    cluster.stop("slurmctld")
    time.sleep(6)
    cluster.start("slurmctld")
    assert taken_up.wait(200) == 0, said(run).read_text()
    assert jobs(run) == submitted
    assert kinds(run) == [*["stage_started"] * 3, *["stage_finished"] * 2]
    assert states(run) == ["done"] * 3
    assert_same(run, unbroken, 4, 8, 16)


def test_a_detached_job_starts_its_ranks_again(
    unbroken: RunFolder, cluster: SlurmCluster, workplace: Path
) -> None:
    run = RunFolder(workplace / "alone")
    assert train(run, "--detach", "growth.last=8", "launch.max_restarts=1").wait(60) == 0
    until(lambda: fading(run.stage(8)))
    subprocess.run(["scancel", "--signal=KILL", f"{jobs(run)[1]}.0"], check=True)
    until(lambda: states(run) == ["done", "done"])
    assert_same(run, unbroken, 4, 8)


def test_two_nodes_build_what_one_machine_builds(
    cluster: SlurmCluster, shapes: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(BIN), prepend=":")
    log, built = workplace / "prepare.out", workplace / "built"
    asked = ["sbatch", "--wait", "--nodes=2", "--cpus-per-task=1", "--time=10", f"--output={log}"]
    words = [str(shapes.parent / "pictures"), str(built), "--resolution", "16"]
    asked += [str(PREPARE), *words]
    assert subprocess.run(asked, timeout=200).returncode == 0, log.read_text()
    assert load_manifest(built).fingerprint == load_manifest(shapes).fingerprint


def test_a_failed_stage_ends_its_chain(cluster: SlurmCluster, workplace: Path) -> None:
    run = RunFolder(workplace / "failed")
    assert train(run, "--detach", "growth.last=8").wait(60) == 0
    backend = Slurm(LaunchSpec(backend="slurm", nodes=1, gpus_per_node=1))
    first, second = jobs(run)
    until(lambda: checkpoints(run.stage(4)))
    subprocess.run(["scancel", "--signal=KILL", f"{first}.0"], check=True)
    until(lambda: backend.poll(first) == "ended" and backend.poll(second) == "ended")
    assert "JobState=CANCELLED" in cluster.ask("scontrol", "-o", "show", "job", second)
    assert not run.stage(8).progress.exists() and not run.stage(4).final.exists()
