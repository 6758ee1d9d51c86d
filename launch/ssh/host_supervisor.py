"""One host's ranks of a task that is host_plan over many, under watch; ssh runs it on every host.

    python -m progan.launch.ssh.host_supervisor NODE

Standard input is the connection: first a line (HostPlan), then a beat every few seconds. When it
ends, or is silent for too long, whoever asked is gone or cut off, and the ranks are ended, so that
they never train beside those that are started in their place.
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

LOOK_SECONDS = 0.5
FORMER_SECONDS = 60.0


def main() -> None:
    """Command line."""
    node = int(sys.argv[1])
    orders = FileIO(0)
    host_plan = HostPlan.model_validate_json(orders.readline())
    host = host_plan.hosts[node]
    with only_one(f"{host.name} {' '.join(host_plan.argv)}"):
        launcher = subprocess.Popen(
            [sys.executable, *host_plan.launcher(node)],
            stdin=subprocess.DEVNULL,
            env=os.environ | environment.on_this_machine(host_plan.launch, host.slots),
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        why = attend(launcher, orders, host_plan.silence_seconds)
    if why:
        print(f"progan: {host.name}: {why}; its ranks were ended", file=sys.stderr, flush=True)
    sys.exit(launcher.returncode if launcher.returncode >= 0 else 128 - launcher.returncode)


def only_one(name: str) -> socket.socket:
    """Hold a name that one process on this host can have: its former holder is waited for.

    An abstract socket is free again however its holder ends.
    """
    key = hashlib.sha256(f"{os.getuid()} {name}".encode()).hexdigest()
    holder = socket.socket(socket.AF_UNIX)
    deadline = time.monotonic() + FORMER_SECONDS
    while True:
        try:
            holder.bind(f"\0progan-{key}")
        except OSError:
            if time.monotonic() > deadline:
                sys.exit(f"progan: ranks of an earlier start still run on {socket.gethostname()}")
            time.sleep(LOOK_SECONDS)
        else:
            return holder


def attend(
    launcher: "subprocess.Popen[bytes]", orders: FileIO, silence_seconds: float
) -> str | None:
    """Wait for the launcher's end, passing orders on; returns why it had to be ended, if it had."""
    heard = time.monotonic()
    while launcher.poll() is None:
        if select.select([orders], [], [], LOOK_SECONDS)[0]:
            said = orders.read(64)
            if not said:
                return end(launcher, "the connection is closed")
            heard = time.monotonic()
            if STOP in said:
                launcher.send_signal(signal.SIGTERM)
        elif time.monotonic() - heard > silence_seconds:
            return end(launcher, f"cut off for {silence_seconds:.0f} s")
    return None


def end(launcher: "subprocess.Popen[bytes]", why: str) -> str:
    """Kill the launcher and everything below it."""
    family = psutil.Process(launcher.pid).children(recursive=True)
    launcher.kill()
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            pass
    launcher.wait()
    return why


if __name__ == "__main__":
    main()
