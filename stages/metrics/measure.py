"""Measure a generator: its pictures and real ones through every metric asked for, on all ranks."""

from collections.abc import Callable, Collection
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from progan.datasets.loader import Batches
from progan.stages.distributed.world import World
from progan.stages.errors import MetricError
from progan.stages.images import to_uint8
from progan.stages.metrics.inception import Network, load_inception
from progan.stages.metrics.laplacian import level_sides
from progan.stages.metrics.ms_ssim import SimilarPairs
from progan.stages.metrics.names import SWD_SMALLEST, images_compared
from progan.stages.metrics.networked import NUMBERS, Networked
from progan.stages.metrics.ranks import Ranks, Share, share
from progan.stages.metrics.swd import AT_ONCE, DIRECTIONS, SlicedWasserstein
from progan.stages.networks.conditioning import with_conditions
from progan.stages.networks.generator import Generator
from progan.stages.networks.layers import fade, upscale
from progan.stages.rng import metric_latents
from progan.stages.specs.stage import MetricsSpec

MOST_AT_ONCE = 64


class Measure(Protocol):
    """A metric, or several that share their features."""

    def add(self, fakes: Tensor, reals: Tensor, start: int) -> None:
        """Take pictures start, start + 1, ... of this rank's share: uint8 (N, C, R, R) twice."""
        ...

    def values(self, beat: Callable[[], None]) -> dict[str, float]:
        """What was measured, by name, on the first rank at least. All ranks must call it once."""
        ...


class Subject(NamedTuple):
    """What is measured: a generator at some alpha, and the real pictures to compare it with."""

    generator: Generator
    alpha: float
    seed: int
    batches: Batches
    """Of the resolution at which they are compared: the generator's, or a larger one"""
    resolution: int
    """Of `batches`"""
    at_once: int
    """Pictures that there is memory to draw together"""


class Found(NamedTuple):
    """The outcome."""

    images: int
    """Pictures of either kind that were compared"""
    values: dict[str, float]
    """On the first rank"""
    left_out: dict[str, str]
    """Why some metrics, or some of their values, are not there"""


def measure(
    subject: Subject,
    world: World,
    names: Collection[str],
    spec: MetricsSpec,
    beat: Callable[[], None] = lambda: None,
) -> Found:
    """Compare the generator's pictures with real ones. All ranks must call it.

    `names` are metrics as in the configuration; `beat` is called now and then. No more pictures are
    compared than the data set has. Nothing that training computes depends on it: latents have a
    purpose of their own, and reals are read by position. Raises MetricError on every rank if
    pictures cannot be drawn or read on one.
    """
    ranks = Ranks(world)
    count = images_compared(spec.images, subject.batches.num_samples)
    if count < 2 * world.size:
        raise MetricError(f"{count} pictures are too few to compare on {world.size} ranks")
    measures, left_out = _prepare(subject, names, spec, count, ranks)
    _show(subject, measures.values(), count, ranks, beat)
    values: dict[str, float] = {}
    for measured, each in measures.items():
        found = each.values(beat)
        try:
            ranks.agree()
        except MetricError as error:
            left_out |= dict.fromkeys(measured, str(error))
        else:
            values |= found
    for name in [name for name, value in values.items() if not np.isfinite(value)]:
        del values[name]
        left_out[name] = "it is not finite"
    return Found(count, values, left_out)


def beats(subject: Subject, names: Collection[str], spec: MetricsSpec) -> int:
    """How often `measure` would call `beat` on a single rank."""
    count = images_compared(spec.images, subject.batches.num_samples)
    levels = len(level_sides(subject.resolution, SWD_SMALLEST)) if "swd" in names else 0
    networked = sum(name in NUMBERS for name in names)
    return -(-count // _at_once(subject)) + levels * (DIRECTIONS // AT_ONCE) + networked


def _at_once(subject: Subject) -> int:
    """Pictures in a part: whole pairs."""
    return max(2, min(MOST_AT_ONCE, subject.at_once) // 2 * 2)


def _prepare(
    subject: Subject, names: Collection[str], spec: MetricsSpec, count: int, ranks: Ranks
) -> tuple[dict[tuple[str, ...], Measure], dict[str, str]]:
    """By metrics what measures them, and why some are left out: on all ranks the same."""
    device = ranks.world.device
    networked = tuple(name for name in names if name in NUMBERS)
    missing: dict[str, str] = {}
    network: Network | None = None
    if networked:
        try:
            network = load_inception(spec.inception_weights, device)
        except MetricError as error:
            missing = dict.fromkeys(networked, str(error))
    left_out = ranks.union(missing)

    def make() -> dict[tuple[str, ...], Measure]:
        made: dict[tuple[str, ...], Measure] = {}
        if "swd" in names:
            channels = subject.batches.manifest.channels
            made["swd",] = SlicedWasserstein(subject.resolution, channels, count, ranks)
        if "ms_ssim" in names:
            made["ms_ssim",] = SimilarPairs(ranks)
        if network and not left_out:
            made[networked] = Networked(networked, network, count, ranks)
        return made

    none: dict[tuple[str, ...], Measure] = {}
    measures = ranks.attempt(make, none)
    ranks.agree()
    return measures, left_out


def _show(
    subject: Subject,
    measures: Collection[Measure],
    count: int,
    ranks: Ranks,
    beat: Callable[[], None],
) -> None:
    """Have every measure see this rank's share of fakes and reals, some at a time."""
    world = ranks.world
    shares = [share(count, rank, world.size) for rank in range(world.size)]
    own, most = shares[world.rank], max(map(len, shares))
    at_once = _at_once(subject)
    latents = metric_latents(subject.seed, count, subject.generator.model.noise)
    for offset in range(0, most, at_once):
        world.watchdog.arrive()
        begin = min(own.begin + offset, own.end)
        some = Share(begin, min(begin + at_once, own.end))
        if len(some):
            ranks.attempt(partial(_show_some, subject, measures, latents, some, world), None)
        beat()
    ranks.agree()


@torch.no_grad()
def _show_some(
    subject: Subject, measures: Collection[Measure], latents: Tensor, some: Share, world: World
) -> None:
    reals, labels, _ = subject.batches.at(np.arange(some.begin, some.end))
    # The classes of the reals that they are compared with.
    asked = with_conditions(latents[some.begin : some.end], labels, subject.generator.model)
    fakes = subject.generator(asked.to(world.device), subject.alpha)
    while fakes.shape[-1] < subject.resolution:
        fakes = upscale(fakes)
    pictures = to_uint8(fakes), to_uint8(fade(reals.to(world.device), subject.alpha))
    for measure in measures:
        measure.add(*pictures, some.begin)
