"""Requests to stop: signals, as schedulers send them, or the file RUN/STOP. No torch here.

After the first request the current step ends and a checkpoint is written; a second signal ends the
process at once.
"""

import os
import signal
import time
from pathlib import Path

EXIT_STOPPED = 75
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
FILE_CHECK_SECONDS = 1.0


class StopRequest:
    """Whether this process has been asked to stop."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._requested = False
        self._last_check = 0.0

    def listen(self) -> None:
        """Handle signals as requests from now on. Call it early: importing torch takes seconds.

        A SIGHUP that is ignored, as under nohup, stays ignored.
        """
        for number in SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._on_signal)

    @property
    def requested(self) -> bool:
        """Whether a signal came or the file exists, which is checked once a second."""
        now = time.monotonic()
        if not self._requested and now - self._last_check > FILE_CHECK_SECONDS:
            self._last_check = now
            self._requested = self._file.exists()
        return self._requested

    def _on_signal(self, number: int, frame: object) -> None:
        if self._requested:
            os._exit(EXIT_STOPPED)
        self._requested = True
