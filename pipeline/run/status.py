"""`progan status`: the state and progress of every stage of a run; no torch."""

import time
from contextlib import suppress
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from progan.datasets.names import shown
from progan.launch.backends.kubernetes import Kubernetes
from progan.launch.spec import LaunchSpec
from progan.pipeline.plan.plan import stage_specs
from progan.pipeline.plan.times import about
from progan.pipeline.run.events import EventLog
from progan.pipeline.run.mirror.state import mirror_line, mirror_state
from progan.pipeline.run.orchestrator import read_failure, read_progress
from progan.pipeline.run.progress_display import duration
from progan.pipeline.run.terminal import Terminal
from progan.pipeline.run.time_left import TimeLeft, time_left
from progan.pipeline.run_folder import RunFolder, frozen_config
from progan.stages.errors import StageError
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.final import is_published
from progan.stages.storage.stage_folder import StageFolder
from progan.stages.training.stop_request import EXIT_STOPPED

STALE_SECONDS = 120.0
WATCH_SECONDS = 2.0
MIRROR_SECONDS = 30.0
"""Between two questions to the storage while a run is watched"""


def status(run: RunFolder) -> dict[str, Any]:
    """The run and its stages as one JSON-able document, from its files alone."""
    event_log = EventLog(run.events)
    config = frozen_config(run)
    queued = config.launch.backend in ("slurm", "kubernetes")
    specs = stage_specs(config, run, "")
    left = time_left(run, config, specs)
    stages = [_stage(spec, run.stage(spec.resolution), event_log, queued, left) for spec in specs]
    waits = _waits_for(config.launch, stages, event_log)
    is_training = any(stage["state"] == "training" for stage in stages)
    return {
        "run": str(run.path),
        "seconds_left": left and left.seconds,
        "seconds_left_by": left and ("measured steps" if left.by_steps else "cost of steps"),
        "ends_at": time.time() + left.seconds if left and is_training else None,
        "waits_for": waits,
        "stages": stages,
    }


def status_and_mirror(run: RunFolder) -> dict[str, Any]:
    """The same, and the copy at `checkpoint.mirror`, after asking there (`mirror_state`)."""
    return status(run) | {"mirror": mirror_state(run)}


def _waits_for(launch: LaunchSpec, stages: list[dict[str, Any]], event_log: EventLog) -> str | None:
    """Why a submitted stage does not begin, as far as a cluster says."""
    last = event_log.newest()
    if launch.backend != "kubernetes" or last is None or last.kind != "stage_started":
        return None
    resolution = last.fields["resolution"]
    states = {stage["resolution"]: stage["state"] for stage in stages}
    if states.get(resolution) != "waiting":
        return None
    return Kubernetes(launch).why_waiting(last.fields["handle"])


def _stage(
    spec: StageSpec,
    folder: StageFolder,
    event_log: EventLog,
    queued: bool,
    left: TimeLeft | None,
) -> dict[str, Any]:
    progress = read_progress(folder)
    checkpoints = sorted(folder.checkpoints.glob("[0-9]*"))
    last = checkpoints[-1] if checkpoints else None
    return {
        "resolution": spec.resolution,
        "state": _state(spec, folder, event_log, progress, queued),
        "total_images": spec.growth.total_images,
        "progress": progress,
        "seconds_left": left and left.stages.get(spec.resolution),
        "last_checkpoint": int(last.name) if last else None,
        "checkpoint_age_seconds": time.time() - last.stat().st_mtime if last else None,
    }


def _state(
    spec: StageSpec,
    folder: StageFolder,
    event_log: EventLog,
    progress: dict[str, Any] | None,
    queued: bool,
) -> str:
    """done | damaged | training | silent | failed | crashed | stopped | waiting"""
    try:
        if is_published(folder.final):
            return "done"
    except StageError:
        return "damaged"
    last = event_log.stage(spec.resolution)
    if last is None:
        return "waiting"
    if last.kind == "stage_started":
        # Without an orchestrator, only the workers record how a stage ended.
        if (failure := read_failure(folder)) is not None:
            return _ended(failure)
        if progress is None and queued:
            return "waiting"
        updated = progress["time"] if progress else last.time
        return "training" if time.time() - updated < STALE_SECONDS else "silent"
    states = {"stage_failed": "failed", "stage_crashed": "crashed", "stopped": "stopped"}
    return states.get(last.kind, "waiting")


def _ended(failure: dict[str, Any]) -> str:
    if failure["code"] == EXIT_STOPPED:
        return "stopped"
    return "crashed" if failure["transient"] else "failed"


HEADINGS = (
    "stage", "state", "phase", "alpha", "kimg", "images/s", "left", "nodes", "saved", "age",
)  # fmt: skip


def status_table(document: dict[str, Any]) -> Table:
    """The document, which may have the state of the copy (`mirror`), as a table."""
    waits = f"waiting: {shown(document['waits_for'])}\n" if document["waits_for"] else ""
    caption = f"{waits}{_whole_run(document)}saved: kimg of the newest checkpoint"
    if mirror := document.get("mirror"):
        caption += f"\n{mirror_line(mirror)}"
    table = Table(title=document["run"], caption=caption, box=SIMPLE, padding=0, pad_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in ("state", "phase") else "right")
    for stage in document["stages"]:
        table.add_row(*_cells(stage))
    return table


def _whole_run(document: dict[str, Any]) -> str:
    """whole run: about 3 h 20 min left, until 2026-01-31 18:05"""
    if not document["seconds_left"]:
        return ""
    line = f"whole run: about {about(document['seconds_left'])} left"
    if document["ends_at"]:
        line += time.strftime(", until %Y-%m-%d %H:%M", time.localtime(document["ends_at"]))
    return f"{line}\n"


def _cells(stage: dict[str, Any]) -> list[str]:
    done, training = stage["state"] == "done", stage["state"] == "training"
    progress = stage["progress"] or {}
    total = stage["total_images"]
    seen = total if done else progress.get("images_seen", 0)
    last, age, left = (
        stage[key] for key in ("last_checkpoint", "checkpoint_age_seconds", "seconds_left")
    )
    return [
        str(stage["resolution"]),
        stage["state"],
        progress["phase"] if training and progress else "-",
        f"{progress['alpha']:.2f}" if training and progress else "-",
        f"{kimg(seen)}/{kimg(total)}",
        f"{progress['images_per_second']:.0f}" if training and progress else "-",
        "-" if left is None else duration(left),
        str(progress["nodes"]) if training and progress else "-",
        "-" if last is None else kimg(last),
        "-" if age is None or done else duration(age),
    ]


def kimg(images: int) -> str:
    """Thousands of images; below 100 with one decimal."""
    return f"{images / 1000:.0f}" if images >= 100_000 else f"{images / 1000:.1f}"


def watch(run: RunFolder) -> None:
    """Refresh the table every two seconds until the run is done, or Ctrl-C."""
    mirror, asked = mirror_state(run), time.monotonic()
    document = status(run)
    with Terminal().live() as live, suppress(KeyboardInterrupt):
        live.update(status_table(document | {"mirror": mirror}), refresh=True)
        while any(stage["state"] != "done" for stage in document["stages"]):
            time.sleep(WATCH_SECONDS)
            if time.monotonic() - asked > MIRROR_SECONDS:
                mirror, asked = mirror_state(run), time.monotonic()
            document = status(run)
            live.update(status_table(document | {"mirror": mirror}), refresh=True)
