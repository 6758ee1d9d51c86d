"""`progan join`: run ranks of a run that `progan train` trains on another machine; no torch.

The run's event log on the shared disk says when a stage is started or restarted; this machine then
starts its share of the ranks, which meet the others at `launch.rendezvous`.
"""

import socket
import time
from pathlib import Path

from progan.launch.backends.torchrun import Torchrun
from progan.pipeline.config.schema import RunConfig
from progan.pipeline.errors import ConfigError, RunError, StoppedError
from progan.pipeline.run.events import Event, EventLog
from progan.pipeline.run.orchestrator import stage_task
from progan.pipeline.run_folder import RunFolder, frozen_config
from progan.stages.storage.final import is_published

POLL_SECONDS = 0.5
GRACE_SECONDS = 10.0


def join(path: Path, patience_minutes: float) -> None:
    """Take part in every stage until the run is done.

    Raises StoppedError or RunError when the run is stopped or fails, and RunError when no stage
    is started for `patience_minutes`; ConfigError if there is no run then either.
    """
    run = RunFolder(path.absolute())
    config = ConfigFile(run)
    event_log = EventLog(run.events)
    handled = event_log.newest()
    if handled and handled.kind == "stage_started":
        handled = None  # it may still be running; older ends are those of earlier attempts
    waiting_since = time.monotonic()
    while not _is_done(run, config.read()):
        event = event_log.newest()
        if event and event != handled:
            handled = event
            _raise_end(event)
            if event.kind == "stage_started":
                _take_part(run, event_log, event)
            waiting_since = time.monotonic()
        elif time.monotonic() - waiting_since > patience_minutes * 60:
            if not run.config.exists() and not run.events.exists():
                raise ConfigError(f"{path} is no run: it has neither config.yaml nor events.jsonl")
            raise RunError(f"{path}: no stage was started within {patience_minutes:g} minutes")
        time.sleep(POLL_SECONDS)


class ConfigFile:
    """A run's configuration, parsed again only after its file has changed."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._version: tuple[int, int] | None = None
        self._config: RunConfig | None = None

    def read(self) -> RunConfig | None:
        """The configuration; None as long as the run has not begun."""
        try:
            found = self._run.config.stat()
        except FileNotFoundError:
            return None
        version = found.st_mtime_ns, found.st_size
        if version != self._version:
            self._config, self._version = frozen_config(self._run), version
        return self._config


def _is_done(run: RunFolder, config: RunConfig | None) -> bool:
    return config is not None and is_published(run.stage(config.growth.last).final)


def _raise_end(event: Event) -> None:
    """Raise what `progan train` ends with after this event, if it ends."""
    if event.kind == "stopped":
        raise StoppedError
    if event.kind == "stage_failed":
        raise RunError(event.fields["reason"])


def _take_part(run: RunFolder, event_log: EventLog, started: Event) -> None:
    """Run this machine's ranks of a stage until they end, or the stage continues without them."""
    resolution: int = started.fields["resolution"]
    config = frozen_config(run)
    if config.launch.backend != "torchrun":
        raise ConfigError(f"{run.path} is trained with launch.backend={config.launch.backend}; "
                          "only torchrun's runs can be joined")  # fmt: skip
    backend = Torchrun(config.launch)
    log = run.stage(resolution).log_of(socket.gethostname())
    share = backend.join(stage_task(run, resolution, log), started.fields["handle"])
    ended_since: float | None = None
    try:
        while backend.poll(share) != "ended":
            if ended_since is None and event_log.newest() != started:
                ended_since = time.monotonic()
            # An agent that has lost the rendezvous would wait for ever.
            if ended_since and time.monotonic() - ended_since > GRACE_SECONDS:
                break
            time.sleep(POLL_SECONDS)
    finally:
        backend.cancel(share)
