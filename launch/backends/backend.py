"""What every way of starting a stage's processes has in common."""

from collections.abc import Callable
from typing import Protocol

from progan.launch.backends.kubernetes import Kubernetes
from progan.launch.backends.local import Local
from progan.launch.backends.slurm import Slurm
from progan.launch.backends.torchrun import Torchrun
from progan.launch.spec import LaunchSpec
from progan.launch.ssh.ssh import Ssh
from progan.launch.task import State, Task


class Backend(Protocol):
    """Starts tasks and looks after them by a handle, which outlives the process that asked."""

    world_size: int
    """Ranks that a task gets"""

    def submit(self, task: Task) -> str:
        """Start a task; LaunchError if that is not possible. Returns its handle."""
        ...

    def poll(self, handle: str) -> State:
        """Where the task stands. How it ended is told by what it left, never by a code."""
        ...

    def cancel(self, handle: str) -> None:
        """Ask the task to stop, wait until it is gone, and end it if that takes too long."""
        ...


BACKENDS: dict[str, Callable[[LaunchSpec], Backend]] = {
    "local": Local,
    "ssh": Ssh,
    "torchrun": Torchrun,
    "slurm": Slurm,
    "kubernetes": Kubernetes,
}
