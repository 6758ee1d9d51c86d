"""Ranks on this machine, started and watched by torchrun."""

import os
import subprocess
import sys
from pathlib import Path

import psutil

from progan.launch.devices import count_gpus
from progan.launch.errors import LaunchError
from progan.launch.spec import LaunchSpec
from progan.launch.task import Task

CPU_PROCESSES = 2
PATIENCE_SECONDS = 40.0
KEEP_MEMORY = {
    # glibc hands large tensors back to the kernel when they are freed, and the next step pays for
    # every page again. Keeping them made a CPU step at 32x32 take 0.71 of its time.
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
    "MALLOC_TOP_PAD_": str(2**28),
}


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

    def is_running(self, handle: str) -> bool:
        """See Backend."""
        if handle in self._children:
            return self._children[handle].poll() is None
        return _find(handle) is not None

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
        """What the ranks find set unless the user set it: CPU threads shared out among them, memory
        kept between steps, and `datasets` Hugging Face's wherever this is started."""
        threads = max(1, (os.cpu_count() or 1) // self.world_size)
        ours = {"OMP_NUM_THREADS": str(threads), "PYTHONSAFEPATH": "1"} | KEEP_MEMORY
        return {name: os.environ.get(name, value) for name, value in ours.items()}


def _find(handle: str) -> psutil.Process | None:
    """The living process of a handle; a process id alone may have been given to another."""
    pid, _, born = handle.partition("@")
    try:
        process = psutil.Process(int(pid))
        alive = str(process.create_time()) == born and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return process if alive else None
