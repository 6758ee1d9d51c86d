"""Drives a run: stage after stage is started, watched, verified; no torch here.

What is done is on the disk: a stage is done when its `final` folder is there and whole. So this
process may be killed at any instant; started again, it takes up a stage that is still running, or
starts it from its last checkpoint.
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from progan.datasets.errors import DataError
from progan.datasets.files import write_whole
from progan.launch.backends.backend import Backend
from progan.launch.errors import UnreachableError
from progan.launch.task import Task
from progan.pipeline.errors import CrashedError, RunError, StoppedError
from progan.pipeline.plan.plan import unshareable
from progan.pipeline.run.events import EventLog
from progan.pipeline.run_folder import RunFolder
from progan.stages.errors import RolledBackError
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.final import is_done
from progan.stages.storage.rollback import EXIT_ROLLED_BACK
from progan.stages.storage.stage_folder import StageFolder
from progan.stages.training.stop_request import EXIT_STOPPED

FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 300.0


class Restarts:
    """Counts how often a stage died without having come any further than the time before."""

    def __init__(self, folder: StageFolder, most: int) -> None:
        self._folder = folder
        self._most = most
        self._count = 0
        self._last_checkpoint = self._newest()

    def pause(self) -> float | None:
        """It died: seconds to wait before the next start, or None if there should be none."""
        newest = self._newest()
        if newest != self._last_checkpoint:
            self._count, self._last_checkpoint = 0, newest
        if self._count >= self._most:
            return None
        self._count += 1
        return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** (self._count - 1))

    def _newest(self) -> str:
        return max((path.name for path in self._folder.checkpoints.glob("[0-9]*")), default="")


POLL_SECONDS = 0.5
LOG_TAIL_LINES = 15


class ProgressListener(Protocol):
    """Shows a person where a run stands."""

    def stage_done(self, spec: StageSpec) -> None:
        """A stage is finished, now or before."""
        ...

    def on_message(self, text: str) -> None:
        """Something happened that a person should know of."""
        ...

    def stage_waiting(self, spec: StageSpec) -> None:
        """A scheduler has the stage in its queue."""
        ...

    def stage_at(self, spec: StageSpec, progress: dict[str, Any] | None) -> None:
        """A stage is running; `progress` is its progress.json, None while it starts."""
        ...


def run_stages(
    run: RunFolder,
    specs: list[StageSpec],
    backend: Backend,
    watcher: ProgressListener,
    max_restarts: int,
) -> None:
    """Train every stage that is not done yet, in order. The run's lock must be held.

    A stage whose processes die is started again, up to `max_restarts` times without any progress.
    Raises RunError or DataError when a stage fails and StoppedError when the process is asked to
    stop; in each case the stage can be resumed.
    """
    event_log = EventLog(run.events)
    run.stop.unlink(missing_ok=True)  # it was meant for the last time
    for spec in specs:
        folder = run.stage(spec.resolution)
        restarts = Restarts(folder, max_restarts)
        while not is_done(folder.final):
            try:
                _attempt(run, spec, event_log, backend, watcher)
            except CrashedError as crash:
                event_log.append("stage_crashed", resolution=spec.resolution, reason=str(crash))
                _pause(restarts, crash, spec, watcher)
        watcher.stage_done(spec)


def _attempt(
    run: RunFolder,
    spec: StageSpec,
    event_log: EventLog,
    backend: Backend,
    watcher: ProgressListener,
) -> None:
    """Start a stage, or take it up, and return when it is done or has to be started again."""
    folder = run.stage(spec.resolution)
    handle = job_of(event_log, spec, backend)
    if handle is None and is_done(folder.final):  # it ended while the scheduler was asked
        event_log.append("stage_finished", resolution=spec.resolution)
        return
    handle = handle or _start(event_log, run, spec, backend)
    try:
        while (state := backend.poll(handle)) != "ended":
            if state == "waiting":
                watcher.stage_waiting(spec)
            else:
                watcher.stage_at(spec, read_progress(folder))
            time.sleep(POLL_SECONDS)
        if not is_done(folder.final):
            raise _why_not_done(folder)
        event_log.append("stage_finished", resolution=spec.resolution)
    except RolledBackError as back:
        event_log.append("rolled_back", resolution=spec.resolution, reason=str(back))
        watcher.on_message(f"{spec.resolution}x{spec.resolution}: {back}")
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
    restarts: Restarts, crash: CrashedError, spec: StageSpec, watcher: ProgressListener
) -> None:
    """Wait before a stage is started again; raise the crash if that was done often enough."""
    seconds = restarts.pause()
    if seconds is None:
        raise crash
    what_next = f"starting again in {seconds:.0f} s, from the last checkpoint"
    watcher.on_message(f"{spec.resolution}x{spec.resolution}: {crash}\n{what_next}")
    time.sleep(seconds)


def job_of(event_log: EventLog, spec: StageSpec, backend: Backend) -> str | None:
    """The handle of a stage's job that outlived the orchestrator that started it."""
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
    """A stage's task after its workers' words are written down and their last ones forgotten."""
    folder = run.stage(spec.resolution)
    write_whole(folder.spec, spec.model_dump_json(indent=2).encode())
    folder.failure.unlink(missing_ok=True)
    folder.progress.unlink(missing_ok=True)
    task = stage_task(run, spec.resolution, folder.log)
    return replace(task, fits=lambda ranks: unshareable(spec, ranks) is None)


def stage_task(run: RunFolder, resolution: int, log: Path) -> Task:
    """What every rank of a stage is started with."""
    worker = Path(sys.executable).with_name("progan-worker")
    return Task(
        name=f"{run.name}-{resolution:04d}",
        argv=(str(worker), "--spec", str(run.stage(resolution).spec)),
        log=log,
    )


def read_progress(folder: StageFolder) -> dict[str, Any] | None:
    """Where a running stage stood a second ago; None before its first step."""
    return _read(folder.progress)


def read_failure(folder: StageFolder) -> dict[str, Any] | None:
    """Why a stage ended early, if its workers could say."""
    return _read(folder.failure)


def _read(file: Path) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return document


def _why_not_done(folder: StageFolder) -> Exception:
    """Why a stage ended early, as well as its workers could say."""
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
