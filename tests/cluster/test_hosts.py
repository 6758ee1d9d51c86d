"""Two hosts with sshd: a run over both by ssh and by torchrun, and its link cut in mid-stage."""

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
from progan.stages.storage.final import is_done
from soak import CONFIG
from workers import BIN, checkpoints, content

REASON = "the hosts would share this machine's GPUs" if count_gpus() else missing()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(REASON is not None, reason=str(REASON))]

SHORT = ["growth.last=16", "growth.fade_kimg=0.64", "growth.steady_kimg=0.64"]
SSH = ["launch.backend=ssh", "launch.hostfile=hostfile"]
TORCHRUN = ["launch.backend=torchrun", "launch.rendezvous=n1:29603", "launch.nodes=2",
            "launch.gpus_per_node=1", "engine.collective_timeout_minutes=0.3"]  # fmt: skip


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    """n1 and n2."""
    folder = tmp_path / "hosts"
    folder.mkdir()
    with hosts_up(folder, "n1", "n2") as them:
        yield them


class Training:
    """`progan train` on n1 and, if it is to be joined, `progan join` on n2."""

    def __init__(self, hosts: Hosts, shapes: Path, folder: Path, words: list[str]) -> None:
        folder.mkdir(exist_ok=True)
        self.run = RunFolder(folder / "run")
        (folder / "hostfile").write_text("n1 slots=1\nn2 slots=1\n")
        env = 'launch: {max_restarts: 3, env: {OMP_NUM_THREADS: "1"}}'
        config = CONFIG.replace("launch: {max_restarts: 0}", env) % shapes
        (folder / "tiny.yaml").write_text(config)
        self._hosts = hosts
        self._words = words
        self._said = folder / "said"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.start()

    def start(self) -> None:
        """What a person types, on each host, also to go on."""
        progan = str(BIN / "progan")
        train = [progan, "train", "tiny.yaml", *SHORT, *self._words, "--run", "run"]
        with self._said.open("ab") as log:
            common: dict[str, Any] = {"cwd": self.run.path.parent, "stdout": log, "stderr": log}
            self.processes = [self._hosts.start("n1", train, **common)]
            if self._words is TORCHRUN:
                self.processes += [self._hosts.start("n2", [progan, "join", "run"], **common)]

    def crashes(self) -> list[str]:
        """Why the stage had to be started again, each time."""
        events = EventLog(self.run.events).events()
        return [event.fields["reason"] for event in events if event.kind == "stage_crashed"]

    def nodes_at(self, resolution: int) -> int | None:
        """The machines that a stage is trained on, once it is."""
        progress = read_progress(self.run.stage(resolution))
        return progress["nodes"] if progress else None

    def wait_for(self, what: Callable[[], object], seconds: float) -> None:
        """Return when something has come true while the run goes on."""
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, self.said()
            assert self.processes[0].poll() is None, self.said()
            time.sleep(0.05)

    def finish(self, seconds: float) -> list[int]:
        """Their exit codes."""
        return [process.wait(seconds) for process in self.processes]

    def said(self) -> str:
        """What they printed."""
        return self._said.read_text()


def terminate(entered: "subprocess.Popen[bytes]") -> None:
    """SIGTERM for the process that a host was entered with."""
    (child,) = psutil.Process(entered.pid).children()
    child.terminate()


BOTH = pytest.mark.parametrize("words", [SSH, TORCHRUN], ids=["ssh", "torchrun"])


@BOTH
def test_two_hosts_make_what_two_ranks_of_one_make(
    hosts: Hosts, shapes: Path, tmp_path: Path, words: list[str]
) -> None:
    alone = Training(hosts, shapes, tmp_path / "alone", ["launch.gpus_per_node=2"])
    assert alone.finish(200) == [0], alone.said()
    training = Training(hosts, shapes, tmp_path / "both", words)
    training.wait_for(lambda: training.nodes_at(8) == 2, 150)
    terminate(training.processes[-1])
    assert set(training.finish(100)) == {75}, training.said()
    training.start()
    assert set(training.finish(200)) == {0}, training.said()
    for resolution in (4, 8, 16):
        found, wanted = (each.run.stage(resolution).final for each in (training, alone))
        assert content(found) == content(wanted)


def test_a_run_goes_on_without_a_host_that_is_lost(
    hosts: Hosts, shapes: Path, tmp_path: Path
) -> None:
    training = Training(hosts, shapes, tmp_path, [*SSH, "launch.min_nodes=1"])
    training.wait_for(lambda: checkpoints(training.run.stage(8)), 150)
    hosts.cut("n2")
    assert training.finish(300) == [0], training.said()
    assert "n2" in training.crashes()[0] and len(training.crashes()) == 1
    assert "rank 0 of 1: at" in training.run.stage(8).log.read_text()


@BOTH
def test_a_run_goes_on_over_a_cut_link(
    hosts: Hosts, shapes: Path, tmp_path: Path, words: list[str]
) -> None:
    training = Training(hosts, shapes, tmp_path, words)
    training.wait_for(lambda: checkpoints(training.run.stage(8)), 150)
    hosts.cut("n2")
    training.wait_for(training.crashes, 100)
    assert "n2" in training.crashes()[0]
    hosts.mend("n2")
    assert set(training.finish(300)) == {0}, training.said()
    assert is_done(training.run.stage(16).final)
