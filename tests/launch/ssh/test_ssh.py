"""The ssh backend with an `ssh` that runs commands here, and hosts that do not answer."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from fake_ssh import FAKE_SSH
from progan.launch.errors import LaunchError, UnreachableError
from progan.launch.spec import LaunchSpec
from progan.launch.ssh.host_supervisor import require_name
from progan.launch.ssh.hostfile import Host
from progan.launch.ssh.ssh import Ssh, rendezvous_address
from progan.launch.task import Task
from waiting import wait_for

ASKED = """
import os, signal, time
from progan.stages.worker import die_with_launcher
die_with_launcher()
name = "{folder}/" + os.environ["RANK"]
signal.signal(signal.SIGTERM, lambda *_: (open(name + ".asked", "a").write("x"), os._exit(75)))
open(name, "w").write(str(os.getpid()))
time.sleep(99)
"""


@pytest.fixture(autouse=True)
def ssh_to_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ssh that reaches this machine by any name but lost* and bare*."""
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(FAKE_SSH)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def backend(folder: Path, *names: str, **fields: Any) -> Ssh:
    hostfile = folder / "hostfile"
    hostfile.write_text("".join(f"{name} slots=1\n" for name in names))
    return Ssh(LaunchSpec(backend="ssh", hostfile=hostfile, **fields))


def task(folder: Path, code: str) -> Task:
    return Task(name="test", argv=(sys.executable, "-c", code), log=folder / "log")


def test_hosts_that_cannot_be_reached_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError) as caught:
        backend(tmp_path, "localhost", "lost1", "lost2").submit(task(tmp_path, ""))
    assert str(caught.value) == (
        "lost1 cannot be reached: ssh: connect to host lost1 port 22: No route to host\n"
        "lost2 cannot be reached: ssh: connect to host lost2 port 22: No route to host"
    )


def test_a_host_that_lacks_the_environment_is_named(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="bare1 cannot take part: sh: 1: python: not found"):
        backend(tmp_path, "localhost", "bare1").submit(task(tmp_path, ""))


def test_a_host_that_does_not_see_the_run_is_named(tmp_path: Path) -> None:
    elsewhere = Task(name="test", argv=("true",), log=tmp_path / "none" / "log")
    with pytest.raises(LaunchError, match="localhost cannot take part: it does not see .*none"):
        backend(tmp_path, "localhost").submit(elsewhere)


def test_a_stage_goes_without_no_more_hosts_than_it_may(tmp_path: Path) -> None:
    """Two of four answer, and two are enough; but this task's batch needs three, or one."""
    names = ("localhost", "lost1", "127.0.0.1", "lost2")
    odd = replace(task(tmp_path, ""), fits=lambda ranks: ranks % 2 == 1)
    with pytest.raises(UnreachableError, match=r"lost1 .*\nlost2 cannot be reached"):
        backend(tmp_path, *names, min_nodes=2).submit(odd)
    with pytest.raises(LaunchError, match="launch.min_nodes=5: of 4 hosts in all"):
        backend(tmp_path, *names, min_nodes=5)


@pytest.mark.slow
def test_ranks_are_counted_over_the_hosts_that_are_left(tmp_path: Path) -> None:
    code = (
        "import os; e = os.environ; "
        f"open('{tmp_path}/' + e['RANK'], 'w').write(e['WORLD_SIZE'] + e['CUDA_VISIBLE_DEVICES'])"
    )
    visible = {"CUDA_VISIBLE_DEVICES": "GPU-aa,3"}
    ssh = backend(tmp_path, "lost1", "localhost", "127.0.0.1", min_nodes=1, env=visible)
    handle = ssh.submit(task(tmp_path, code))
    wait_for(lambda: ssh.poll(handle) == "ended")
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["2GPU-aa,3", "2GPU-aa,3"]


@pytest.mark.parametrize(
    ("names", "reported", "expected"),
    [
        (["n1"], "10.0.0.1", "127.0.0.1"),
        (["n1", "n2"], "10.0.0.1", "10.0.0.1"),
        (["n1", "n2"], "127.0.0.1", "n1"),
        (["alice@n1", "n2"], "::1", "n1"),
    ],
)
def test_where_the_ranks_meet(names: list[str], reported: str, expected: str) -> None:
    assert rendezvous_address([Host(name, 1) for name in names], reported) == expected


def test_host_that_does_not_find_the_first_says_so() -> None:
    with pytest.raises(SystemExit, match=r"does not find no-such-host\.invalid, the first host"):
        require_name("no-such-host.invalid")
    require_name("127.0.0.1")


def started(ssh: Ssh, folder: Path) -> tuple[str, list[psutil.Process]]:
    """The handle and both ranks of a task that sleeps."""
    handle = ssh.submit(task(folder, ASKED.format(folder=folder)))
    files = [folder / "0", folder / "1"]
    wait_for(lambda: all(file.exists() and file.read_text() for file in files))
    return handle, [psutil.Process(int(file.read_text())) for file in files]


def gone(ranks: list[psutil.Process]) -> bool:
    return not any(rank.is_running() and rank.status() != "zombie" for rank in ranks)


@pytest.mark.slow
def test_every_rank_is_asked_once_to_stop(tmp_path: Path) -> None:
    first = backend(tmp_path, "localhost", "127.0.0.1")
    handle, ranks = started(first, tmp_path)
    other = backend(tmp_path, "localhost", "127.0.0.1")
    assert other.poll(handle) == "running"
    other.cancel(handle)
    assert first.poll(handle) == "ended" and gone(ranks)
    assert [(tmp_path / f"{rank}.asked").read_text() for rank in "01"] == ["x", "x"]


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["connections", "guard", "launcher", "rank"])
def test_nothing_outlives_a_part_that_is_killed(tmp_path: Path, victim: str) -> None:
    ssh = backend(tmp_path, "localhost", "127.0.0.1")
    handle, ranks = started(ssh, tmp_path)
    launcher = ranks[1].parent()
    processes = {
        "connections": psutil.Process(int(handle.partition("@")[0])),
        "guard": launcher.parent(),
        "launcher": launcher,
        "rank": ranks[1],
    }
    os.kill(processes[victim].pid, signal.SIGKILL)
    wait_for(lambda: gone(ranks) and ssh.poll(handle) == "ended")
