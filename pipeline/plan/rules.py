"""Combinations that cannot be trained, refused by their keys before anything starts; no torch.

What concerns one loss, penalty, head or other option is refused by its own spec
(`Spec.conflicts`); here are the rules that belong to none of them.
"""

import math
from collections.abc import Iterator

from progan.datasets.format.manifest import Manifest
from progan.datasets.spec import held_out_samples
from progan.launch.precision import lacks_bf16
from progan.pipeline.config.schema import RunConfig
from progan.stages.networks.widths import finest
from progan.stages.specs.base import Spec
from progan.stages.specs.model import FIRST_RESOLUTION
from progan.stages.specs.stage import StageSpec

FEWEST_HELD_OUT = 16


def conflict(stage: StageSpec) -> str | None:
    """Why a stage cannot be trained as configured, and what to set; None if it can."""
    found = (part.conflicts(stage) for part in parts(stage))
    return next(filter(None, found), None) or moments_of_older_layers(stage) or not_of_dcgan(stage)


def parts(spec: Spec) -> Iterator[Spec]:
    """The specs inside a spec at any depth, in the order of their fields, then itself."""
    for name in type(spec).model_fields:
        value = getattr(spec, name)
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Spec):
                yield from parts(each)
    yield spec


def moments_of_older_layers(stage: StageSpec) -> str | None:
    """Adam's bias correction of moments that begin in mid-stage must begin there too."""
    if stage.growth.mode == "stacked" and not stage.optimizer.reset_on_growth:
        return (
            "growth.mode: stacked begins to train the generator's older layers in mid-stage, and "
            "with the moments of the others kept their first steps would be far too large; set "
            "optimizer.reset_on_growth=true"
        )
    return None


def not_of_dcgan(stage: StageSpec) -> str | None:
    """Options that only progressive networks have."""
    model, top = stage.model, finest(stage.model, stage.resolution)
    if model.arch != "dcgan":
        return None
    if stage.grown_from or top < FIRST_RESOLUTION:
        return (
            "model.arch: dcgan does not grow; set growth.first and growth.last to one resolution, "
            "8 or more"
        )
    if model.variant != "paper":
        return f"model.variant: {model.variant} is of progressive networks; leave it out with dcgan"
    if model.generator.norm == "pixel":
        return (
            "model.generator.norm: pixel, the default, is of progressive networks; with dcgan set "
            "model.generator.norm=batch (the paper's), virtual_batch or none"
        )
    if model.discriminator.head.kind == "autoencoder":
        return (
            "model.discriminator.head: an autoencoder's decoder is a generator that grows; with "
            "dcgan take another head, or model.arch=progressive"
        )
    if max(model.generator.attention + model.discriminator.attention, default=0) > top:
        return (
            f"model.generator.attention, model.discriminator.attention: dcgan's largest feature "
            f"maps for pictures of {stage.resolution} are {top}x{top}; name {top} or less"
        )
    return None


def nothing_to_stack(config: RunConfig) -> str | None:
    """Why a run's stages have nothing to train separately; None if they have, or need not."""
    growth, grown = config.growth, config.resolutions[1:]
    if growth.mode != "stacked":
        return None
    if not grown:
        return (
            f"growth.mode: stacked, but growth.first and growth.last are both {growth.last}, so "
            "that no layers are added that could be trained separately; leave it out"
        )
    if lacking := [each for each in grown if not growth.fade_kimg.at(each)]:
        return (
            f"growth.fade_kimg: stage {lacking[0]} is to be trained separately for 0 kimg; set "
            "more, or growth.mode=none"
        )
    return None


def without_labels(config: RunConfig, manifest: Manifest) -> str | None:
    """Why a data set lacks the labels that a configuration needs; None if it has them."""
    wanted, have = config.model.classes, manifest.classes or []
    if not wanted:
        return None
    if len(have) != wanted:
        return f"model.classes: {wanted}, but the data set {config.data.path} has {len(have)}"
    if unlabelled := manifest.num_samples - sum(manifest.class_counts or []):
        return (
            f"model.classes: {unlabelled:,} pictures of {config.data.path} have no label; prepare "
            "it from labelled ones alone"
        )
    return None


def too_few_held_out(config: RunConfig, manifest: Manifest) -> str | None:
    """Why a data set is too small for its holdout; None if it is not, or nothing is held out."""
    share, number = config.metrics.holdout, manifest.num_samples
    fewest = max(FEWEST_HELD_OUT, config.model.grouped)
    if not share or (held_out := held_out_samples(number, share)) >= fewest:
        return None
    enough = math.ceil(1000 * fewest / number) / 1000
    advice = f"{enough:g} are {fewest}, which is enough" if enough < 0.5 else "set it to 0"
    return (
        f"metrics.holdout: {share:g} of the {number:,} pictures of {config.data.path} are "
        f"{held_out}, whose mean logit says little; {advice}"
    )


def without_bf16(config: RunConfig) -> str | None:
    """Why the GPUs here rule out the run's precision; None if they do not, or it trains elsewhere.

    The workers refuse it as well, but then stages have begun with that precision.
    """
    if config.engine.precision == "bf16" and (lacks := lacks_bf16(config.launch)):
        return f"engine.precision: {lacks}; set fp16 or fp32"
    return None


def unrolled_in_parts(stage: StageSpec, ranks: int) -> str | None:
    """Why a rank's micro-batches rule out `objective.unrolled`; None if they do not."""
    rank_batch, micro_batch = stage.batch // ranks, stage.rank_micro_batch(ranks)
    if stage.objective.unrolled and micro_batch < rank_batch:
        return (
            f"objective.unrolled: the steps ahead need a rank's {rank_batch} images at once, and "
            f"micro_batch.{stage.resolution} takes {micro_batch}; leave one of the two out"
        )
    return None
