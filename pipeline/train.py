"""`progan train` and `progan resume`: start, resume or re-open a run; no torch."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from progan.datasets.errors import NoDataSetError
from progan.datasets.format.manifest import Manifest, load_manifest
from progan.launch.backends.backend import BACKENDS, Backend
from progan.launch.backends.slurm import Slurm
from progan.pipeline.config.schema import RunConfig, default_values, validate
from progan.pipeline.config.yaml_io import apply_override, read_yaml
from progan.pipeline.errors import ConfigError, RunError, StoppedError
from progan.pipeline.plan.changes import accept_changes
from progan.pipeline.plan.initial_weights import pinned
from progan.pipeline.plan.plan import check, stage_specs
from progan.pipeline.plan.rules import without_labels
from progan.pipeline.report.background import BackgroundReport
from progan.pipeline.run.detached import queue_of, submit_stages
from progan.pipeline.run.events import EventLog
from progan.pipeline.run.new_run import run_to_train
from progan.pipeline.run.orchestrator import run_stages
from progan.pipeline.run.progress_display import Display
from progan.pipeline.run_folder import (
    RunFolder,
    existing_run,
    freeze_config,
    frozen_config,
)
from progan.pipeline.tracking.tracker import Tracker
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.metrics_log import rewind
from progan.stages.storage.spec_file import read_spec


def train(config: RunConfig, path: Path, *, detach: bool = False) -> dict[int, str]:
    """Start a run in a folder, or resume the one in it, and train until its last stage is done.

    With `detach`, only submit its stages to the scheduler; returns their jobs by resolution.
    Raises ConfigError if the configuration would change what the run has already computed, and for
    a folder that holds anything but a run.
    """
    run = run_to_train(path)
    config = pinned(config)
    backend = _backend(config)
    queue = queue_of(backend) if detach else None
    manifest = _manifest(config, run)
    run.path.mkdir(parents=True, exist_ok=True)
    with run.lock():
        begun = begun_stages(run)
        fingerprint = _fingerprint(run, manifest, begun)
        old = frozen_config(run) if run.config.exists() else None
        adopt(run, old, config, begun, fingerprint)
        specs = stage_specs(config, run, fingerprint)
        return _train_or_submit(run, config, specs, backend, queue)


def resume(
    path: Path, overrides: tuple[str, ...], stage: int | None, *, detach: bool
) -> dict[int, str]:
    """Resume a run from its frozen configuration; with `stage`, re-open that stage first.

    `detach`, the result and the errors are those of `train`.
    """
    run = existing_run(path)
    old = frozen_config(run)
    values = read_yaml(run.config)
    for override in overrides:
        apply_override(values, override, default_values())
    config = validate(values, source=str(run.config))
    if stage is not None and stage not in config.resolutions:
        raise ConfigError(f"--stage {stage}: the run's stages are {config.resolutions}")
    backend = _backend(config)
    queue = queue_of(backend) if detach else None
    manifest = _manifest(config, run)
    with run.lock():
        begun = begun_stages(run)
        kept = [spec for spec in begun if stage is None or spec.resolution < stage]
        fingerprint = _fingerprint(run, manifest, begun)
        adopt(run, old, config, kept, fingerprint)
        if stage is not None:
            reopen(run, config, stage)
        specs = stage_specs(config, run, fingerprint)
        return _train_or_submit(run, config, specs, backend, queue)


def _train_or_submit(
    run: RunFolder,
    config: RunConfig,
    specs: list[StageSpec],
    backend: Backend,
    queue: Slurm | None,
) -> dict[int, str]:
    """Submit the unfinished stages to the queue if there is one; else train them."""
    if queue:
        return submit_stages(run, specs, queue)
    _train_stages(run, config, specs, backend)
    return {}


def _backend(config: RunConfig) -> Backend:
    """The launch backend; ConfigError if the stages cannot be trained on its ranks."""
    backend = BACKENDS[config.launch.backend](config.launch)
    check(config, backend.world_size)
    return backend


def _manifest(config: RunConfig, run: RunFolder) -> Manifest:
    """The data set's; DataError if it is missing or too small, ConfigError if it lacks labels."""
    try:
        manifest = load_manifest(config.data.path)
    except NoDataSetError as error:
        if not run.config.exists():
            raise
        moved = f"progan resume {run.path} data.path=ITS_PLACE"
        raise NoDataSetError(f"{error}; if it was moved: {moved}") from error
    manifest.require(config.growth.last, config.data.path)
    if problem := without_labels(config, manifest):
        raise ConfigError(problem)
    return manifest


def begun_stages(run: RunFolder) -> list[StageSpec]:
    """What the stages that have begun were started with, ascending."""
    return [read_spec(file) for file in sorted(run.path.glob("stages/[0-9]*/spec.json"))]


def adopt(
    run: RunFolder,
    old: RunConfig | None,
    config: RunConfig,
    kept: Sequence[StageSpec],
    fingerprint: str,
) -> None:
    """Save a new or changed configuration; ConfigError if it would change a stage to keep.

    old: the configuration saved before, if there is one.
    """
    changes = accept_changes(old or config, config, kept)
    event_log = EventLog(run.events)
    if old is None:
        event_log.append("run_created", data_fingerprint=fingerprint)
    elif changes:
        event_log.append("config_changed", changes=changes)
    if old != config:
        freeze_config(run, config)


def reopen(run: RunFolder, config: RunConfig, resolution: int) -> None:
    """Discard a stage's result, to train on from its last checkpoint, or from its start.

    The result and the later stages, which grew from it, are moved to `superseded/`.
    """
    superseded = run.superseded / time.strftime("%Y%m%d-%H%M%S")
    discarded = [run.stage(resolution).final]
    discarded += [run.stage(later).path for later in config.resolutions if later > resolution]
    for folder in discarded:
        if folder.exists():
            target = superseded / folder.relative_to(run.path / "stages")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(folder, target)
    stage = run.stage(resolution)
    checkpoints = [int(path.name) for path in stage.checkpoints.glob("[0-9]*")]
    rewind(stage, max(checkpoints, default=0))
    EventLog(run.events).append("stage_reopened", resolution=resolution)


def _train_stages(
    run: RunFolder, config: RunConfig, specs: list[StageSpec], backend: Backend
) -> None:
    """Train the unfinished stages, with progress bars, tracking and a report."""
    tracker = Tracker(run, config, specs) if config.tracking.mlflow != "off" else None
    if tracker:
        tracker.start()
    report = BackgroundReport(run, config.resolutions)
    report.start()
    status = "FAILED"
    try:
        with Display(specs) as display:
            run_stages(run, specs, backend, display, config.launch.max_restarts)
        status = "FINISHED"
    except StoppedError:
        status = "KILLED"
        raise
    finally:
        report.close()
        if tracker:
            tracker.close(status)


def _fingerprint(run: RunFolder, manifest: Manifest, begun: Sequence[StageSpec]) -> str:
    """The data set's fingerprint; RunError if the run was started with another."""
    created = [
        str(event.fields["data_fingerprint"])
        for event in EventLog(run.events).events()
        if event.kind == "run_created"
    ]
    known = created[-1:] + [spec.data_fingerprint for spec in begun]
    for began_with in known:
        if manifest.fingerprint != began_with:
            raise RunError(
                f"the data set is not the one that {run.path} began with: its fingerprint is "
                f"{manifest.fingerprint[:12]}, not {began_with[:12]}"
            )
    return manifest.fingerprint
