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
    "ControlMaster=no",  # a connection shared with others would have their options
    "ControlPath=none",
)
LOST_SECONDS = 30.0
ANSWER_SECONDS = 60.0
SSH_FAILED = 255
AT_ONCE = 64


def ssh(host: str, *words: str, lost_seconds: float = LOST_SECONDS) -> list[str]:
    """The command that runs our Python on a host with these arguments.

    The environment must lie at the same path there, usually on a shared disk. A connection that is
    silent for `lost_seconds` is lost.
    """
    alive = f"ServerAliveInterval={max(1, round(lost_seconds / 3))}"
    options = [word for option in (*OPTIONS, alive) for word in ("-o", option)]
    return ["ssh", "-T", *options, host, shlex.join([sys.executable, *words])]


def ask_all(hosts: Sequence[str], folder: Path) -> tuple[dict[str, str], list[str]]:
    """What preflight.py says on each host that answers, and a line on each that does not.

    All are asked at once. Raises LaunchError where a host answers but lacks something; the message
    names every such host and has its own words.
    """
    with ThreadPoolExecutor(min(AT_ONCE, len(hosts))) as pool:
        answers = list(pool.map(lambda host: _ask(host, folder), hosts))
    able, lost, unable = {}, [], []
    for host, (code, words) in zip(hosts, answers, strict=True):
        if code == 0:
            able[host] = words
        elif code == SSH_FAILED:
            lost.append(f"{host} cannot be reached: {words}")
        else:
            unable.append(f"{host} cannot take part: {words}")
    if unable:
        raise LaunchError("\n".join(unable))
    return able, lost


def _ask(host: str, folder: Path) -> tuple[int, str]:
    """Exit code and last words."""
    argv = ssh(host, "-m", "progan.launch.ssh.preflight", str(folder))
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ANSWER_SECONDS
        )
    except FileNotFoundError as error:
        raise LaunchError("ssh is not installed here") from error
    except subprocess.TimeoutExpired:
        return SSH_FAILED, f"no answer for {ANSWER_SECONDS:.0f} s"
    printed = (done.stderr if done.returncode else done.stdout).strip().splitlines()
    return done.returncode, printed[-1] if printed else f"ssh ended with {done.returncode}"
