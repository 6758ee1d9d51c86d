"""Watchdog for collectives: on timeout, reports which ranks are missing.

A collective that one rank never enters blocks all others, for ever or until a timeout whose message
names no rank. So every rank writes its host's name to the launcher's store, counts the collectives
that it enters, and a thread writes the count. When the count of a rank has not changed for too
long, the ranks with the lowest count are those missing. The thread works while the main thread
hangs.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event

import torch.distributed as dist
from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]

PUBLISH_SECONDS = 1.0
STORE_TIMEOUT = timedelta(seconds=20)


class Watchdog:
    """Counts the collectives that this rank enters, and compares the counts of all ranks."""

    def __init__(self, rank: int, size: int) -> None:
        self._rank = rank
        self._size = size
        self._count = 0
        self._where = "the start"
        self._since = time.monotonic()

    def arrive(self, where: str | None = None) -> None:
        """This rank is about to enter a collective; all ranks must call it equally often."""
        self._count += 1
        self._since = time.monotonic()
        self._where = where or self._where

    @contextmanager
    def watched(self, seconds: float, give_up: Callable[[str], None]) -> Iterator[None]:
        """In this block, call `give_up` with a message after `seconds` without an arrival.

        It is called in a thread, while the main thread hangs: it should end the process.
        """
        self._since = time.monotonic()
        done = Event()
        if self._size > 1:
            store = _store()
            store.set(f"host {self._rank}", socket.gethostname())
            arguments = (store, seconds, give_up, done)
            threading.Thread(target=self._watch, args=arguments, daemon=True).start()
        try:
            yield
        finally:
            done.set()

    def _watch(
        self, store: Store, seconds: float, give_up: Callable[[str], None], done: Event
    ) -> None:
        while not done.wait(PUBLISH_SECONDS):
            late = time.monotonic() - self._since > seconds
            try:
                store.set(str(self._rank), str(self._count))
                if late:
                    give_up(self._name_missing(store, seconds))
            except dist.DistError as error:
                if late:
                    give_up(
                        f"{self._where}: nothing moved for {seconds:.0f} s, and the first rank's "
                        f"machine ({os.environ['MASTER_ADDR']}) does not answer to "
                        f"{socket.gethostname()} ({error})"
                    )

    def _name_missing(self, store: Store, seconds: float) -> str:
        ranks = range(self._size)
        counts = [int(_published(store, str(rank)) or 0) for rank in ranks]
        missing = [rank for rank in ranks if counts[rank] == min(counts)]
        if len(missing) == self._size:
            return (
                f"{self._where}: all ranks arrived and nothing moved for {seconds:.0f} s; "
                "the network between them is stuck"
            )
        by_host: dict[str, list[str]] = {}
        for rank in missing:
            host = _published(store, f"host {rank}") or "host unknown"
            by_host.setdefault(host, []).append(str(rank))
        names = [f"{', '.join(each)} of {self._size} ({host})" for host, each in by_host.items()]
        return (
            f"{self._where}: rank {' and '.join(names)} did not arrive within {seconds:.0f} s "
            "(engine.collective_timeout_minutes)"
        )


def _published(store: Store, key: str) -> str | None:
    """What a rank has written to the store under a key; None if it has not."""
    return bytes(store.get(key)).decode() if store.check([key]) else None


def _store() -> Store:
    """A second connection to the launcher's store: a hanging collective may block the first."""
    store = TCPStore(
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        is_master=False,
        timeout=STORE_TIMEOUT,
        wait_for_workers=False,
    )
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return PrefixStore(f"progan/watchdog/{attempt}", store)
