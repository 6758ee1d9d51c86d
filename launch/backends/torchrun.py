"""Ranks on machines that somebody else's scheduler started: torchrun on each, one rendezvous.

`progan train` on one machine submits the tasks and `progan join` on the others takes part in them.
"""

import secrets

from progan.launch import environment
from progan.launch.backends.local import PATIENCE_SECONDS, processes, torchrun
from progan.launch.detached import Detached
from progan.launch.spec import LaunchSpec
from progan.launch.task import State, Task


class Torchrun:
    """torchrun in a session of its own. A handle is Detached's and the rendezvous's id."""

    def __init__(self, spec: LaunchSpec) -> None:
        assert spec.nodes != "auto"
        self._spec = spec
        self._ranks_here = processes(spec)
        self.world_size = spec.nodes * self._ranks_here
        self._detached = Detached()

    def submit(self, task: Task) -> str:
        """Start this machine's ranks, and the rendezvous that others come to; see Backend."""
        # Whoever is late for one attempt must not get into the next one.
        meeting = secrets.token_hex(4)
        return f"{self._start(task, meeting, is_host=True)}/{meeting}"

    def join(self, task: Task, handle: str) -> str:
        """Start this machine's ranks of a task that another machine submitted.

        Returns the handle of this machine's share. It ends when this process does.
        """
        meeting = handle.partition("/")[2]
        return f"{self._start(task, meeting, is_host=False)}/{meeting}"

    def poll(self, handle: str) -> State:
        """See Backend."""
        return "running" if self._detached.alive(handle.partition("/")[0]) else "ended"

    def cancel(self, handle: str) -> None:
        """Ask torchrun to end its ranks; after a while, end it all the same. See Backend."""
        self._detached.end(handle.partition("/")[0], PATIENCE_SECONDS)

    def _start(self, task: Task, meeting: str, is_host: bool) -> str:
        argv = [
            torchrun(),
            f"--nnodes={self._spec.nodes}",
            f"--nproc-per-node={self._ranks_here}",
            "--rdzv-backend=c10d",
            f"--rdzv-endpoint={self._spec.rendezvous}",
            f"--rdzv-id={meeting}",
            f"--rdzv-conf=is_host={is_host}",
            "--no-python",
        ]
        env = environment.on_this_machine(self._spec, self._ranks_here)
        return self._detached.start([*argv, *task.argv], task.log, env, attached=not is_host)
