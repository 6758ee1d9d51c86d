"""The configuration with which a run begins or goes on, and what its user should know; no torch."""

from functools import partial
from pathlib import Path

from progan.launch.precision import best_precision
from progan.launch.spec import LaunchSpec
from progan.pipeline.config.schema import RunConfig, load_config
from progan.pipeline.plan.hints import hints
from progan.pipeline.plan.host_memory import known_manifest
from progan.pipeline.plan.plan import stage_specs
from progan.pipeline.run.beginning.new_run import run_to_train
from progan.pipeline.run.mirror.fetching import fetch
from progan.pipeline.run_folder import RunFolder, frozen_config


def load_run_config(
    name: str, overrides: tuple[str, ...], path: Path, notes: list[str]
) -> RunConfig:
    """The configuration of a file or preset, changed by KEY=VALUE words, for the run at `path`.

    First the run is fetched from checkpoint.mirror if its folder lacks it. What
    engine.precision=auto stands for is chosen when the run begins, and kept when it resumes. The
    choice and its reason, and what was fetched, are added to `notes`. Errors: see `load_config`,
    `run_to_train` and `fetch`.
    """
    mirror = load_config(name, overrides, lambda launch: "auto").checkpoint.mirror
    fetch(run_to_train(path), mirror, notes.append)
    return load_config(name, overrides, partial(_precision_of_run, path, notes))


def noted_precision(notes: list[str], launch: LaunchSpec) -> str:
    """The precision for this machine, or those that train; notes it and why."""
    precision, reason = best_precision(launch)
    notes.append(f"precision {precision}: {reason}")
    return precision


def run_hints(config: RunConfig) -> list[str]:
    """What is probably unintended in a run's configuration, a line each."""
    specs = stage_specs(config, RunFolder(Path("RUN")), "")
    return hints(specs, known_manifest(config), config.launch)


def _precision_of_run(path: Path, notes: list[str], launch: LaunchSpec) -> str:
    run = run_to_train(path)
    if run.config.exists():
        return frozen_config(run).engine.precision
    return noted_precision(notes, launch)
