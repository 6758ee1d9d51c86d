"""Follows a run from a thread, beside the training and never in its way.

The run's folder is the queue: what is to be sent lies there, so that a dead server delays nothing
and loses nothing.
"""

import logging
import threading
from collections.abc import Callable

from progan.pipeline.config.schema import RunConfig
from progan.pipeline.config.secrets import without_secrets
from progan.pipeline.run_folder import RunFolder
from progan.pipeline.tracking.sender import Sender
from progan.pipeline.tracking.system_metrics import MachineLog
from progan.stages.specs.stage import StageSpec

log = logging.getLogger(__name__)
SYNC_SECONDS = 5.0
MOST_CHARACTERS = 300
UNTOLD = "MLflow cannot be told"
UNWATCHED = "this machine cannot be watched"


class Tracker:
    """Tells MLflow of a run while it goes."""

    def __init__(self, run: RunFolder, config: RunConfig, specs: list[StageSpec]) -> None:
        self.run = run
        self._sender = Sender(run, config, specs)
        self._machine: MachineLog | None = None
        self._behind = True
        self._status = "FINISHED"
        self._failing: set[str] = set()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="tracking", daemon=True)

    def start(self) -> None:
        """Begin to follow the run."""
        self._thread.start()

    def close(self, status: str, patience_seconds: float = 120.0) -> None:
        """Send what is left and end MLflow's runs; `status` as MLflow names it (FINISHED...).

        What cannot be sent in time stays in the run's folder and is sent by the next command that
        trains or resumes the run.
        """
        self._status = status
        self._closing.set()
        self._thread.join(patience_seconds)
        if self._thread.is_alive() or self._behind:
            log.warning("not all of %s has reached MLflow; it will be sent with the next "
                        "`progan resume %s`", self.run.path, self.run.path)  # fmt: skip

    def _follow(self) -> None:
        while not self._closing.wait(SYNC_SECONDS):
            self._try(UNWATCHED, self._look)
            self._try(UNTOLD, self._sender.send)
        self._try(UNWATCHED, self._look)
        self._behind = not self._try(UNTOLD, lambda: self._sender.end(self._status))

    def _look(self) -> None:
        self._machine = self._machine or MachineLog(self.run.machine)
        self._machine.look()

    def _try(self, failure: str, act: Callable[[], None]) -> bool:
        """Tracking never stops a run: a failure is said once, until it is over, and tried again."""
        try:
            act()
        except Exception as error:
            if failure not in self._failing:
                why = " ".join(without_secrets(str(error)).split())
                log.warning("%s, training goes on: %s", failure, why[:MOST_CHARACTERS])
            self._failing.add(failure)
            self._sender.forget()
            return False
        self._failing.discard(failure)
        return True
