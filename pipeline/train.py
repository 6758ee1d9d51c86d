"""Starting, resuming and re-opening a run: what `progan train` and `progan resume` do; no torch."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from progan.datasets.format.manifest import Manifest, load_manifest
from progan.launch.backends.backend import BACKENDS, Backend
from progan.launch.backends.slurm import Slurm
from progan.pipeline.config.schema import RunConfig, default_values, validate
from progan.pipeline.config.yaml_io import apply_override, read_yaml, write_yaml
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
from progan.pipeline.run_folder import RunFolder, existing_run, frozen_config
from progan.pipeline.tracking.tracker import Tracker
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.metrics_log import rewind


def train(config: RunConfig, path: Path, *, detach: bool = False) -> dict[int, str]:
    """Start a run in a folder, or go on with the one that is there, until its last stage is done.

    With `detach`, only hand its stages to the scheduler; returns their jobs by resolution.
    Raises ConfigError if its configuration would change what the run there has computed.
    """
    run = RunFolder(path.absolute())
    config = pinned(config)
    backend = _backend(config)
    queue = queue_of(backend) if detach else None
    manifest = _data(config)
    run.path.mkdir(parents=True, exist_ok=True)
    with run.lock():
        if run.config.exists():
            adopt(run, config, kept=begun(run, config.resolutions))
        else:
            EventLog(run.events).append("run_created", data_fingerprint=manifest.fingerprint)
            write_yaml(run.config, config)
        specs = stage_specs(config, run, _fingerprint(run, manifest))
        return _go_on(run, config, specs, backend, queue)


def resume(
    path: Path, overrides: tuple[str, ...], stage: int | None, *, detach: bool
) -> dict[int, str]:
    """Go on with a run from its frozen configuration; with `stage`, re-open that stage first.

    See `train` for the rest.
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
    manifest = _data(config)
    with run.lock():
        kept = begun(run, frozen_config(run).resolutions)
        adopt(run, config, kept=[r for r in kept if stage is None or r < stage])
        if stage is not None:
            reopen(run, config, stage)
        specs = stage_specs(config, run, _fingerprint(run, manifest))
        return _go_on(run, config, specs, backend, queue)


def _go_on(
    run: RunFolder,
    config: RunConfig,
    specs: list[StageSpec],
    backend: Backend,
    queue: Slurm | None,
) -> dict[int, str]:
    """Hand what is left to the queue if there is one; train it if not."""
    if queue:
        return submit_stages(run, specs, queue)
    _drive(run, config, specs, backend)
    return {}


def _backend(config: RunConfig) -> Backend:
    """What starts the stages; ConfigError if they cannot be shared out over its ranks."""
    backend = BACKENDS[config.launch.backend](config.launch)
    check(config, backend.world_size)
    return backend


def _data(config: RunConfig) -> Manifest:
    """The data set; DataError if it is not there or too small, ConfigError if it lacks labels."""
    manifest = load_manifest(config.data.path)
    manifest.require(config.growth.last, config.data.path)
    if problem := without_labels(config, manifest):
        raise ConfigError(problem)
    return manifest


def begun(run: RunFolder, resolutions: Sequence[int]) -> list[int]:
    """The stages that were ever started."""
    return [resolution for resolution in resolutions if run.stage(resolution).spec.exists()]


def adopt(run: RunFolder, config: RunConfig, kept: Sequence[int]) -> None:
    """Freeze a changed configuration; ConfigError if it would change one of the stages to keep."""
    changes = accept_changes(frozen_config(run), config, kept)
    if changes:
        write_yaml(run.config, config)
        EventLog(run.events).append("config_changed", changes=changes)


def reopen(run: RunFolder, config: RunConfig, resolution: int) -> None:
    """Withdraw a stage's result: it goes on from its last checkpoint, or from its beginning.

    The result and the later stages, which grew from it, are set aside under `superseded/`.
    """
    attic = run.superseded / time.strftime("%Y%m%d-%H%M%S")
    withdrawn = [run.stage(resolution).final]
    withdrawn += [run.stage(later).path for later in config.resolutions if later > resolution]
    for folder in withdrawn:
        if folder.exists():
            target = attic / folder.relative_to(run.path / "stages")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(folder, target)
    stage = run.stage(resolution)
    checkpoints = [int(path.name) for path in stage.checkpoints.glob("[0-9]*")]
    rewind(stage, max(checkpoints, default=0))
    EventLog(run.events).append("stage_reopened", resolution=resolution)


def _drive(run: RunFolder, config: RunConfig, specs: list[StageSpec], backend: Backend) -> None:
    """Train what is left, with bars, tracking and a report beside it."""
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
    """The data set's fingerprint, which must be the one the run began with."""
    created = next(e for e in EventLog(run.events).events() if e.kind == "run_created")
    began_with: str = created.fields["data_fingerprint"]
    if manifest.fingerprint != began_with:
        raise RunError(
            f"the data set is not the one that {run.path} began with: its fingerprint is "
            f"{manifest.fingerprint[:12]}, not {began_with[:12]}"
        )
    return began_with
