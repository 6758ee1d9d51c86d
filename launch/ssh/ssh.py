"""The ssh backend: ranks on the hosts of a hostfile, started by torchrun on each."""

import ipaddress
import sys

from progan.launch.detached import Detached
from progan.launch.errors import UnreachableError
from progan.launch.spec import LaunchSpec
from progan.launch.ssh.host_plan import HostPlan
from progan.launch.ssh.hostfile import Host, chosen_hosts
from progan.launch.ssh.remote import preflight_all
from progan.launch.task import State, Task

PATIENCE_SECONDS = 60.0


class Ssh:
    """A detached process (ssh_supervisor.py) that holds the connections to all hosts.

    The task continues if the submitting process is killed.
    """

    def __init__(self, spec: LaunchSpec) -> None:
        self._spec = spec
        self._hosts = chosen_hosts(spec)
        self.world_size = sum(host.slots for host in self._hosts)
        self._detached = Detached()

    def submit(self, task: Task) -> str:
        """Check all hosts and start the ranks; see Backend. LaunchError names failing hosts."""
        outputs, unreachable = preflight_all([h.name for h in self._hosts], task.log.parent)
        hosts = self._choose([host for host in self._hosts if host.name in outputs], task)
        if not hosts:
            raise UnreachableError("\n".join(unreachable))
        port, address = outputs[hosts[0].name].split()
        host_plan = HostPlan(
            launch=self._spec,
            hosts=tuple(hosts),
            address=rendezvous_address(hosts, address),
            port=int(port),
            argv=task.argv,
        )
        argv = [sys.executable, "-m", "progan.launch.ssh.ssh_supervisor"]
        return self._detached.start(argv, task.log, {}, stdin=host_plan.model_dump_json().encode())

    def _choose(self, reached: list[Host], task: Task) -> list[Host]:
        """The most hosts that fit the task; none if they are fewer than `min_nodes`."""
        min_nodes = self._spec.min_nodes or len(self._hosts)
        for count in range(len(reached), min_nodes - 1, -1):
            hosts = reached[:count]
            if count == len(self._hosts) or task.fits(sum(host.slots for host in hosts)):
                return hosts
        return []

    def poll(self, handle: str) -> State:
        """See Backend."""
        return "running" if self._detached.alive(handle) else "ended"

    def cancel(self, handle: str) -> None:
        """Ask all ranks on all hosts to stop; see Backend."""
        self._detached.end(handle, PATIENCE_SECONDS)


def rendezvous_address(hosts: list[Host], reported: str) -> str:
    """Where all hosts reach the first one, which reported how it was reached by ssh."""
    if len(hosts) == 1:
        return "127.0.0.1"  # its name may not resolve, its address change
    # Reached from itself, the first host reports a loopback address, useless to others.
    is_loopback = ipaddress.ip_address(reported).is_loopback
    return hosts[0].name.rpartition("@")[2] if is_loopback else reported
