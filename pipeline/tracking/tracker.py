"""Tracks a run in MLflow from a background thread, without ever delaying training.

The run's folder is the queue: everything is sent from its files, so that an unreachable server
neither delays nor loses anything.
"""

import logging
import shlex
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
MAX_CHARACTERS = 300
SENDING_FAILED = "MLflow cannot be told"
SAMPLING_FAILED = "this machine cannot be watched"


class Tracker:
    """Sends a run's files to MLflow, and samples system metrics, while the run goes on."""

    def __init__(self, run: RunFolder, config: RunConfig, specs: list[StageSpec]) -> None:
        self.run = run
        self._sender = Sender(run, config, specs)
        self._machine: MachineLog | None = None
        self._unsent = True
        self._status = "FINISHED"
        self._failing: set[str] = set()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="tracking", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self, status: str, patience_seconds: float = 120.0) -> None:
        """Send what is left and end the MLflow runs with MLflow's `status`, such as FINISHED.

        What cannot be sent in time stays in the run's folder; the next command that trains or
        resumes the run sends it.
        """
        self._status = status
        self._closing.set()
        self._thread.join(patience_seconds)
        if self._thread.is_alive() or self._unsent:
            command = f"progan resume {shlex.quote(str(self.run.path))}"
            log.warning("not all of %s has reached MLflow; it will be sent with the next `%s`",
                        self.run.path, command)  # fmt: skip

    def _follow(self) -> None:
        while not self._closing.wait(SYNC_SECONDS):
            self._try(SAMPLING_FAILED, self._sample)
            self._try(SENDING_FAILED, self._sender.send)
        self._try(SAMPLING_FAILED, self._sample)
        self._unsent = not self._try(SENDING_FAILED, lambda: self._sender.end(self._status))

    def _sample(self) -> None:
        self._machine = self._machine or MachineLog(self.run.machine)
        self._machine.sample()

    def _try(self, failure: str, action: Callable[[], None]) -> bool:
        """Run an action; returns whether it succeeded. Warns of the first of several failures."""
        try:
            action()
        except Exception as error:
            if failure not in self._failing:
                reason = " ".join(without_secrets(str(error)).split())
                log.warning("%s, training goes on: %s", failure, reason[:MAX_CHARACTERS])
            self._failing.add(failure)
            self._sender.forget()
            return False
        self._failing.discard(failure)
        return True
