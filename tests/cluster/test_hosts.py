"""Two hosts with sshd: runs over both by ssh and by torchrun, and links cut in mid-stage."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from hosts import Hosts, hosts_up, missing
from progan.launch.devices import count_gpus
from progan.pipeline.run.events import EventLog
from progan.pipeline.run.orchestrator import read_progress
from progan.pipeline.run_folder import RunFolder
from required import require
from soak import CONFIG
from workers import BIN, checkpoints, content

pytestmark = pytest.mark.slow

SHORT = ["growth.last=8", "growth.fade_kimg=0.64", "growth.steady_kimg=1.28"]
SSH = ["launch.backend=ssh", "launch.hostfile=hostfile"]
TORCHRUN = ["launch.backend=torchrun", "launch.rendezvous=n1:29603", "launch.nodes=2",
            "launch.gpus_per_node=1", "engine.collective_timeout_minutes=0.3"]  # fmt: skip
IMPATIENT = {"PROGAN_SSH_SILENCE_SECONDS": "6"}


@pytest.fixture(scope="module")
def possible() -> None:
    """The GPUs of a machine would be shared by its hosts."""
    if count_gpus():
        pytest.skip("the hosts would share this machine's GPUs")
    require("sshd", missing())


@pytest.fixture
def hosts(tmp_path: Path, possible: None) -> Iterator[Hosts]:
    """n1 and n2."""
    folder = tmp_path / "hosts"
    folder.mkdir()
    with hosts_up(folder, "n1", "n2") as running:
        yield running


@pytest.fixture(scope="module")
def undisturbed(
    shapes: Path, tmp_path_factory: pytest.TempPathFactory, possible: None
) -> RunFolder:
    """A run by two ranks on one host that was never interrupted."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with hosts_up(folder, "n1") as hosts:
        training = Training(hosts, shapes, folder / "work", ["launch.gpus_per_node=2"])
        assert training.finish(300) == [0], training.output()
    return training.run


class Training:
    """`progan train` on n1 and, with torchrun, `progan join` on n2."""

    def __init__(self, hosts: Hosts, shapes: Path, folder: Path, words: list[str]) -> None:
        folder.mkdir(exist_ok=True)
        self.run = RunFolder(folder / "run")
        (folder / "hostfile").write_text("n1 slots=1\nn2 slots=1\n")
        env = 'launch: {max_restarts: 3, env: {OMP_NUM_THREADS: "1"}}'
        config = CONFIG.replace("launch: {max_restarts: 0}", env) % shapes
        (folder / "tiny.yaml").write_text(config)
        self._hosts = hosts
        self._words = words
        self._log = folder / "log"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.start()

    def start(self) -> None:
        """Start the commands of a user, on each host; also to resume."""
        progan = str(BIN / "progan")
        train = [progan, "train", "tiny.yaml", *SHORT, *self._words, "--run", "run"]
        with self._log.open("ab") as log:
            common: dict[str, Any] = {"cwd": self.run.path.parent, "stdout": log, "stderr": log}
            common["env"] = IMPATIENT
            self.processes = [self._hosts.start("n1", train, **common)]
            if self._words is TORCHRUN:
                self.processes += [self._hosts.start("n2", [progan, "join", "run"], **common)]

    def crashes(self) -> list[str]:
        """The reason of every crash of a stage."""
        events = EventLog(self.run.events).events()
        return [event.fields["reason"] for event in events if event.kind == "stage_crashed"]

    def nodes_at(self, resolution: int) -> int | None:
        """The number of hosts that train a stage; None if it is not trained yet."""
        progress = read_progress(self.run.stage(resolution))
        return progress["nodes"] if progress else None

    def wait_for(self, condition: Callable[[], object], seconds: float) -> None:
        """Return when a condition is true; the run must still be going on then."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.output()
            assert self.processes[0].poll() is None, self.output()
            time.sleep(0.05)

    def finish(self, seconds: float) -> list[int]:
        """Their exit codes."""
        return [process.wait(seconds) for process in self.processes]

    def output(self) -> str:
        """What the commands printed."""
        return self._log.read_text()


def terminate(nsenter: "subprocess.Popen[bytes]") -> None:
    """Send SIGTERM to the command on a host, below the process that entered the host."""
    (child,) = psutil.Process(nsenter.pid).children()
    child.terminate()


BOTH = pytest.mark.parametrize("words", [SSH, TORCHRUN], ids=["ssh", "torchrun"])


@BOTH
def test_two_hosts_stop_resume_and_end_with_the_bytes_of_two_ranks_on_one(
    hosts: Hosts, undisturbed: RunFolder, shapes: Path, tmp_path: Path, words: list[str]
) -> None:
    training = Training(hosts, shapes, tmp_path / "both", words)
    training.wait_for(lambda: training.nodes_at(8) == 2, 150)
    terminate(training.processes[-1])
    assert set(training.finish(100)) == {75}, training.output()
    training.start()
    assert set(training.finish(200)) == {0}, training.output()
    for resolution in (4, 8):
        found, expected = (run.stage(resolution).final for run in (training.run, undisturbed))
        assert content(found) == content(expected)


def test_run_continues_without_a_lost_host(hosts: Hosts, shapes: Path, tmp_path: Path) -> None:
    training = Training(hosts, shapes, tmp_path / "one", [*SSH, "launch.min_nodes=1"])
    training.wait_for(lambda: checkpoints(training.run.stage(4)), 150)
    hosts.cut("n2")
    assert training.finish(300) == [0], training.output()
    assert "n2" in training.crashes()[0] and len(training.crashes()) == 1
    for resolution in (4, 8):
        assert "rank 0 of 1: at" in training.run.stage(resolution).log.read_text()


@BOTH
def test_run_continues_on_both_hosts_after_a_cut_link_is_restored(
    hosts: Hosts, shapes: Path, tmp_path: Path, undisturbed: RunFolder, words: list[str]
) -> None:
    training = Training(hosts, shapes, tmp_path / "both", words)
    training.wait_for(lambda: checkpoints(training.run.stage(4)), 150)
    hosts.cut("n2")
    training.wait_for(training.crashes, 100)
    assert "n2" in training.crashes()[0]
    hosts.mend("n2")
    assert set(training.finish(300)) == {0}, training.output()
    for resolution in (4, 8):
        found, expected = (run.stage(resolution).final for run in (training.run, undisturbed))
        assert content(found) == content(expected)
