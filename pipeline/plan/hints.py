"""Warnings about what is allowed but probably unintended, in one line each; no torch."""

from collections.abc import Iterator, Sequence

from progan.datasets.format.manifest import Manifest
from progan.launch.precision import is_slower_in_bf16
from progan.launch.spec import LaunchSpec
from progan.stages.specs.stage import StageSpec

FEW_PICTURES = 100
"""A discriminator learns fewer than that by heart within minutes"""
MANY_TIMES = 300
"""Shown so often, pictures may have been learnt by heart (docs/augmentation.md)"""


def hints(specs: Sequence[StageSpec], manifest: Manifest | None, launch: LaunchSpec) -> list[str]:
    """Warnings about a run's stages. manifest: the data set's, if it is known."""
    found = [*_short_stages(specs)]
    if specs[0].engine.precision == "bf16" and is_slower_in_bf16(launch):
        found.append(
            "engine.precision: this CPU is slower in bf16 than in fp32, up to several times; "
            "set fp32 or auto"
        )
    if manifest:
        found += _small_data(specs, manifest)
    return found


def _short_stages(specs: Sequence[StageSpec]) -> Iterator[str]:
    """Stages whose moving average, or metrics, would show less than they have learned."""
    lagging = [
        spec for spec in specs
        if spec.ema.decay is None and spec.ema.rampup is None
        and spec.growth.total_images < spec.ema.half_life_kimg * 1000
    ]  # fmt: skip
    if lagging:
        shortest = min(spec.growth.total_images for spec in lagging) / 1000
        yield (
            f"ema.half_life_kimg: {lagging[0].ema.half_life_kimg:g} kimg is longer than "
            f"{_stages(lagging)}, so that the average, which is exported, still holds what came "
            f"before; set {shortest / 4:.2g} or less, or ema.rampup=0.05"
        )
    if short := [spec for spec in specs if spec.growth.total_images < spec.tick.images]:
        yield (
            f"ticks.kimg: {short[0].tick.images / 1000:g} kimg is longer than {_stages(short)}: "
            "one line of metrics and one grid of samples for each; set less"
        )


def _small_data(specs: Sequence[StageSpec], manifest: Manifest) -> Iterator[str]:
    number = manifest.num_samples
    times = sum(spec.growth.total_images for spec in specs) // number
    if large := [spec for spec in specs if spec.batch > number]:
        yield (
            f"batch: {large[0].batch} is more than the data set's {_pictures(number)}, so that "
            f"every step of {_stages(large)} shows some of them more than once"
        )
    elif number < FEW_PICTURES:
        yield (
            f"the data set has {_pictures(number)}: the discriminator learns so few by heart; "
            "generated pictures will be copies of them, or noise"
        )
    elif times > MANY_TIMES and not specs[0].augment:
        watched = "" if specs[0].metrics.holdout else "metrics.holdout=0.05 and "
        yield (
            f"the run shows each of {_pictures(number)} {times:,} times, and the discriminator may "
            f"learn them by heart: {watched}"
            "the report's chart of held-out pictures show whether it does, and augment=diffaugment "
            "is the remedy (docs/augmentation.md)"
        )


def _stages(specs: Sequence[StageSpec]) -> str:
    """stage 4 | stages 4, 8 and 16"""
    *most, last = [str(spec.resolution) for spec in specs]
    return f"stages {', '.join(most)} and {last}" if most else f"stage {last}"


def _pictures(number: int) -> str:
    return "one picture" if number == 1 else f"{number:,} pictures"
