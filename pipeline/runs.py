"""Starting, resuming and re-opening a run: what `progan train` and `progan resume` do; no torch."""

import shutil
import time
from pathlib import Path

from progan.datasets.manifest import Manifest, load_manifest
from progan.launch.backend import BACKENDS, Backend
from progan.pipeline.config import RunConfig, default_values, validate
from progan.pipeline.display import Display
from progan.pipeline.errors import ConfigError, RunError, StoppedError
from progan.pipeline.ledger import Ledger
from progan.pipeline.orchestrator import run_stages
from progan.pipeline.plan import check, stage_specs
from progan.pipeline.rundir import RunFolder, existing_run
from progan.pipeline.tracking import Tracker, flatten
from progan.pipeline.yamlfile import apply_override, read_yaml, write_yaml

MAY_CHANGE = ("launch", "tracking", "checkpoint")
"""Groups of the configuration that do not touch what a run computes."""


def train(config: RunConfig, path: Path) -> None:
    """Start a run in a folder, or go on with the one that is there, until its last stage is done.

    Raises ConfigError if the run there has another configuration.
    """
    run = RunFolder(path.absolute())
    backend = BACKENDS[config.launch.backend](config.launch)
    check(config, backend.world_size)
    manifest = load_manifest(config.data.path)
    manifest.require(config.growth.last, config.data.path)
    if run.config.exists():
        refuse_changes(frozen_config(run), config)
    run.path.mkdir(parents=True, exist_ok=True)
    with run.lock():
        if not run.config.exists():
            Ledger(run.events).append("run_created", data_fingerprint=manifest.fingerprint)
            write_yaml(run.config, config)
        _drive(run, config, manifest, backend)


def resume(path: Path, overrides: tuple[str, ...], stage: int | None) -> None:
    """Go on with a run from its frozen configuration; with `stage`, re-open that stage first."""
    run = existing_run(path)
    values = read_yaml(run.config)
    for override in overrides:
        apply_override(values, override, default_values())
    config = validate(values, source=str(run.config))
    refuse_changes(frozen_config(run), config)
    backend = BACKENDS[config.launch.backend](config.launch)
    check(config, backend.world_size)
    manifest = load_manifest(config.data.path)
    with run.lock():
        if overrides:
            write_yaml(run.config, config)
            Ledger(run.events).append("config_changed", overrides=list(overrides))
        if stage is not None:
            reopen(run, config, stage)
        _drive(run, config, manifest, backend)


def frozen_config(run: RunFolder) -> RunConfig:
    """The configuration that a run was started with."""
    return validate(read_yaml(run.config), source=str(run.config))


def refuse_changes(old: RunConfig, new: RunConfig) -> None:
    """ConfigError naming the first key that would change what the run computes."""
    before, after = _fixed(old), _fixed(new)
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            raise ConfigError(
                f"{key}: the run was started with {before.get(key)}, not {after.get(key)}; "
                "start another run for that (--run)"
            )


def _fixed(config: RunConfig) -> dict[str, str]:
    return flatten(config.model_dump(mode="json", exclude=set(MAY_CHANGE)))


def reopen(run: RunFolder, config: RunConfig, resolution: int) -> None:
    """Withdraw a stage's result: it goes on from its last checkpoint, or from its beginning.

    The result and the later stages, which grew from it, are set aside under `superseded/`.
    """
    if resolution not in config.resolutions:
        raise ConfigError(f"--stage {resolution}: the run's stages are {config.resolutions}")
    attic = run.superseded / time.strftime("%Y%m%d-%H%M%S")
    withdrawn = [run.stage(resolution).final]
    withdrawn += [run.stage(later).path for later in config.resolutions if later > resolution]
    for folder in withdrawn:
        if folder.exists():
            target = attic / folder.relative_to(run.path / "stages")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(folder, target)
    Ledger(run.events).append("stage_reopened", resolution=resolution)


def _drive(run: RunFolder, config: RunConfig, manifest: Manifest, backend: Backend) -> None:
    """Train what is left, with bars and tracking beside it."""
    specs = stage_specs(config, run, _fingerprint(run, manifest))
    tracker = Tracker(run, config, specs) if config.tracking.mlflow != "off" else None
    if tracker:
        tracker.start()
    status = "FAILED"
    try:
        with Display(specs) as display:
            run_stages(run, specs, backend, display)
        status = "FINISHED"
    except StoppedError:
        status = "KILLED"
        raise
    finally:
        if tracker:
            tracker.close(status)


def _fingerprint(run: RunFolder, manifest: Manifest) -> str:
    """The data set's fingerprint, which must be the one the run began with."""
    created = next(e for e in Ledger(run.events).events() if e.kind == "run_created")
    began_with: str = created.fields["data_fingerprint"]
    if manifest.fingerprint != began_with:
        raise RunError(
            f"the data set is not the one that {run.path} began with: its fingerprint is "
            f"{manifest.fingerprint[:12]}, not {began_with[:12]}"
        )
    return began_with
