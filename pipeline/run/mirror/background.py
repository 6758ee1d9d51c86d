"""Copies a run to `checkpoint.mirror` from a background thread of the orchestrator.

Workers take no part in it, so that no step waits for the network. What fails is tried again for as
long as the run trains, and a bounded time afterwards; it never ends the run.
"""

import logging
import threading
import time

from progan.pipeline.run.mirror.contents import store_of
from progan.pipeline.run.mirror.copier import AnotherRunError, Copier
from progan.pipeline.run_folder import RunFolder
from progan.stages.specs.stage import CheckpointSpec

log = logging.getLogger(__name__)
POLL_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 60.0
"""After several failures; it doubles from POLL_SECONDS"""
AT_END_SECONDS = 300.0
REPEAT_SECONDS = 600.0
"""After which the same warning is given again"""


class BackgroundMirror:
    """Keeps the copy of a run up to date; does nothing without `checkpoint.mirror`."""

    def __init__(self, run: RunFolder, mirror: str | None, spec: CheckpointSpec) -> None:
        self._run = run
        self._mirror = mirror
        self._spec = spec
        self._closing = threading.Event()
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="mirror", daemon=True)
        self._warned: dict[str, float] = {}

    def start(self) -> None:
        """Start the thread."""
        if self._mirror:
            self._thread.start()

    def close(self, timeout_seconds: float = AT_END_SECONDS) -> None:
        """Copy the rest, for at most this time, and end the thread."""
        if not self._thread.is_alive():
            return
        self._closing.set()
        self._thread.join(min(POLL_SECONDS, timeout_seconds))
        if self._thread.is_alive() and timeout_seconds > POLL_SECONDS:
            log.warning(
                "checkpoint.mirror: copying the rest to %s, for at most %d s",
                self._mirror, timeout_seconds,
            )  # fmt: skip
            self._thread.join(timeout_seconds - POLL_SECONDS)
        if self._thread.is_alive():
            log.warning(
                "checkpoint.mirror: not all was copied to %s within %d s; the run's folder has it, "
                "and the same command copies the rest", self._mirror, timeout_seconds,
            )  # fmt: skip
        self._abandoned.set()

    def _follow(self) -> None:
        failures = 0
        copier: Copier | None = None
        while not self._abandoned.is_set():
            is_last = self._closing.is_set()
            try:
                copier = copier or Copier(
                    self._run, store_of(self._mirror or "", self._run), self._spec
                )
                if copier.is_behind:
                    copier.copy()
                failures = 0
                if is_last:
                    return
            except AnotherRunError as error:
                log.warning("checkpoint.mirror: %s; nothing more is copied there", error)
                return
            except Exception as error:
                failures += 1
                self._warn(str(error))
                if copier:
                    copier.forget()
            self._pause(failures)

    def _pause(self, failures: int) -> None:
        """Wait until the next pass, which comes at once when the run ends."""
        seconds = min(POLL_SECONDS * 2 ** max(0, failures - 1), LONGEST_PAUSE_SECONDS)
        (self._abandoned if self._closing.is_set() and failures else self._closing).wait(seconds)

    def _warn(self, text: str) -> None:
        """A warning, unless the same was given a short time ago."""
        now = time.monotonic()
        if now - self._warned.get(text, -REPEAT_SECONDS) >= REPEAT_SECONDS:
            self._warned[text] = now
            log.warning("checkpoint.mirror: %s; training goes on, and it is tried again", text)
