"""Trains a run's stages one after another: starts, watches and verifies each; no torch here.

The state is on the disk: a stage is done when its `final` folder exists and is valid. So this
process may be killed at any instant; when restarted it attaches to a stage that is still running,
or starts it from its last checkpoint.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from progan.datasets.errors import DataError
from progan.datasets.files import parse_json, write_whole
from progan.launch.backends.backend import Backend
from progan.launch.errors import UnreachableError
from progan.launch.task import Task
from progan.pipeline.errors import CrashedError, RunError, StoppedError
from progan.pipeline.plan.plan import unshareable
from progan.pipeline.run.events import EventLog
from progan.pipeline.run.restarts import Restarts
from progan.pipeline.run_folder import RunFolder
from progan.stages.errors import RolledBackError
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.final import is_done
from progan.stages.storage.rollback import EXIT_ROLLED_BACK
from progan.stages.storage.stage_folder import StageFolder
from progan.stages.training.stop_request import EXIT_STOPPED

POLL_SECONDS = 0.5
LOG_TAIL_LINES = 15


class ProgressListener(Protocol):
    """Shows a user the progress of a run."""

    def stage_done(self, spec: StageSpec) -> None:
        """A stage is finished, now or in an earlier session."""
        ...

    def on_message(self, text: str) -> None:
        """A rollback, in words."""
        ...

    def stage_restarts(self, spec: StageSpec, reason: str, seconds: float) -> None:
        """The stage has crashed and is started again after a pause."""
        ...

    def stage_waiting(self, spec: StageSpec) -> None:
        """The stage waits in a scheduler's queue."""
        ...

    def stage_at(self, spec: StageSpec, progress: dict[str, Any] | None) -> None:
        """The stage is running; `progress` is its progress.json, None while it starts."""
        ...


def run_stages(
    run: RunFolder,
    specs: list[StageSpec],
    backend: Backend,
    listener: ProgressListener,
    max_restarts: int,
) -> None:
    """Train every stage that is not done yet, in order. The caller holds the run's lock.

    A stage whose processes die is restarted, up to `max_restarts` times without a new checkpoint.
    Raises RunError or DataError when a stage fails and StoppedError when the process is asked to
    stop; in each case the stage can be resumed.
    """
    event_log = EventLog(run.events)
    run.stop.unlink(missing_ok=True)  # of an earlier start
    for spec in specs:
        folder = run.stage(spec.resolution)
        restarts = Restarts(folder, max_restarts)
        while not is_done(folder.final):
            try:
                _attempt(run, spec, event_log, backend, listener)
            except CrashedError as crash:
                event_log.append("stage_crashed", resolution=spec.resolution, reason=str(crash))
                _pause(restarts, crash, spec, listener)
        listener.stage_done(spec)


def _attempt(
    run: RunFolder,
    spec: StageSpec,
    event_log: EventLog,
    backend: Backend,
    listener: ProgressListener,
) -> None:
    """Start a stage, or attach to its job, and return when it is done or must be started again."""
    folder = run.stage(spec.resolution)
    handle = job_of(event_log, spec, backend)
    if handle is None and is_done(folder.final):  # the job ended between the two checks
        event_log.append("stage_finished", resolution=spec.resolution)
        return
    handle = handle or _start(event_log, run, spec, backend)
    try:
        while (state := backend.poll(handle)) != "ended":
            if state == "waiting":
                listener.stage_waiting(spec)
            else:
                listener.stage_at(spec, read_progress(folder))
            time.sleep(POLL_SECONDS)
        if not is_done(folder.final):
            raise _why_not_done(folder)
        event_log.append("stage_finished", resolution=spec.resolution)
    except RolledBackError as rollback:
        event_log.append("rolled_back", resolution=spec.resolution, reason=str(rollback))
        listener.on_message(f"{spec.resolution}x{spec.resolution}: {rollback}")
    except StoppedError:
        backend.cancel(handle)
        event_log.append("stopped", resolution=spec.resolution)
        raise
    except CrashedError:
        raise
    except (RunError, DataError) as error:
        event_log.append("stage_failed", resolution=spec.resolution, reason=str(error))
        raise


def _pause(
    restarts: Restarts, crash: CrashedError, spec: StageSpec, listener: ProgressListener
) -> None:
    """Wait before a restart; raise the crash if the restarts are used up."""
    seconds = restarts.pause()
    if seconds is None:
        raise crash
    listener.stage_restarts(spec, str(crash), seconds)
    time.sleep(seconds)


def job_of(event_log: EventLog, spec: StageSpec, backend: Backend) -> str | None:
    """The handle of a stage's job that an earlier orchestrator started and that is still alive."""
    last = event_log.stage(spec.resolution)
    if last is None or last.kind != "stage_started":
        return None
    handle: str = last.fields["handle"]
    return handle if backend.poll(handle) != "ended" else None


def _start(event_log: EventLog, run: RunFolder, spec: StageSpec, backend: Backend) -> str:
    try:
        handle = backend.submit(prepared_task(run, spec))
    except UnreachableError as error:
        raise CrashedError(str(error)) from error
    event_log.append("stage_started", resolution=spec.resolution, handle=handle)
    return handle


def prepared_task(run: RunFolder, spec: StageSpec) -> Task:
    """A stage's task, once its spec is written and the last attempt's files are removed."""
    folder = run.stage(spec.resolution)
    write_whole(folder.spec, spec.model_dump_json(indent=2).encode())
    folder.failure.unlink(missing_ok=True)
    folder.progress.unlink(missing_ok=True)
    task = stage_task(run, spec.resolution, folder.log)
    return replace(task, fits=lambda ranks: unshareable(spec, ranks) is None)


def stage_task(run: RunFolder, resolution: int, log: Path) -> Task:
    """The command that every rank of a stage runs."""
    worker = Path(sys.executable).with_name("progan-worker")
    return Task(
        name=f"{run.name}-{resolution:04d}",
        argv=(str(worker), "--spec", str(run.stage(resolution).spec)),
        log=log,
    )


def read_progress(folder: StageFolder) -> dict[str, Any] | None:
    """Progress of a running stage, about a second old; None before its first step."""
    return _read(folder.progress, ("images_seen", "phase", "alpha", "images_per_second", "time"))


def read_failure(folder: StageFolder) -> dict[str, Any] | None:
    """Why a stage ended early; None if its workers could not write it."""
    return _read(folder.failure, ("message", "rank", "code", "transient"))


def _read(file: Path, keys: Sequence[str]) -> dict[str, Any] | None:
    """The JSON object in a file; None if it is missing, damaged or lacks one of the keys."""
    try:
        document = parse_json(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(document, dict) or not document.keys() >= set(keys):
        return None
    return document


def _why_not_done(folder: StageFolder) -> Exception:
    """The error of a stage that ended early, by its failure.json or else the end of its log."""
    failure = read_failure(folder)
    if failure is None:
        lines = folder.log.read_text(errors="replace").splitlines()
        tail = "\n".join(f"  | {line}" for line in lines[-LOG_TAIL_LINES:])
        return CrashedError(
            f"{folder.path} ended without a word; its log {folder.log} ends:\n{tail}"
        )
    if failure["code"] == EXIT_STOPPED:
        return StoppedError()
    if failure["code"] == EXIT_ROLLED_BACK:
        return RolledBackError(failure["message"])
    message = f"{failure['message']} (rank {failure['rank']}; log: {folder.log})"
    if failure["transient"]:
        return CrashedError(message)
    return DataError(message) if failure["code"] == 3 else RunError(message)
