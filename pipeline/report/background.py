"""Keeps RUN/report.html up to date beside the training, never in its way."""

import logging
import threading

from progan.pipeline.run_folder import RunFolder

log = logging.getLogger(__name__)
LOOK_SECONDS = 5.0


class BackgroundReport:
    """Writes a run's report when a stage is done, and when training ends, from a thread."""

    def __init__(self, run: RunFolder, resolutions: list[int]) -> None:
        self.run = run
        self._finals = [run.stage(resolution).final for resolution in resolutions]
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="report", daemon=True)

    def start(self) -> None:
        """Begin to follow the run."""
        self._thread.start()

    def close(self, patience_seconds: float = 60.0) -> None:
        """Write it a last time."""
        self._closing.set()
        self._thread.join(patience_seconds)

    def _follow(self) -> None:
        done = self._done()
        while not self._closing.wait(LOOK_SECONDS):
            if self._done() != done:
                done = self._done()
                self._write()
        self._write()

    def _done(self) -> int:
        return sum(final.exists() for final in self._finals)

    def _write(self) -> None:
        """A report never stops a run, whatever is wrong with it."""
        from progan.pipeline.report.page import write_report

        try:
            write_report(self.run)
        except Exception as error:
            log.warning("the report could not be written, which changes nothing else: %s", error)
