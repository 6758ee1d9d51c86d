"""Processes that outlive the one that started them, each known by a handle."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psutil


class Detached:
    """Processes in sessions of their own. A handle is a process id and the moment it was born.

    They go on when the process that started them is killed; another one can pick them up.
    """

    def __init__(self) -> None:
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(
        self,
        argv: Sequence[str],
        log: Path,
        env: dict[str, str],
        told: bytes | None = None,
        attached: bool = False,
    ) -> str:
        """Start a command whose output is added to `log`, and whose input is `told`, if anything.

        `env` goes on top of the environment here. If `attached`, it dies with this process.
        """
        with log.open("ab") as file:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL if told is None else subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | env,
                start_new_session=True,
                preexec_fn=die_with_parent if attached else None,
            )
        if told is not None and child.stdin:
            with child.stdin as pipe:
                pipe.write(told)
        handle = f"{child.pid}@{psutil.Process(child.pid).create_time()}"
        self._children[handle] = child
        return handle

    def alive(self, handle: str) -> bool:
        """Whether the process of a handle has not ended."""
        child = self._children.get(handle)
        return _find(handle) is not None if child is None else child.poll() is None

    def end(self, handle: str, patience_seconds: float) -> None:
        """Ask a process to end by SIGTERM; after a while, end it all the same."""
        process = _find(handle)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(patience_seconds)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait()


def die_with_parent() -> None:
    """Have the kernel end this process when its parent dies, however that dies. Linux only."""
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def _find(handle: str) -> psutil.Process | None:
    """The living process of a handle; a process id alone may have been given to another."""
    pid, _, born = handle.partition("@")
    try:
        process = psutil.Process(int(pid))
        alive = str(process.create_time()) == born and process.status() != psutil.STATUS_ZOMBIE
    except (ValueError, psutil.NoSuchProcess):  # ValueError: another backend's handle
        return None
    return process if alive else None
