"""`progan evaluate`: measure the finished stages of a run, one after the other."""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import torch

from progan.datasets.loader import Batches
from progan.pipeline.config.schema import RunConfig
from progan.pipeline.errors import ConfigError, RunError
from progan.pipeline.run_folder import RunFolder, frozen_config
from progan.stages.distributed.watchdog import Watchdog
from progan.stages.distributed.world import World
from progan.stages.errors import MetricError
from progan.stages.metrics.evaluation import Result, add_results
from progan.stages.metrics.measure import Subject, beats, measure
from progan.stages.metrics.names import fits, values_of
from progan.stages.networks.generator import Generator
from progan.stages.networks.spectral import fitted
from progan.stages.specs.stage import MetricName, MetricsSpec
from progan.stages.storage.final import Final, is_done, read_final
from progan.stages.storage.stage_folder import StageFolder
from progan.stages.storage.tensors import read_tensors

PIXELS_AT_ONCE = 16 * 1024 * 1024
"""Drawn together: 16 pictures of 1024x1024"""
TOO_SMALL = "patches need at least 16x16 pixels; --at 32 compares every stage there, enlarged"

ProgressListener = Callable[[int, int, int], None]
"""TrackingState of a resolution how many beats of how many there were"""


class EvaluateOptions(NamedTuple):
    """What to measure; None is what the run's configuration says."""

    metrics: tuple[MetricName, ...] | None = None
    stage: int | None = None
    at: int | None = None
    """Resolution at which every stage is compared; by default its own"""
    images: int | None = None
    inception_weights: Path | None = None


def evaluate(run: RunFolder, wish: EvaluateOptions, watcher: ProgressListener) -> dict[str, Any]:
    """Measure, and write what was found beside each stage.

    Returns a JSON-able document: `run` and, in `stages`, the content of evaluation.json as far as
    it was measured now, with `left_out`, the reasons why metrics have no value. Raises RunError if
    nothing is finished or pictures cannot be drawn.
    """
    config = frozen_config(run)
    changes = {"images": wish.images, "inception_weights": wish.inception_weights}
    spec = config.metrics.model_copy(update={k: v for k, v in changes.items() if v is not None})
    names = wish.metrics or spec.at_end
    stages = []
    for resolution in _chosen(run, config, wish):
        at = wish.at or resolution
        stages.append(_evaluate(config, run.stage(resolution), names, at, spec, watcher))
    return {"run": str(run.path), "stages": stages}


def _chosen(run: RunFolder, config: RunConfig, wish: EvaluateOptions) -> list[int]:
    """The stages to measure."""
    finished = [r for r in config.resolutions if is_done(run.stage(r).final)]
    if not finished:
        raise RunError(f"no stage of {run.path} is finished yet: progan status {run.path}")
    if wish.stage is not None and wish.stage not in finished:
        raise RunError(f"stage {wish.stage} of {run.path} is not finished; finished are {finished}")
    chosen = finished if wish.stage is None else [wish.stage]
    if wish.at is not None and wish.at < max(chosen):
        raise ConfigError(f"--at {wish.at}: stage {max(chosen)} draws larger pictures than that")
    return chosen


def _evaluate(
    config: RunConfig,
    folder: StageFolder,
    wanted: Sequence[MetricName],
    at: int,
    spec: MetricsSpec,
    watcher: ProgressListener,
) -> dict[str, Any]:
    """Measure one stage: its part of the document."""
    final = read_final(folder.final)
    names = [name for name in wanted if fits(name, at)]
    done = 0
    with closing(_reals(config, final, at)) as batches:
        subject = Subject(
            generator=_generator(folder, final),
            alpha=1.0,
            seed=config.seed,
            batches=batches,
            resolution=at,
            at_once=PIXELS_AT_ONCE // at**2,
        )
        total = beats(subject, names, spec) + 1  # and it is written down

        def beat() -> None:
            nonlocal done
            done += 1
            watcher(final.resolution, done, total)

        watcher(final.resolution, 0, total)
        try:
            found = measure(subject, _alone(), names, spec, beat)
        except MetricError as error:
            raise RunError(f"stage {final.resolution} cannot be measured: {error}") from error
    measured = {name: values_of(name, found.values) for name in names}
    results = [
        Result(metric=name, at=at, images=found.images, values=values)
        for name, values in measured.items()
        if values
    ]
    evaluation = add_results(folder, results).model_copy(update={"results": tuple(results)})
    watcher(final.resolution, total, total)
    too_small = {} if names == list(wanted) else {"swd": TOO_SMALL}
    return evaluation.model_dump(mode="json") | {"left_out": found.left_out | too_small}


def _reals(config: RunConfig, final: Final, at: int) -> Batches:
    """The data set at a resolution; RunError if it is another one than the run's."""
    batches = Batches(config.data, at, seed=config.seed, batch=1, rank=0, world_size=1)
    if batches.manifest.fingerprint != final.data_fingerprint:
        raise RunError(f"{config.data.path} is not the data set that the run was trained with")
    return batches


def _generator(folder: StageFolder, final: Final) -> Generator:
    """The finished average, on the device where it is to be measured."""
    generator = Generator(final.model, final.resolution)
    average = read_tensors(folder.final / "ema.safetensors")
    generator.load_state_dict(fitted(average, generator))
    return generator.eval().requires_grad_(False).to(_alone().device)


def _alone() -> World:
    """This process, without others, on the GPU if there is one."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return World(rank=0, size=1, local_rank=0, device=device, watchdog=Watchdog(0, 1))
