"""Ranks on this machine, started and watched by torchrun."""

import os
import subprocess
import sys
from pathlib import Path

import psutil

from progan.launch import environment
from progan.launch.devices import count_gpus
from progan.launch.errors import LaunchError
from progan.launch.spec import LaunchSpec
from progan.launch.task import State, Task

CPU_PROCESSES = 2
PATIENCE_SECONDS = 40.0


def processes(spec: LaunchSpec) -> int:
    """Ranks that the local backend starts."""
    if spec.gpus_per_node != "auto":
        return spec.gpus_per_node
    return count_gpus() or min(CPU_PROCESSES, os.cpu_count() or 1)


class Local:
    """torchrun in a session of its own. A handle is its process id and the moment it was born.

    The task goes on when the process that submitted it is killed; another one can pick it up.
    """

    def __init__(self, spec: LaunchSpec) -> None:
        self.world_size = processes(spec)
        self._spec = spec
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def submit(self, task: Task) -> str:
        """Start torchrun; see Backend."""
        torchrun = Path(sys.executable).with_name("torchrun")
        if not torchrun.exists():
            raise LaunchError(f"{torchrun} is missing: install torch into this environment")
        argv = [str(torchrun), "--standalone", f"--nproc-per-node={self.world_size}", "--no-python"]
        with task.log.open("ab") as log:
            child = subprocess.Popen(
                [*argv, *task.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | self._environment(),
                start_new_session=True,
            )
        handle = f"{child.pid}@{psutil.Process(child.pid).create_time()}"
        self._children[handle] = child
        return handle

    def poll(self, handle: str) -> State:
        """See Backend."""
        child = self._children.get(handle)
        running = _find(handle) is not None if child is None else child.poll() is None
        return "running" if running else "ended"

    def cancel(self, handle: str) -> None:
        """Ask torchrun to end its ranks; after a while, end it all the same. See Backend."""
        process = _find(handle)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(PATIENCE_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait()

    def _environment(self) -> dict[str, str]:
        """What the ranks find set unless the user set it, CPU threads shared out among them too."""
        threads = max(1, (os.cpu_count() or 1) // self.world_size)
        ours = {"OMP_NUM_THREADS": str(threads)} | environment.of_ranks(self._spec)
        return {name: os.environ.get(name, value) for name, value in ours.items()} | self._spec.env


def _find(handle: str) -> psutil.Process | None:
    """The living process of a handle; a process id alone may have been given to another."""
    pid, _, born = handle.partition("@")
    try:
        process = psutil.Process(int(pid))
        alive = str(process.create_time()) == born and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return process if alive else None
