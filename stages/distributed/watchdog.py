"""Finding out who does not come: a rank that waits for others in vain ends, naming them.

A collective operation that one rank never enters holds all others for ever, or until a time limit
whose message names nobody. So every rank counts the points that all ranks pass, and a thread tells
the count to the launcher's store, and once its host's name; when this rank has not moved for too
long, the ranks with the lowest count are those that did not arrive. The thread speaks for a main
thread that hangs, too.
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
from torch._C._distributed_c10d import PrefixStore, Store, TCPStore

TELL_SECONDS = 1.0
STORE_TIMEOUT = timedelta(seconds=20)


class Watchdog:
    """Counts this rank's watchdog, and watches over everybody's."""

    def __init__(self, rank: int, size: int) -> None:
        self._rank = rank
        self._size = size
        self._count = 0
        self._where = "the start"
        self._since = time.monotonic()

    def arrive(self, where: str | None = None) -> None:
        """This rank is about to enter a collective operation; all ranks must say so alike."""
        self._count += 1
        self._since = time.monotonic()
        self._where = where or self._where

    @contextmanager
    def watched(self, seconds: float, give_up: Callable[[str], None]) -> Iterator[None]:
        """In this block, call `give_up` with a message if no arrival follows another for so long.

        It is called in a thread, while the main one hangs: it should end the process.
        """
        self._since = time.monotonic()
        over = Event()
        if self._size > 1:
            arguments = (seconds, give_up, over)
            threading.Thread(target=self._watch, args=arguments, daemon=True).start()
        try:
            yield
        finally:
            over.set()

    def _watch(self, seconds: float, give_up: Callable[[str], None], over: Event) -> None:
        store = _store()
        named = False
        while not over.wait(TELL_SECONDS):
            late = time.monotonic() - self._since > seconds
            try:
                if not named:
                    store.set(f"host {self._rank}", socket.gethostname())
                    named = True
                store.set(str(self._rank), str(self._count))
                if late:
                    give_up(self._blame(store, seconds))
            except dist.DistError as error:
                if late:
                    give_up(
                        f"{self._where}: nothing moved for {seconds:.0f} s, and the first rank's "
                        f"machine ({os.environ['MASTER_ADDR']}) does not answer to "
                        f"{socket.gethostname()} ({error})"
                    )

    def _blame(self, store: Store, seconds: float) -> str:
        ranks = range(self._size)
        counts = [int(_told(store, str(rank)) or 0) for rank in ranks]
        missing = [rank for rank in ranks if counts[rank] == min(counts)]
        if len(missing) == self._size:
            return (
                f"{self._where}: all ranks arrived and nothing moved for {seconds:.0f} s; "
                "the network between them is stuck"
            )
        by_host: dict[str, list[str]] = {}
        for rank in missing:
            by_host.setdefault(_told(store, f"host {rank}") or "host unknown", []).append(str(rank))
        names = [f"{', '.join(them)} of {self._size} ({host})" for host, them in by_host.items()]
        return (
            f"{self._where}: rank {' and '.join(names)} did not arrive within {seconds:.0f} s "
            "(engine.collective_timeout_minutes)"
        )


def _told(store: Store, key: str) -> str | None:
    """What a rank has told the store; None if it has not."""
    return bytes(store.get(key)).decode() if store.check([key]) else None


def _store() -> Store:
    """A connection of our own to the store where the ranks met: theirs may be in use."""
    store = TCPStore(
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        is_master=False,
        timeout=STORE_TIMEOUT,
        wait_for_workers=False,
    )
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return PrefixStore(f"progan/watchdog/{attempt}", store)
