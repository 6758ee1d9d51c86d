"""Ranks on the hosts of a hostfile, over ssh: DeepSpeed's launcher on each, under watch."""

import ipaddress
import sys

from progan.launch.detached import Detached
from progan.launch.errors import UnreachableError
from progan.launch.spec import LaunchSpec
from progan.launch.ssh.host_plan import HostPlan
from progan.launch.ssh.hostfile import Host, chosen_hosts
from progan.launch.ssh.remote import ask_all
from progan.launch.task import State, Task

PATIENCE_SECONDS = 60.0


class Ssh:
    """A process that keeps the connections (ssh_supervisor.py); its handle is Detached's.

    It goes on when the process that submitted the task is killed; another one can pick it up.
    """

    def __init__(self, spec: LaunchSpec) -> None:
        self._spec = spec
        self._hosts = chosen_hosts(spec)
        self.world_size = sum(host.slots for host in self._hosts)
        self._detached = Detached()

    def submit(self, task: Task) -> str:
        """Connect to all hosts and start the ranks; see Backend. LaunchError names a host."""
        answers, lost = ask_all([host.name for host in self._hosts], task.log.parent)
        hosts = self._enough([host for host in self._hosts if host.name in answers], task)
        if not hosts:
            raise UnreachableError("\n".join(lost))
        first = hosts[0].name
        port, address = answers[first].split()
        host_plan = HostPlan(
            launch=self._spec,
            hosts=tuple(hosts),
            # Reached from itself, the first host tells an address that means nothing to others.
            address=first if ipaddress.ip_address(address).is_loopback else address,
            port=int(port),
            argv=task.argv,
        )
        argv = [sys.executable, "-m", "progan.launch.ssh.ssh_supervisor"]
        return self._detached.start(argv, task.log, {}, told=host_plan.model_dump_json().encode())

    def _enough(self, reached: list[Host], task: Task) -> list[Host]:
        """As many hosts as the task can be shared out over; none if that is less than wanted."""
        least = self._spec.min_nodes or len(self._hosts)
        for count in range(len(reached), least - 1, -1):
            hosts = reached[:count]
            if count == len(self._hosts) or task.fits(sum(host.slots for host in hosts)):
                return hosts
        return []

    def poll(self, handle: str) -> State:
        """See Backend."""
        return "running" if self._detached.alive(handle) else "ended"

    def cancel(self, handle: str) -> None:
        """Ask all ranks to stop; after a while, end them all the same. See Backend."""
        self._detached.end(handle, PATIENCE_SECONDS)
