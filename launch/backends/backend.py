"""The interface of backends, and the table of them."""

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
    """Starts, polls and cancels tasks; a task's handle is valid in other processes, too."""

    world_size: int
    """Ranks of a task"""

    def submit(self, task: Task) -> str:
        """Start a task; LaunchError if that is not possible. Returns its handle."""
        ...

    def poll(self, handle: str) -> State:
        """The task's state. Success is read from the stage's files, never from an exit code."""
        ...

    def cancel(self, handle: str) -> None:
        """Ask the task to stop and wait until it has ended; kill it if that takes too long."""
        ...


BACKENDS: dict[str, Callable[[LaunchSpec], Backend]] = {
    "local": Local,
    "ssh": Ssh,
    "torchrun": Torchrun,
    "slurm": Slurm,
    "kubernetes": Kubernetes,
}
