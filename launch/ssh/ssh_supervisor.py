"""The connections to all hosts of a task, in a process that outlives the orchestrator.

    python -m progan.launch.ssh.ssh_supervisor < SPREAD.json

Each host runs host_supervisor.py at the other end of its connection. SIGTERM asks all ranks to
stop. Once the ranks of one host have ended, or its connection is lost, the others have half a
minute to end by themselves and are ended then. If this process dies, so do all ranks.
"""

import signal
import subprocess
import sys
import time

from progan.launch.ssh.host_plan import HEARTBEAT, STOP, HostPlan
from progan.launch.ssh.remote import SSH_FAILED, ssh

LOOK_SECONDS = 0.25
GRACE_SECONDS = 30.0
LAST_SECONDS = 10.0


class Connection:
    """ssh to one host."""

    def __init__(self, name: str, node: int, host_plan: HostPlan) -> None:
        self.name = name
        self._ssh = subprocess.Popen(
            ssh(
                *(name, "-m", "progan.launch.ssh.host_supervisor", str(node)),
                lost_seconds=host_plan.lost_seconds,
            ),
            stdin=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # signals to this process's group are not for ssh
        )
        self.send(host_plan.model_dump_json().encode() + b"\n")

    def send(self, order: bytes) -> None:
        """Say something to the guard, if it is still there."""
        assert self._ssh.stdin is not None
        try:
            self._ssh.stdin.write(order)
        except (BrokenPipeError, ValueError):
            pass

    def hang_up(self) -> None:
        """The guard ends its ranks."""
        assert self._ssh.stdin is not None
        self._ssh.stdin.close()

    def kill(self) -> None:
        """For a connection that does not end, being cut."""
        self._ssh.kill()

    @property
    def end(self) -> str | None:
        """How it ended; None while it lasts."""
        code = self._ssh.poll()
        if code is None:
            return None
        if code == SSH_FAILED:
            return f"the connection to {self.name} was lost"
        return f"the ranks on {self.name} ended with {code}"


def main() -> None:
    """Command line."""
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: asked.append(number))
    host_plan = HostPlan.model_validate_json(sys.stdin.buffer.read())
    connections = [
        Connection(host.name, node, host_plan) for node, host in enumerate(host_plan.hosts)
    ]
    first = attend(connections, asked, host_plan.heartbeat_seconds)
    print(f"progan: {first}", file=sys.stderr)


def attend(connections: list[Connection], asked: list[int], heartbeat_seconds: float) -> str:
    """Keep the connections until all have ended; returns how the first one did."""
    first: str | None = None
    told = hung_up = False
    beat = deadline = time.monotonic()
    while any(connection.end is None for connection in connections):
        time.sleep(LOOK_SECONDS)
        now = time.monotonic()
        if asked and not told:
            told = True
            _tell(connections, STOP)
        if now > beat:
            beat = now + heartbeat_seconds
            _tell(connections, HEARTBEAT)
        if first is None:
            first = next((connection.end for connection in connections if connection.end), None)
            deadline = now + GRACE_SECONDS
        elif now > deadline and not hung_up:
            hung_up = True
            deadline = now + LAST_SECONDS
            for connection in connections:
                connection.hang_up()
        elif now > deadline:
            for connection in connections:
                connection.kill()
    return first or "all ranks ended"


def _tell(connections: list[Connection], order: bytes) -> None:
    for connection in connections:
        connection.send(order)


if __name__ == "__main__":
    main()
