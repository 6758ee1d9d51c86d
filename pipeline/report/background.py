"""Keeps RUN/report.html up to date from a background thread of the orchestrator."""

import logging
import threading

from progan.pipeline.run_folder import RunFolder

log = logging.getLogger(__name__)
POLL_SECONDS = 5.0


class BackgroundReport:
    """Writes a run's report whenever a stage is finished, and when training ends."""

    def __init__(self, run: RunFolder, resolutions: list[int]) -> None:
        self.run = run
        self._finals = [run.stage(resolution).final for resolution in resolutions]
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
        finished = self._finished()
        while not self._closing.wait(POLL_SECONDS):
            if self._finished() != finished:
                finished = self._finished()
                self._write()
        self._write()

    def _finished(self) -> int:
        return sum(final.exists() for final in self._finals)

    def _write(self) -> None:
        """Write the report; an error is logged, not raised, so that training continues."""
        from progan.pipeline.report.page import write_report

        try:
            write_report(self.run)
        except Exception as error:
            log.warning("the report could not be written, which changes nothing else: %s", error)
