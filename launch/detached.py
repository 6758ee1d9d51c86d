"""Processes that outlive the one that started them, each identified by a handle."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psutil


class Detached:
    """Processes in sessions of their own, which continue if the starting process is killed.

    A handle is a process id and a creation time; it is valid in other processes on this machine.
    """

    def __init__(self) -> None:
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(
        self,
        argv: Sequence[str],
        log: Path,
        env: dict[str, str],
        stdin: bytes | None = None,
        attached: bool = False,
    ) -> str:
        """Start a command; returns its handle.

        Output is appended to `log`; `env` is added to this process's environment; `stdin` is the
        content of standard input. If `attached`, the process is killed when this one dies.
        """
        with log.open("ab") as file:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | env,
                start_new_session=True,
                preexec_fn=die_with_parent if attached else None,
            )
        if stdin is not None and child.stdin:
            with child.stdin as pipe:
                pipe.write(stdin)
        handle = f"{child.pid}@{psutil.Process(child.pid).create_time()}"
        self._children[handle] = child
        return handle

    def alive(self, handle: str) -> bool:
        """Whether a process has not ended."""
        child = self._children.get(handle)
        return _find(handle) is not None if child is None else child.poll() is None

    def end(self, handle: str, patience_seconds: float) -> None:
        """Send a process SIGTERM, and SIGKILL if it does not end in time."""
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
    """Have the kernel kill this process when its parent dies, for whatever reason. Linux only."""
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def _find(handle: str) -> psutil.Process | None:
    """The running process of a handle; the creation time tells it from a later one with its id."""
    pid, _, created = handle.partition("@")
    try:
        process = psutil.Process(int(pid))
        alive = str(process.create_time()) == created and process.status() != psutil.STATUS_ZOMBIE
    except (ValueError, psutil.NoSuchProcess):  # ValueError: another backend's handle
        return None
    return process if alive else None
