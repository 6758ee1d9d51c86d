"""The progress of a copy to object storage."""

import time
from pathlib import Path

from progan.pipeline.run.terminal import Terminal

LINE_SECONDS = 10.0


class Stored:
    """Says how many files are stored at a URL, every ten seconds; nothing of a local folder."""

    def __init__(self, url: Path | str) -> None:
        self._url = url
        self._terminal = Terminal(stderr=True)
        self._last_line = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last_line > LINE_SECONDS:
            self._last_line = now
            self._terminal.say(f"{self._url}: {done:,} of {total:,} files stored")

    def finished(self) -> None:
        """Say that everything is there."""
        if isinstance(self._url, str):
            self._terminal.say(f"{self._url}: stored, and read back")
