"""The torchrun backend: torchrun on every machine, with one rendezvous; any scheduler starts them.

`progan train` on one machine submits the tasks, `progan join` on the others joins them.
"""

import ipaddress
import secrets
import socket

from progan.launch import environment
from progan.launch.backends.local import PATIENCE_SECONDS, processes, torchrun
from progan.launch.detached import Detached
from progan.launch.errors import LaunchError
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
            f"--local-addr={self.own_address(is_host)}",
            "--no-python",
        ]
        env = environment.local_variables(self._spec, self._ranks_here)
        return self._detached.start([*argv, *task.argv], task.log, env, attached=not is_host)

    def own_address(self, is_host: bool) -> str:
        """Where the other machines reach this one.

        By its name, if that leads anywhere; else by its address on the way to the rendezvous.
        """
        assert self._spec.rendezvous is not None
        host, _, port = self._spec.rendezvous.rpartition(":")
        host = host.strip("[]")  # of an IPv6 address
        if is_host:
            return host
        name = socket.getfqdn()
        if not all(ipaddress.ip_address(found).is_loopback for found in _addresses(name)):
            return name
        try:
            family, _, _, _, target = socket.getaddrinfo(host, int(port))[0]
        except socket.gaierror as error:
            raise LaunchError(
                f"launch.rendezvous: {socket.gethostname()} does not find {host} by that name: "
                "enter it in the name server or in /etc/hosts, or give an address"
            ) from error
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(target)  # of a datagram socket: chooses the way, sends nothing
            return str(probe.getsockname()[0])


def _addresses(name: str) -> list[str]:
    """A machine's addresses; none if its name is not known."""
    try:
        return [str(info[4][0]).partition("%")[0] for info in socket.getaddrinfo(name, None)]
    except socket.gaierror:
        return []
