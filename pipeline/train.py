"""`progan train` and `progan resume`: start, resume or re-open a run; no torch."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from progan.datasets.errors import NoDataSetError
from progan.datasets.format.manifest import Manifest, load_manifest
from progan.launch.backends.backend import BACKENDS, Backend
from progan.launch.backends.slurm import Slurm
from progan.pipeline.config.schema import RunConfig, default_values, validate, with_precision
from progan.pipeline.config.yaml_io import apply_override, read_yaml
from progan.pipeline.errors import ConfigError, StoppedError
from progan.pipeline.plan.channels import with_channels
from progan.pipeline.plan.initial_weights import pinned
from progan.pipeline.plan.plan import check, stage_specs
from progan.pipeline.plan.rules import too_few_held_out, without_bf16, without_labels
from progan.pipeline.report.background import BackgroundReport
from progan.pipeline.run.beginning.adoption import accept, adopt
from progan.pipeline.run.beginning.new_run import run_to_train
from progan.pipeline.run.detached import queue_of, submit_stages
from progan.pipeline.run.ending import Outcome, call_hook, last_lines
from progan.pipeline.run.mirror.background import BackgroundMirror
from progan.pipeline.run.mirror.fetching import run_to_resume
from progan.pipeline.run.orchestrator import run_stages
from progan.pipeline.run.progress_display import Display
from progan.pipeline.run.time_left import time_left
from progan.pipeline.run_folder import RunFolder, frozen_config, require_stage
from progan.pipeline.tracking.destinations import destinations, require_trackers
from progan.pipeline.tracking.mlflow.page import run_page
from progan.pipeline.tracking.queue.destination import Status
from progan.pipeline.tracking.tracker import Tracker
from progan.stages.specs.stage import StageSpec

TRACKED: dict[Outcome, Status] = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
"""MLflow's words"""


def train(
    config: RunConfig,
    path: Path,
    *,
    detach: bool = False,
    on_begin: Callable[[], None] = lambda: None,
) -> dict[int, str]:
    """Start a run in a folder, or resume the one in it, and train until its last stage is done.

    With `detach`, only submit its stages to the scheduler; returns their jobs by resolution.
    `on_begin` is called when all has been checked, before anything is trained.
    Raises ConfigError if the configuration would change what the run has already computed, and for
    a folder that holds anything but a run.
    """
    run = run_to_train(path)
    config = pinned(config, frozen_config(run) if run.config.exists() else None)
    require_trackers(config)
    backend = _backend(config)
    queue = _queue(config, backend) if detach else None
    manifest = _manifest(config, run)
    config = with_channels(config, manifest)
    run.path.mkdir(parents=True, exist_ok=True)
    with run.lock():
        old = frozen_config(run) if run.config.exists() else None
        adopt(run, config, accept(run, old, config, manifest, backend))
        on_begin()
        specs = stage_specs(config, run, manifest.fingerprint)
        return _train_or_submit(run, config, specs, backend, queue)


def resume(
    path: Path,
    overrides: tuple[str, ...],
    stage: int | None,
    *,
    detach: bool,
    change: bool = False,
    on_message: Callable[[str], None] = lambda text: None,
) -> dict[int, str]:
    """Resume a run from its frozen configuration; with `stage`, re-open that stage first.

    `change`: let overrides change what a stage that has begun computes, from its last checkpoint
    on; `on_message` is called with each such change. What the folder lacks is fetched from
    checkpoint.mirror, which an override names if the folder is empty. `detach`, the result and the
    errors are those of `train`.
    """
    run = run_to_resume(path, overrides, on_message)
    old = frozen_config(run)
    values = read_yaml(run.config)
    for override in overrides:
        apply_override(values, override, default_values())
    config = with_precision(
        validate(values, source=str(run.config)), lambda launch: old.engine.precision
    )
    require_stage(config.resolutions, stage)
    require_trackers(config)
    backend = _backend(config)
    queue = _queue(config, backend) if detach else None
    manifest = _manifest(config, run)
    config = with_channels(config, manifest)
    with run.lock():
        accepted = accept(run, old, config, manifest, backend, stage=stage, change=change)
        adopt(run, config, accepted)
        for message in accepted.messages():
            on_message(message)
        specs = stage_specs(config, run, manifest.fingerprint)
        return _train_or_submit(run, config, specs, backend, queue)


def _queue(config: RunConfig, backend: Backend) -> Slurm:
    """For --detach; ConfigError if nothing can train, or copy, without this process."""
    if config.checkpoint.mirror:
        raise ConfigError(
            "--detach: checkpoint.mirror is copied to by progan train itself; leave it running, "
            "under nohup or tmux, or set checkpoint.mirror=null"
        )
    return queue_of(backend)


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
    if problem := without_bf16(config):
        raise ConfigError(problem)
    backend = BACKENDS[config.launch.backend](config.launch)
    check(config, backend.world_size)
    return backend


def _manifest(config: RunConfig, run: RunFolder) -> Manifest:
    """The data set's; DataError if it is missing or too small, ConfigError if it does not suit."""
    try:
        manifest = load_manifest(config.data.path)
    except NoDataSetError as error:
        if not run.config.exists():
            raise
        moved = f"progan resume {run.path} data.path=ITS_PLACE"
        raise NoDataSetError(f"{error}; if it was moved: {moved}") from error
    manifest.require(config.growth.last, config.data.path)
    if problem := without_labels(config, manifest) or too_few_held_out(config, manifest):
        raise ConfigError(problem)
    return manifest


def _train_stages(
    run: RunFolder, config: RunConfig, specs: list[StageSpec], backend: Backend
) -> None:
    """Train the unfinished stages, with progress bars, tracking, a report and a copy."""
    tracker = Tracker(run, destinations(run, config, specs))
    tracker.start()
    report = BackgroundReport(run, config.resolutions)
    report.start()
    mirror = BackgroundMirror(run, config.checkpoint.mirror, config.checkpoint.spec)
    mirror.start()
    hook = partial(call_hook, config.hooks.on_end, run)
    outcome: Outcome = "failed"
    reason = ""
    left = partial(time_left, run, config, specs, backend.world_size)
    display = Display(specs, left, partial(hook, "restarted"))
    try:
        with display:
            run_stages(run, specs, backend, display, config.launch.max_restarts)
        outcome = "finished"
    except StoppedError:
        outcome = "stopped"
        raise
    except Exception as error:
        reason = str(error)
        raise
    finally:
        report.close()
        tracker.close(TRACKED[outcome])
        mirror.close()
        for line in last_lines(run, outcome, run_page(run, config)):
            display.terminal.say(line)
        hook(outcome, reason)
