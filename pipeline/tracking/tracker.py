"""Sends a run to its trackers from background threads, without ever delaying training.

The run's folder is the queue: everything is sent from its files, so that an unreachable server
neither delays nor loses anything. Each tracker has a thread: none waits for another.
"""

import logging
import shlex
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from progan.pipeline.config.secrets import without_secrets
from progan.pipeline.run_folder import RunFolder
from progan.pipeline.tracking.queue.destination import Destination, Status, TrackingError
from progan.pipeline.tracking.queue.lock import sending_lock
from progan.pipeline.tracking.queue.system_metrics import MachineLog

log = logging.getLogger(__name__)
SYNC_SECONDS = 5.0
PATIENCE_SECONDS = 120.0
"""How long the end of training waits for all trackers together"""
LAST_ATTEMPTS = 2
"""The second asks a tracker again what it has: a run may have been deleted there"""
MAX_CHARACTERS = 300
SAMPLING_FAILED = "this machine cannot be watched"
SENDING_FAILED = "cannot be told"


class Tracker:
    """Sends a run's files to its destinations, and samples system metrics, while it goes on."""

    def __init__(self, run: RunFolder, destinations: Sequence[Destination]) -> None:
        self._closing = threading.Event()
        self._followers = [Follower(run, each, self._closing) for each in destinations]
        self._sampler = Sampler(run, self._closing)

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads():
            thread.start()

    def close(self, status: Status, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Send what is left, and say in the trackers how the run ended.

        What cannot be sent in time stays in the run's folder; `progan track`, and the next command
        that trains or resumes the run, send it.
        """
        deadline = time.monotonic() + patience_seconds
        for follower in self._followers:
            follower.status = status
        self._closing.set()
        for thread in self._threads():
            thread.join(max(0.0, deadline - time.monotonic()))
        for follower in self._followers:
            follower.give_up()

    def _threads(self) -> list[threading.Thread]:
        """None if nothing is tracked."""
        return [self._sampler, *self._followers] if self._followers else []


class Sampler(threading.Thread):
    """Writes the machine's load to the run's folder."""

    def __init__(self, run: RunFolder, closing: threading.Event) -> None:
        super().__init__(name="system metrics", daemon=True)
        self._run = run
        self._closing = closing
        self._failures = Failures()

    def run(self) -> None:
        """Sample until training ends."""
        machine: MachineLog | None = None
        while not self._closing.wait(SYNC_SECONDS):
            try:
                machine = machine or MachineLog(self._run.machine)
                machine.sample()
                self._failures.over()
            except Exception as error:
                self._failures.warn(SAMPLING_FAILED, error)


class Follower(threading.Thread):
    """Sends to one destination what the run's folder gets."""

    def __init__(self, run: RunFolder, destination: Destination, closing: threading.Event) -> None:
        super().__init__(name=f"tracking to {destination.title}", daemon=True)
        self.status: Status = "FAILED"
        self._run_folder = run
        self._destination = destination
        self._closing = closing
        self._unsent = True
        self._is_locked = False
        self._failures = Failures()

    def run(self) -> None:
        """Send until training ends, and then what is left."""
        with ExitStack() as held:
            while not self._closing.wait(SYNC_SECONDS):
                self._try(held, self._destination.send)
            for _ in range(LAST_ATTEMPTS):
                if self._try(held, lambda: self._destination.end(self.status)):
                    self._unsent = False
                    return

    def give_up(self) -> None:
        """Say what was not sent, and how to send it, and do not wait for it any more."""
        if not (self.is_alive() or self._unsent):
            return
        command = f"progan track {shlex.quote(str(self._run_folder.path))}"
        log.warning(
            "not all of %s has reached %s; the next `progan resume` sends it, or: %s --to %s",
            self._run_folder.path,
            self._destination.title,
            command,
            self._destination.target,
        )
        self._destination.abandon()

    def _try(self, held: ExitStack, action: Callable[[], None]) -> bool:
        """Run an action of the destination, whose lock is `held`; returns whether it succeeded."""
        try:
            if not self._is_locked:
                held.enter_context(sending_lock(self._run_folder, self._destination))
                self._is_locked = True
            action()
        except Exception as error:
            self._failures.warn(f"{self._destination.title} {SENDING_FAILED}", error)
            self._destination.forget()
            return False
        self._failures.over()
        return True


class Failures:
    """Warns of the first of several failures in a row, and of each one that a user can fix."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def warn(self, what: str, error: Exception) -> None:
        """Log a failure that does not stop training."""
        reason = " ".join(without_secrets(str(error)).split())[:MAX_CHARACTERS]
        if not self._said or (isinstance(error, TrackingError) and reason not in self._said):
            log.warning("%s, training goes on: %s", what, reason)
        self._said.add(reason)

    def over(self) -> None:
        """Count what follows as a new failure."""
        self._said.clear()
