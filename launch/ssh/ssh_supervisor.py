"""Holds the connections to all hosts of a task, in a process that outlives the orchestrator.

    python -m progan.launch.ssh.ssh_supervisor < HOST_PLAN.json

Every host runs host_supervisor.py at the other end of its connection. SIGTERM asks all ranks to
stop. Once the ranks of one host have ended, or its connection is lost, the others have half a
minute to end by themselves and are killed then. If this process dies, all ranks are killed.
"""

import signal
import subprocess
import sys
import time

from progan.launch.ssh.host_plan import HEARTBEAT, STOP, HostPlan
from progan.launch.ssh.remote import SSH_FAILED, ssh

POLL_SECONDS = 0.25
GRACE_SECONDS = 30.0
"""For the other hosts to end by themselves after the first"""
CLOSE_SECONDS = 10.0
"""For a closed connection to end before it is killed"""


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

    def send(self, message: bytes) -> None:
        """Send a message to the host's supervisor, if the connection is still open."""
        assert self._ssh.stdin is not None
        try:
            self._ssh.stdin.write(message)
        except (BrokenPipeError, ValueError):
            pass

    def close(self) -> None:
        """Close the connection: the host's supervisor kills its ranks."""
        assert self._ssh.stdin is not None
        self._ssh.stdin.close()

    def kill(self) -> None:
        """Kill ssh, for a connection that is cut and does not end."""
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
    stop_signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: stop_signals.append(number))
    host_plan = HostPlan.model_validate_json(sys.stdin.buffer.read())
    connections = [
        Connection(host.name, node, host_plan) for node, host in enumerate(host_plan.hosts)
    ]
    first_end = supervise(connections, stop_signals, host_plan.heartbeat_seconds)
    print(f"progan: {first_end}", file=sys.stderr)


def supervise(
    connections: list[Connection], stop_signals: list[int], heartbeat_seconds: float
) -> str:
    """Hold the connections until all have ended; returns how the first one ended."""
    first_end: str | None = None
    stop_sent = closed = False
    next_heartbeat = deadline = time.monotonic()
    while any(connection.end is None for connection in connections):
        time.sleep(POLL_SECONDS)
        now = time.monotonic()
        if stop_signals and not stop_sent:
            stop_sent = True
            _broadcast(connections, STOP)
        if now > next_heartbeat:
            next_heartbeat = now + heartbeat_seconds
            _broadcast(connections, HEARTBEAT)
        if first_end is None:
            first_end = next((each.end for each in connections if each.end), None)
            deadline = now + GRACE_SECONDS
        elif now > deadline and not closed:
            closed = True
            deadline = now + CLOSE_SECONDS
            for connection in connections:
                connection.close()
        elif now > deadline:
            for connection in connections:
                connection.kill()
    return first_end or "all ranks ended"


def _broadcast(connections: list[Connection], message: bytes) -> None:
    for connection in connections:
        connection.send(message)


if __name__ == "__main__":
    main()
