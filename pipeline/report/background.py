"""Keeps RUN/report.html up to date from a background thread of the orchestrator."""

import logging
import threading
import time

from progan.pipeline.run_folder import RunFolder

log = logging.getLogger(__name__)
POLL_SECONDS = 5.0
LEAST_SECONDS = 60.0
"""From one writing to the next, at least"""
SHARE = 0.01
"""Of the time, at most"""


class BackgroundReport:
    """Writes a run's report at the end of every tick, within bounds, and when training ends."""

    def __init__(self, run: RunFolder, resolutions: list[int]) -> None:
        self.run = run
        self._stages = [run.stage(resolution) for resolution in resolutions]
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="report", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self, timeout_seconds: float = 60.0) -> None:
        """Write the report a last time and end the thread."""
        self._closing.set()
        self._thread.join(timeout_seconds)

    def _follow(self) -> None:
        written, again = self._content(), 0.0
        while not self._closing.wait(POLL_SECONDS):
            if self._content() != written and time.monotonic() > again:
                written, start = self._content(), time.monotonic()
                self._write()
                end = time.monotonic()
                again = end + max(LEAST_SECONDS, (end - start) / SHARE)
        self._write()

    def _content(self) -> list[tuple[bool, int]]:
        """What changes at the end of a tick, and of a stage."""
        return [
            (stage.final.exists(), stage.metrics.stat().st_size if stage.metrics.exists() else 0)
            for stage in self._stages
        ]

    def _write(self) -> None:
        """Write the report; an error is logged, not raised, so that training continues."""
        from progan.pipeline.report.page import write_report

        try:
            write_report(self.run)
        except Exception as error:
            log.warning("the report could not be written, which changes nothing else: %s", error)
