"""Which networks a path stands for: those of a folder, or a run's newest; no torch."""

from collections.abc import Callable, Sequence
from pathlib import Path

from progan.pipeline.errors import RunError
from progan.pipeline.run_folder import RunFolder, existing_run, frozen_config, is_run, require_stage
from progan.pipeline.sampling.unfinished import read_unfinished
from progan.stages.storage.final import is_published
from progan.stages.storage.pretrained import Published, read_published

OnChoice = Callable[[str], None]
"""Called with what was chosen of a run, in words"""


def networks_in(path: Path, on_choice: OnChoice = lambda text: None) -> Published:
    """The networks of an export, an import or a stage's `final/`, or the newest ones of a run."""
    if not is_run(path):
        return read_published(path)
    run = existing_run(path)
    networks = newest_networks(run, frozen_config(run).resolutions)
    on_choice(f"drawn by the newest generator of {path}: {description(networks)}")
    return networks


def newest_networks(
    run: RunFolder, resolutions: Sequence[int], stage: int | None = None
) -> Published:
    """The newest networks of a run, or of one of its stages: of a checkpoint while it trains.

    RunError if it has no checkpoint yet; ConfigError if the run has no such stage.
    """
    require_stage(resolutions, stage)
    for resolution in reversed(resolutions if stage is None else [stage]):
        folder = run.stage(resolution)
        if is_published(folder.final):
            return read_published(folder.final)
        if networks := read_unfinished(folder):
            return networks
    which = "no stage" if stage is None else f"stage {stage}"
    raise RunError(f"{which} of {run.path} has a checkpoint yet: {run.status_command}")


def description(networks: Published) -> str:
    """Resolution, images, and where in the fade they are."""
    size = f"{networks.resolution}x{networks.resolution}"
    fade = networks.fade
    fading = f", fading in (alpha {fade:.2f})" if fade is not None and fade < 1 else ""
    return f"{size} after {networks.images_seen:,} images{fading}"
