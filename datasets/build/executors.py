"""Executors of a build: processes of this machine, or a Dask cluster."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from multiprocessing.context import SpawnContext, SpawnProcess
from threading import Thread
from typing import Any, NamedTuple

from progan.datasets.build import sandboxed_decoder
from progan.datasets.errors import DataError, missing_library
from progan.datasets.processors import processors

_CONNECT_SECONDS = 30


class Workers(NamedTuple):
    """An executor and its properties."""

    executor: Executor
    num: int
    """Jobs that it runs at once."""
    sandboxed: bool = False
    """Whether its processes are sandboxed: a picture may kill them."""


@contextmanager
def open_workers(
    executor: Executor | str | None, count: int | None, *, sandboxed: bool
) -> Iterator[Workers]:
    """Workers for a build: `count` processes, a Dask cluster by its scheduler's address, or any
    executor, which is not shut down.

    `sandboxed` applies to processes. Raises DataError for a Dask cluster that does not answer or
    whose workers die, BrokenExecutor if one of the processes dies.
    """
    if isinstance(executor, Executor):
        yield Workers(executor, count or processors())
    elif executor is not None:
        with _dask(executor) as workers:
            yield workers
    else:
        with _processes(count or processors(), sandboxed) as pool:
            yield Workers(pool, count or processors(), sandboxed)


@contextmanager
def _processes(count: int, sandboxed: bool) -> Iterator[Executor]:
    """Spawned, not forked: a process that is forked from one with threads may hang."""
    executor = ProcessPoolExecutor(
        count, mp_context=_Context(), initializer=_initialize, initargs=(sandboxed,)
    )
    try:
        yield executor
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


class _Process(SpawnProcess):
    """Does not run the main script again, which may call `prepare` outside of `if __name__ == ...`.

    A spawned process runs the file that `__main__` names, to find classes that are defined there;
    jobs have none of these.
    """

    def start(self) -> None:
        """Start, with `__main__` as in an interactive session."""
        main = vars(sys.modules["__main__"])
        names = {name: main.get(name) for name in ("__file__", "__spec__")}
        main.update(dict.fromkeys(names))
        try:
            super().start()
        finally:
            main.update(names)


class _Context(SpawnContext):
    Process = _Process


@contextmanager
def _dask(address: str) -> Iterator[Workers]:
    """The workers of a running cluster; source and data set have the same paths on all of them."""
    try:
        distributed: Any = import_module("distributed")
    except ImportError as error:
        raise missing_library(f"--executor {address}", "dask") from error
    try:
        client = distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise DataError(
            f"no Dask scheduler answers at {address} ({error}): start one with: dask scheduler"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
        except TimeoutError as error:
            raise DataError(
                f"the Dask scheduler at {address} has no workers: dask worker {address}"
            ) from error
        try:
            yield Workers(client.get_executor(pure=False), sum(client.nthreads().values()))
        except distributed.KilledWorker as error:
            raise DataError(
                f"Dask workers died, perhaps for lack of memory: {error}. Run the same command "
                "again: finished shards are kept"
            ) from error


def _initialize(sandboxed: bool) -> None:
    """In a worker process: end silently at Ctrl-C, and end when the main process ends.

    Without this, the workers of a killed process wait for jobs forever.
    """
    if sandboxed:
        sandboxed_decoder.sandbox_process()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
