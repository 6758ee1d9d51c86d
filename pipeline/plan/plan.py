"""A configuration -> the stages to be trained; pure, no torch."""

import math
from pathlib import Path

from progan.pipeline.config.schema import GrowthConfig, RunConfig
from progan.pipeline.errors import ConfigError
from progan.pipeline.plan.rules import conflict, nothing_to_stack, unrolled_in_parts
from progan.pipeline.run_folder import RunFolder
from progan.stages.networks.widths import finest, width
from progan.stages.specs.losses import Relativistic
from progan.stages.specs.penalties import FeatureMatching, PullingAway
from progan.stages.specs.stage import GrowthSpec, InitSpec, StageSpec, TickSpec

WIDEST_GRID = 4096
"""Most pixels along a side of a sample grid; high resolutions show fewer pictures"""


def stage_specs(config: RunConfig, run: RunFolder, data_fingerprint: str) -> list[StageSpec]:
    """The stages of a run, from the first resolution to the last."""
    return [
        stage_spec(config, run, data_fingerprint, resolution) for resolution in config.resolutions
    ]


def stage_spec(
    config: RunConfig, run: RunFolder, data_fingerprint: str, resolution: int
) -> StageSpec:
    """One stage of a run."""
    first = resolution == config.growth.first
    init = config.model.init if first else None
    return StageSpec(
        resolution=resolution,
        grown_from=None if first else run.stage(resolution // 2).final,
        init=InitSpec(path=init, sha256=config.model.init_sha256) if init else None,
        representative=config.model.representative if first else None,
        seed=config.seed,
        data=config.data,
        data_fingerprint=data_fingerprint,
        batch=config.batch.at(resolution),
        micro_batch=config.micro_batch.at(resolution),
        lr=config.optimizer.lr.at(resolution),
        discriminator_lr=config.optimizer.discriminator_lr.at(resolution),
        growth=growth_spec(config.growth, resolution),
        model=config.model.spec,
        objective=config.objective.at(resolution),
        augment=config.augment,
        optimizer=config.optimizer.spec,
        ema=config.ema,
        engine=config.engine.spec,
        compile=config.engine.compile.at(resolution),
        checkpoint=config.checkpoint.spec,
        tick=TickSpec(
            images=round(config.ticks.kimg.at(resolution) * 1000),
            samples_every=config.ticks.samples_every,
            grid=min(config.ticks.grid, max(1, WIDEST_GRID // resolution)),
        ),
        metrics=config.metrics,
    )


def growth_spec(growth: GrowthConfig, resolution: int) -> GrowthSpec:
    """A stage's growth mode and length; the mode is none where the fade has no images."""
    grown = resolution > growth.first and growth.mode != "none"
    fade_images = round(growth.fade_kimg.at(resolution) * 1000) if grown else 0
    return GrowthSpec(
        mode=growth.mode if fade_images else "none",
        fade_images=fade_images,
        steady_images=round(growth.steady_kimg.at(resolution) * 1000),
    )


def check(config: RunConfig, ranks: int) -> None:
    """Check, before anything starts, that every stage can be trained. Raises ConfigError."""
    if problem := nothing_to_stack(config):
        raise ConfigError(problem)
    for spec in stage_specs(config, RunFolder(Path()), ""):
        problem = conflict(spec) or unshareable(spec, ranks) or unrolled_in_parts(spec, ranks)
        if problem:
            raise ConfigError(problem)
        size = finest(spec.model, spec.resolution)
        if width(spec.model, size) < 1:
            raise ConfigError(
                f"model.fmap_base: {spec.model.fmap_base} leaves no feature map at "
                f"{size}; use at least {size // 2}"
            )


def unshareable(spec: StageSpec, ranks: int) -> str | None:
    """Why a stage's batch cannot be divided over the ranks; None if it can.

    Each rank takes an equal share, in equal micro-batches of whole groups of consecutive samples.
    """
    grouped, resolution = groups(spec), spec.resolution
    group, keys = math.lcm(*grouped.values()), ", ".join(grouped) or "one"
    if spec.batch % (ranks * group):
        return (
            f"batch.{resolution}: {spec.batch} images cannot be shared out over {ranks} ranks in "
            f"whole groups of {group} ({keys}); use a multiple of {ranks * group}"
        )
    rank_batch, micro_batch = spec.batch // ranks, spec.rank_micro_batch(ranks)
    if rank_batch % micro_batch or micro_batch % group:
        fit = [n for n in range(group, rank_batch + 1, group) if rank_batch % n == 0]
        return (
            f"micro_batch.{resolution}: {micro_batch} does not divide a rank's {rank_batch} images "
            f"into whole groups of {group} ({keys}); these do: {', '.join(map(str, fit))}"
        )
    return None


def groups(spec: StageSpec) -> dict[str, int]:
    """Numbers of consecutive samples that are processed together, by their configuration keys."""
    loss = spec.objective.loss
    found = {}
    if spec.model.discriminator.minibatch != "none":
        found["model.stddev_group"] = spec.model.stddev_group
    for name, network in (
        ("generator", spec.model.generator),
        ("discriminator", spec.model.discriminator),
    ):
        if network.norm == "batch":
            found[f"model.{name}.norm_group"] = network.norm_group
    if isinstance(loss, Relativistic) and loss.kind == "ragan":
        found["objective.loss.group"] = loss.group
    for index, each in enumerate(spec.objective.penalties):
        if isinstance(each, FeatureMatching | PullingAway):
            found[f"objective.penalties.{index}.group"] = each.group
    return found
