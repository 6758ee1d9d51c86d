"""Ranks as torchrun starts them, but forked from a process that has imported everything.

A stage of two steps on two ranks takes 0.7 CPU seconds this way, and 6 by torchrun. The process is
multiprocessing's fork server, one for each process that runs tests. Each launch forks a launcher
from it, which forks the ranks, forwards SIGTERM and SIGINT to them, and ends all when one fails.
When a launcher is killed, or the test's process ends, the kernel kills the ranks.
"""

import atexit
import ctypes
import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from unittest import mock

HELPERS = Path(__file__).parent
PROGRAMS = HELPERS / "programs"
WORKER = "progan-worker"
"""Stands for the console script of that name"""

THREADS = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
GRACE_SECONDS = 30
"""Between SIGTERM and SIGKILL to the other ranks, when one has failed"""


class ForkedRanks:
    """A launch, in the background; with the methods of a Popen that tests use of torchrun's."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        assert process.pid is not None
        self.pid = process.pid
        """Of the launcher, whose children are the ranks"""

    @property
    def returncode(self) -> int | None:
        """0 if all ranks ended with 0, 1 if one did not, -9 if the launcher was killed."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; TimeoutExpired after `timeout` seconds."""
        self._process.join(timeout)
        if (code := self._process.exitcode) is None:
            raise subprocess.TimeoutExpired("forked ranks", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """To the launcher."""
        if self.poll() is None:
            os.kill(self.pid, number)


def fork_ranks(program: str, *arguments: str, ranks: int, output: Path) -> ForkedRanks:
    """Run WORKER, or a script in programs/, on `ranks` ranks; append what they print to `output`.

    Their environment is that of this process at the time of the call, and what torchrun adds.
    """
    environment = os.environ | THREADS
    details = program, arguments, ranks, str(output), environment
    with _environment_of_server():
        process = _context().Process(target=_launch, args=details)
        process.start()
    launch = ForkedRanks(process)
    atexit.register(launch.send_signal, signal.SIGKILL)  # multiprocessing would wait for it
    return launch


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    # The launcher imports the main module of the process that started it: pytest's, here.
    context.set_forkserver_preload(["pytest", "preloaded"])
    return context


@contextmanager
def _environment_of_server() -> Iterator[None]:
    """The server finds preloaded.py, and starts no threads: they would be lost in a fork."""
    path = os.pathsep.join(filter(None, [str(HELPERS), os.environ.get("PYTHONPATH")]))
    with mock.patch.dict(os.environ, THREADS | {"PYTHONPATH": path}):
        yield


def _launch(
    program: str, arguments: tuple[str, ...], ranks: int, output: str, environment: dict[str, str]
) -> None:
    """The launcher: start the ranks and wait for them."""
    _die_with(os.getppid())
    os.closerange(3, 256)  # among them the pipe whose end ends the server
    log = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.clear()
    os.environ.update(environment | _torchrun_variables(ranks))
    sys.argv = [program, *arguments]
    running: set[int] = set()
    failed = False

    def end(number: int, frame: object) -> None:
        for pid in running:
            os.kill(pid, number if number != signal.SIGALRM else signal.SIGKILL)

    launcher = os.getpid()
    for rank in range(ranks):
        pid = os.fork()
        if pid == 0:
            _rank(program, rank, launcher)
        running.add(pid)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, end)
    while running:
        pid, status = os.wait()
        running.discard(pid)
        if status != 0 and not failed:
            failed = True
            end(signal.SIGTERM, None)
            signal.alarm(GRACE_SECONDS)
    sys.exit(int(failed))


def _torchrun_variables(ranks: int) -> dict[str, str]:
    """What torchrun sets for all ranks."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    size = str(ranks)
    return {
        "WORLD_SIZE": size,
        "LOCAL_WORLD_SIZE": size,
        "GROUP_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "forked",
        "TORCHELASTIC_RESTART_COUNT": "0",
    }


def _rank(program: str, rank: int, launcher: int) -> None:
    """One rank, to its end."""
    code = 1
    try:
        _die_with(launcher)
        os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored
        os.environ.update({"RANK": str(rank), "LOCAL_RANK": str(rank)})
        if program == WORKER:
            from progan.stages import worker

            worker.main()
        else:
            runpy.run_path(str(PROGRAMS / program), run_name="__main__")
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _die_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends."""
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before
        os._exit(1)
