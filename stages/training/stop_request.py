"""Being asked to stop: by signals, which schedulers send, or by a file, which anybody can make.

No torch here.
The first request lets the step in progress finish and a checkpoint be written; a second signal ends
the process at once.
"""

import os
import signal
import time
from pathlib import Path

EXIT_STOPPED = 75
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
LOOK_SECONDS = 1.0


class StopRequest:
    """Whether this process has been asked to stop."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._asked = False
        self._looked = 0.0

    def listen(self) -> None:
        """Take signals as requests from now on. Call it early: importing torch takes seconds."""
        for number in SIGNALS:
            signal.signal(number, self._on_signal)

    @property
    def asked(self) -> bool:
        """Whether a signal came or the file is there; the file is looked for once a second."""
        now = time.monotonic()
        if not self._asked and now - self._looked > LOOK_SECONDS:
            self._looked = now
            self._asked = self._file.exists()
        return self._asked

    def _on_signal(self, number: int, frame: object) -> None:
        if self._asked:
            os._exit(EXIT_STOPPED)
        self._asked = True
