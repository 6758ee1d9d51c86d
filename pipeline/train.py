"""`progan train` and `progan resume`: start, resume or re-open a run; no torch."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

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


def train(config: RunConfig, path: Path, *, detach: bool = False) -> dict[int, str]:
    """Start a run in a folder, or resume the one in it, and train until its last stage is done.

    With `detach`, only submit its stages to the scheduler; returns their jobs by resolution.
    Raises ConfigError if the configuration would change what the run has already computed.
    """
    run = RunFolder(path.absolute())
    config = pinned(config)
    backend = _backend(config)
    queue = queue_of(backend) if detach else None
    manifest = _manifest(config)
    run.path.mkdir(parents=True, exist_ok=True)
    with run.lock():
        if run.config.exists():
            adopt(run, config, kept=started_stages(run, config.resolutions))
        else:
            EventLog(run.events).append("run_created", data_fingerprint=manifest.fingerprint)
            freeze_config(run, config)
        specs = stage_specs(config, run, _fingerprint(run, manifest))
        return _train_or_submit(run, config, specs, backend, queue)


def resume(
    path: Path, overrides: tuple[str, ...], stage: int | None, *, detach: bool
) -> dict[int, str]:
    """Resume a run from its frozen configuration; with `stage`, re-open that stage first.

    `detach`, the result and the errors are those of `train`.
    """
    run = existing_run(path)
    values = read_yaml(run.config)
    for override in overrides:
        apply_override(values, override, default_values())
    config = validate(values, source=str(run.config))
    if stage is not None and stage not in config.resolutions:
        raise ConfigError(f"--stage {stage}: the run's stages are {config.resolutions}")
    backend = _backend(config)
    queue = queue_of(backend) if detach else None
    manifest = _manifest(config)
    with run.lock():
        kept = started_stages(run, frozen_config(run).resolutions)
        adopt(run, config, kept=[r for r in kept if stage is None or r < stage])
        if stage is not None:
            reopen(run, config, stage)
        specs = stage_specs(config, run, _fingerprint(run, manifest))
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


def _manifest(config: RunConfig) -> Manifest:
    """The data set's; DataError if it is missing or too small, ConfigError if it lacks labels."""
    manifest = load_manifest(config.data.path)
    manifest.require(config.growth.last, config.data.path)
    if problem := without_labels(config, manifest):
        raise ConfigError(problem)
    return manifest


def started_stages(run: RunFolder, resolutions: Sequence[int]) -> list[int]:
    """Resolutions of the stages that have been started."""
    return [resolution for resolution in resolutions if run.stage(resolution).spec.exists()]


def adopt(run: RunFolder, config: RunConfig, kept: Sequence[int]) -> None:
    """Save a changed configuration; ConfigError if it would change one of the stages to keep."""
    changes = accept_changes(frozen_config(run), config, kept)
    if changes:
        freeze_config(run, config)
        EventLog(run.events).append("config_changed", changes=changes)


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


def _fingerprint(run: RunFolder, manifest: Manifest) -> str:
    """The data set's fingerprint; RunError if the run was started with another."""
    created = next(e for e in EventLog(run.events).events() if e.kind == "run_created")
    began_with: str = created.fields["data_fingerprint"]
    if manifest.fingerprint != began_with:
        raise RunError(
            f"the data set is not the one that {run.path} began with: its fingerprint is "
            f"{manifest.fingerprint[:12]}, not {began_with[:12]}"
        )
    return began_with
