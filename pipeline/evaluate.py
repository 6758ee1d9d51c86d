"""`progan evaluate`: measure the finished stages of a run, one after the other."""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import torch

from progan.datasets.errors import NoDataSetError
from progan.datasets.loader import Batches
from progan.pipeline.config.schema import RunConfig
from progan.pipeline.errors import ConfigError, RunError
from progan.pipeline.run.beginning.data_sets import known_data
from progan.pipeline.run.events import EventLog
from progan.pipeline.run_folder import RunFolder, finished_stages, frozen_config
from progan.stages.distributed.watchdog import Watchdog
from progan.stages.distributed.world import World
from progan.stages.errors import MetricError
from progan.stages.metrics.evaluation import Result, add_results
from progan.stages.metrics.measure import Subject, heartbeats, measure
from progan.stages.metrics.names import fits, values_of
from progan.stages.networks.generator import Generator
from progan.stages.networks.weights.spectral import convert_spectral_norm
from progan.stages.specs.stage import MetricName, MetricsSpec
from progan.stages.storage.final import Final, read_final
from progan.stages.storage.stage_folder import StageFolder
from progan.stages.storage.tensors import read_tensors

PIXELS_AT_ONCE = 16 * 1024 * 1024
"""In one batch of fakes: 16 of 1024x1024"""
TOO_SMALL = "patches need at least 16x16 pixels; --at 32 compares every stage there, enlarged"

OnProgress = Callable[[int, int, int], None]
"""Called with a stage's resolution, the batches measured and the number of batches"""


class EvaluateOptions(NamedTuple):
    """What to measure; None stands for the value in the run's configuration."""

    metrics: tuple[MetricName, ...] | None = None
    stage: int | None = None
    at: int | None = None
    """Resolution at which all stages are measured; by default each at its own"""
    images: int | None = None
    inception_weights: Path | None = None
    data: str | None = None
    """Where the data set is now: a folder or a URL"""


def evaluate(run: RunFolder, options: EvaluateOptions, on_progress: OnProgress) -> dict[str, Any]:
    """Measure the finished stages and write the results into their folders.

    Returns a JSON-able document: `run` and, in `stages`, what evaluation.json has of the values
    measured now, with `left_out`, the reasons why metrics have no value. Raises RunError if
    no stage is finished or one cannot be measured.
    """
    config = frozen_config(run)
    if options.data:
        moved = config.data.model_copy(update={"path": options.data}).absolute()
        config = config.model_copy(update={"data": moved})
    changes = {"images": options.images, "inception_weights": options.inception_weights}
    spec = config.metrics.model_copy(update={k: v for k, v in changes.items() if v is not None})
    names = options.metrics or spec.at_end
    stages = []
    known = {str(event.fields["data_fingerprint"]) for event in known_data(EventLog(run.events))}
    for resolution in _stages(run, config, options):
        at, folder = options.at or resolution, run.stage(resolution)
        stages.append(_evaluate(config, folder, names, at, spec, known, on_progress))
    return {"run": str(run.path), "stages": stages}


def _stages(run: RunFolder, config: RunConfig, options: EvaluateOptions) -> list[int]:
    """The resolutions of the stages to measure."""
    stages = finished_stages(run, config.resolutions, options.stage)
    if options.at is not None and options.at < max(stages):
        raise ConfigError(f"--at {options.at}: stage {max(stages)} draws larger pictures than that")
    return stages


def _evaluate(
    config: RunConfig,
    folder: StageFolder,
    wanted: Sequence[MetricName],
    at: int,
    spec: MetricsSpec,
    known: set[str],
    on_progress: OnProgress,
) -> dict[str, Any]:
    """Measure one stage; returns its entry of the document.

    known: fingerprints of the data sets that the run was trained with.
    """
    final = read_final(folder.final)
    names = [name for name in wanted if fits(name, at)]
    done = 0
    with closing(_reals(config, final, at, known)) as batches:
        subject = Subject(
            generator=_generator(folder, final),
            alpha=1.0,
            seed=config.seed,
            batches=batches,
            resolution=at,
            batch_size=PIXELS_AT_ONCE // at**2,
            features=folder.features,
        )
        total = heartbeats(subject, names, spec) + 1  # the last step writes the results

        def advance() -> None:
            nonlocal done
            done += 1
            on_progress(final.resolution, done, total)

        on_progress(final.resolution, 0, total)
        try:
            found = measure(subject, _single_process(), names, spec, advance)
        except MetricError as error:
            raise RunError(f"stage {final.resolution} cannot be measured: {error}") from error
    measured = {name: values_of(name, found.values) for name in names}
    results = [
        Result(metric=name, at=at, images=found.images, values=values)
        for name, values in measured.items()
        if values
    ]
    evaluation = add_results(folder, results).model_copy(update={"results": tuple(results)})
    on_progress(final.resolution, total, total)
    too_small = {} if names == list(wanted) else {"swd": TOO_SMALL}
    return evaluation.model_dump(mode="json") | {"left_out": found.left_out | too_small}


def _reals(config: RunConfig, final: Final, at: int, known: set[str]) -> Batches:
    """The data set at a resolution; RunError if it is none of the run's."""
    try:
        batches = Batches(
            config.data,
            at,
            seed=config.seed,
            batch=1,
            rank=0,
            world_size=1,
            holdout=config.metrics.holdout,
        )
    except NoDataSetError as error:
        raise NoDataSetError(f"{error}; if it was moved, name its place by --data") from error
    if batches.manifest.fingerprint not in known | {final.data_fingerprint}:
        raise RunError(f"{config.data.path} is not the data set that the run was trained with")
    return batches


def _generator(folder: StageFolder, final: Final) -> Generator:
    """The averaged generator of a finished stage, on the device that measures."""
    generator = Generator(final.model, final.resolution)
    ema = read_tensors(folder.final / "ema.safetensors")
    generator.load_state_dict(convert_spectral_norm(ema, generator))
    return generator.eval().requires_grad_(False).to(_single_process().device)


def _single_process() -> World:
    """A world of this process alone, on the GPU if there is one."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return World(rank=0, size=1, device=device, watchdog=Watchdog(0, 1))
