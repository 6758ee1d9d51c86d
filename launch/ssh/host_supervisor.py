"""Starts one host's ranks of a task and supervises them; ssh runs it on every host.

    python -m progan.launch.ssh.host_supervisor NODE

Standard input is the connection to ssh_supervisor.py: first a line (HostPlan), then heartbeats and
STOP. When it is closed, or silent for too long, the ranks are killed, so that they never train at
the same time as those that replace them.
"""

import hashlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from io import FileIO

import psutil

from progan.launch import environment
from progan.launch.detached import die_with_parent
from progan.launch.ssh.host_plan import STOP, HostPlan

POLL_SECONDS = 0.5
PREDECESSOR_SECONDS = 60.0


def main() -> None:
    """Command line."""
    node = int(sys.argv[1])
    connection = FileIO(0)
    host_plan = HostPlan.model_validate_json(connection.readline())
    host = host_plan.hosts[node]
    require_name(host_plan.address)
    with single_instance(f"{host.name} {' '.join(host_plan.argv)}"):
        launcher = subprocess.Popen(
            [sys.executable, *host_plan.launcher(node)],
            stdin=subprocess.DEVNULL,
            env=os.environ | environment.local_variables(host_plan.launch, host.slots),
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        reason = supervise(launcher, connection, host_plan.silence_seconds)
    if reason:
        print(f"progan: {host.name}: {reason}; its ranks were ended", file=sys.stderr, flush=True)
    sys.exit(launcher.returncode if launcher.returncode >= 0 else 128 - launcher.returncode)


def require_name(first: str) -> None:
    """Exit with a message if this host does not find the first one: torchrun tries for minutes."""
    try:
        socket.getaddrinfo(first, None)
    except socket.gaierror:
        sys.exit(
            f"progan: {socket.gethostname()} does not find {first}, the first host, by that name: "
            "enter it in the name server or in /etc/hosts, or give its address in the hostfile"
        )


def single_instance(name: str) -> socket.socket:
    """A lock that one process on this host can hold; waits until an earlier holder has ended.

    An abstract socket is freed however its holder ends.
    """
    key = hashlib.sha256(f"{os.getuid()} {name}".encode()).hexdigest()
    lock = socket.socket(socket.AF_UNIX)
    deadline = time.monotonic() + PREDECESSOR_SECONDS
    while True:
        try:
            lock.bind(f"\0progan-{key}")
        except OSError:
            if time.monotonic() > deadline:
                sys.exit(f"progan: ranks of an earlier start still run on {socket.gethostname()}")
            time.sleep(POLL_SECONDS)
        else:
            return lock


def supervise(
    launcher: "subprocess.Popen[bytes]", connection: FileIO, silence_seconds: float
) -> str | None:
    """Wait until the launcher ends, passing STOP on; returns why it was killed, if it was."""
    last_received = time.monotonic()
    while launcher.poll() is None:
        if select.select([connection], [], [], POLL_SECONDS)[0]:
            received = connection.read(64)
            if not received:
                kill_tree(launcher)
                return "the connection is closed"
            last_received = time.monotonic()
            if STOP in received:
                launcher.send_signal(signal.SIGTERM)
        elif time.monotonic() - last_received > silence_seconds:
            kill_tree(launcher)
            return f"cut off for {silence_seconds:.0f} s"
    return None


def kill_tree(launcher: "subprocess.Popen[bytes]") -> None:
    """Kill the launcher and all its descendants."""
    descendants = psutil.Process(launcher.pid).children(recursive=True)
    launcher.kill()
    for process in descendants:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            pass
    launcher.wait()


if __name__ == "__main__":
    main()
