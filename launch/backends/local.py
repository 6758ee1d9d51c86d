"""The local backend: ranks on this machine, started by torchrun."""

import os
import sys
from pathlib import Path

from progan.launch import environment
from progan.launch.detached import Detached
from progan.launch.devices import count_gpus
from progan.launch.errors import LaunchError
from progan.launch.spec import LaunchSpec
from progan.launch.task import State, Task

CPU_PROCESSES = 2
PATIENCE_SECONDS = 40.0


def processes(spec: LaunchSpec) -> int:
    """The number of ranks on this machine."""
    if spec.gpus_per_node != "auto":
        return spec.gpus_per_node
    return count_gpus(spec.env) or min(CPU_PROCESSES, os.cpu_count() or 1)


def torchrun() -> str:
    """The path of torchrun; LaunchError if it is not there."""
    path = Path(sys.executable).with_name("torchrun")
    if not path.exists():
        raise LaunchError(f"{path} is missing: install torch into this environment")
    return str(path)


class Local:
    """torchrun as a detached process; the task continues if the submitting process is killed."""

    def __init__(self, spec: LaunchSpec) -> None:
        self.world_size = processes(spec)
        self._spec = spec
        self._detached = Detached()

    def submit(self, task: Task) -> str:
        """Start torchrun; see Backend."""
        argv = [
            torchrun(),
            "--standalone",
            "--local-addr=127.0.0.1",  # this machine's name may not resolve
            f"--nproc-per-node={self.world_size}",
            "--no-python",
        ]
        env = environment.local_variables(self._spec, self.world_size)
        return self._detached.start([*argv, *task.argv], task.log, env)

    def poll(self, handle: str) -> State:
        """See Backend."""
        return "running" if self._detached.alive(handle) else "ended"

    def cancel(self, handle: str) -> None:
        """Send SIGTERM to torchrun, which stops its ranks; see Backend."""
        self._detached.end(handle, PATIENCE_SECONDS)
