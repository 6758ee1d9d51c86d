"""The torchrun backend: torchrun on every machine, with one rendezvous; any scheduler starts them.

`progan train` on one machine submits the tasks, `progan join` on the others joins them.
"""

import secrets

from progan.launch import environment
from progan.launch.backends.local import PATIENCE_SECONDS, processes, torchrun
from progan.launch.detached import Detached
from progan.launch.spec import LaunchSpec
from progan.launch.task import State, Task


class Torchrun:
    """torchrun as a detached process. A handle is that of Detached, and the rendezvous's id."""

    def __init__(self, spec: LaunchSpec) -> None:
        assert spec.nodes != "auto"
        self._spec = spec
        self._ranks_here = processes(spec)
        self.world_size = spec.nodes * self._ranks_here
        self._detached = Detached()

    def submit(self, task: Task) -> str:
        """Start this machine's ranks and the rendezvous; see Backend."""
        # A new id for every attempt: machines that are late for one must not enter the next.
        rendezvous_id = secrets.token_hex(4)
        return f"{self._start(task, rendezvous_id, is_host=True)}/{rendezvous_id}"

    def join(self, task: Task, handle: str) -> str:
        """Start this machine's ranks of a task that another machine submitted.

        Returns a handle for these ranks, which end when this process does.
        """
        rendezvous_id = handle.partition("/")[2]
        return f"{self._start(task, rendezvous_id, is_host=False)}/{rendezvous_id}"

    def poll(self, handle: str) -> State:
        """See Backend."""
        return "running" if self._detached.alive(handle.partition("/")[0]) else "ended"

    def cancel(self, handle: str) -> None:
        """Send SIGTERM to torchrun, which stops all ranks; see Backend."""
        self._detached.end(handle.partition("/")[0], PATIENCE_SECONDS)

    def _start(self, task: Task, rendezvous_id: str, is_host: bool) -> str:
        argv = [
            torchrun(),
            f"--nnodes={self._spec.nodes}",
            f"--nproc-per-node={self._ranks_here}",
            "--rdzv-backend=c10d",
            f"--rdzv-endpoint={self._spec.rendezvous}",
            f"--rdzv-id={rendezvous_id}",
            f"--rdzv-conf=is_host={is_host}",
            "--no-python",
        ]
        env = environment.local_variables(self._spec, self._ranks_here)
        return self._detached.start([*argv, *task.argv], task.log, env, attached=not is_host)
