"""Commands on other hosts, by ssh."""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from progan.launch.errors import LaunchError

OPTIONS = (
    "BatchMode=yes",  # never ask for a password
    "ConnectTimeout=10",
    "ServerAliveCountMax=3",
    "ControlMaster=no",  # a connection shared with other programs would have their options
    "ControlPath=none",
)
LOST_SECONDS = 30.0
PREFLIGHT_SECONDS = 60.0
SSH_FAILED = 255
MAX_CONNECTIONS = 64


def ssh(host: str, *words: str, lost_seconds: float = LOST_SECONDS) -> list[str]:
    """The command that runs our Python on a host with these arguments.

    The environment must lie at the same path there, usually on a shared disk. A connection that is
    silent for `lost_seconds` is lost.
    """
    alive = f"ServerAliveInterval={max(1, round(lost_seconds / 3))}"
    options = [word for option in (*OPTIONS, alive) for word in ("-o", option)]
    return ["ssh", "-T", *options, "--", host, shlex.join([sys.executable, *words])]


def preflight_all(hosts: Sequence[str], folder: Path) -> tuple[dict[str, str], list[str]]:
    """Run preflight.py on all hosts at once; result and errors are those of ask_all."""
    return ask_all(hosts, "-m", "progan.launch.ssh.preflight", str(folder))


def ask_all(hosts: Sequence[str], *words: str) -> tuple[dict[str, str], list[str]]:
    """Run our Python on all hosts at once with these arguments.

    Returns the last line of output by host, and a message for each unreachable one. LaunchError,
    naming every such host and its error, if a host is reached but the command fails.
    """
    with ThreadPoolExecutor(min(MAX_CONNECTIONS, len(hosts))) as pool:
        results = list(pool.map(lambda host: _ask(host, words), hosts))
    outputs, unreachable, failures = {}, [], []
    for host, (code, line) in zip(hosts, results, strict=True):
        if code == 0:
            outputs[host] = line
        elif code == SSH_FAILED:
            unreachable.append(f"{host} cannot be reached: {line}")
        else:
            failures.append(f"{host} cannot take part: {line}")
    if failures:
        raise LaunchError("\n".join(failures))
    return outputs, unreachable


def _ask(host: str, words: Sequence[str]) -> tuple[int, str]:
    """Exit code and last line of output."""
    argv = ssh(host, *words)
    try:
        result = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PREFLIGHT_SECONDS,
        )
    except FileNotFoundError as error:
        raise LaunchError("ssh is not installed here") from error
    except subprocess.TimeoutExpired:
        return SSH_FAILED, f"no answer for {PREFLIGHT_SECONDS:.0f} s"
    lines = (result.stderr if result.returncode else result.stdout).strip().splitlines()
    return result.returncode, lines[-1] if lines else f"ssh ended with {result.returncode}"
