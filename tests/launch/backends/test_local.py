"""The local backend starts real processes."""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from progan.launch.backends import local
from progan.launch.backends.local import Local, processes
from progan.launch.devices import count_gpus
from progan.launch.spec import LaunchSpec
from progan.launch.task import Task
from required import require
from waiting import wait_for


def task(folder: Path, code: str) -> Task:
    return Task(name="test", argv=(sys.executable, "-c", code), log=folder / "log")


def wait(backend: Local, handle: str) -> None:
    wait_for(lambda: backend.poll(handle) == "ended")


def test_every_rank_runs_with_its_number(tmp_path: Path) -> None:
    backend = Local(LaunchSpec(gpus_per_node=2))
    code = (
        "import os; e = os.environ; "
        f"open('{tmp_path}/' + e['RANK'], 'w').write(e['WORLD_SIZE'] + e['PYTHONSAFEPATH'])"
    )
    wait(backend, backend.submit(task(tmp_path, code)))
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["21", "21"]


def test_a_task_can_be_taken_up_and_cancelled_by_another(tmp_path: Path) -> None:
    first = Local(LaunchSpec(gpus_per_node=1))
    handle = first.submit(task(tmp_path, "import time; time.sleep(99)"))
    other = Local(LaunchSpec())
    assert other.poll(handle) == "running"
    other.cancel(handle)
    assert (other.poll(handle), first.poll(handle)) == ("ended", "ended")


def test_a_reused_process_id_is_not_the_task() -> None:
    assert Local(LaunchSpec()).poll(f"{os.getpid()}@0.0") == "ended"


def test_what_a_task_prints_is_kept(tmp_path: Path) -> None:
    backend = Local(LaunchSpec(gpus_per_node=1))
    wait(backend, backend.submit(task(tmp_path, "print('hello')")))
    wait(backend, backend.submit(task(tmp_path, "print('again')")))
    assert (tmp_path / "log").read_text() == "hello\nagain\n"


def test_workers_do_not_outlive_a_killed_launcher(tmp_path: Path) -> None:
    backend = Local(LaunchSpec(gpus_per_node=1))
    code = (
        "import os, time; from progan.stages.worker import die_with_launcher; "
        f"die_with_launcher(); open('{tmp_path}/pid', 'w').write(str(os.getpid())); time.sleep(99)"
    )
    handle = backend.submit(task(tmp_path, code))
    deadline = time.monotonic() + 30
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    worker = [psutil.Process(int((tmp_path / "pid").read_text()))]
    os.kill(int(handle.partition("@")[0]), signal.SIGKILL)
    wait(backend, handle)
    psutil.wait_procs(worker, timeout=10)
    assert not any(process.is_running() and process.status() != "zombie" for process in worker)


def test_automatic_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3,5")
    assert (count_gpus(), processes(LaunchSpec())) == (3, 3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert count_gpus() == 0 and processes(LaunchSpec()) in (1, 2)
    assert processes(LaunchSpec(gpus_per_node=7)) == 7
    assert processes(LaunchSpec(env={"CUDA_VISIBLE_DEVICES": "GPU-aa,GPU-bb,GPU-cc"})) == 3


MEET = """
from datetime import timedelta
import torch.distributed as dist
from progan.stages.distributed.rank_environment import own_environment
own_environment()
dist.init_process_group("gloo", timeout=timedelta(seconds=30))
dist.barrier()
print("met")
"""


@pytest.mark.slow
def test_ranks_meet_on_a_machine_whose_name_does_not_resolve(tmp_path: Path) -> None:
    require("unshare", None if os.geteuid() == 0 and shutil.which("unshare") else "it needs root")
    backend = Local(LaunchSpec(gpus_per_node=2))
    (tmp_path / "meet.py").write_text(MEET)
    # The launcher runs in a namespace of its own, with another host name.
    name = 'hostname no-such-name; exec "$@"'
    (tmp_path / "torchrun").write_text(
        f"#!/bin/sh\nexec unshare --uts sh -c '{name}' sh {local.torchrun()} \"$@\"\n"
    )
    (tmp_path / "torchrun").chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "torchrun", lambda: str(tmp_path / "torchrun"))
        argv = (sys.executable, str(tmp_path / "meet.py"))
        handle = backend.submit(Task(name="test", argv=argv, log=tmp_path / "log"))
    wait(backend, handle)
    assert (tmp_path / "log").read_text().splitlines().count("met") == 2
